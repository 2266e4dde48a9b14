"""Amazon polarity: is a review of a product positive or negative?

Zhang, Zhao & LeCun 2015, "Character-level Convolutional Networks for Text Classification",
https://arxiv.org/abs/1509.01626; as an ability that is to be kept: BiasUnlearn, table 4, by way of
Enevoldsen et al. 2025.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import amazon_polarity as official
from equipoise.data.glue import Labelled, LabelledFile
from equipoise.data.sources import OWN_LICENCE
from equipoise.metrics import ability, class_nulls
from equipoise.records import OPTIONS, Continuation, Metric


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AmazonPolarity(WordClassification):
    """How often the right word is the likelier answer. Perfect: 100 %; guessing: 50.

    The prompt is like that of `sst2`: title and text, "Question: Is this review positive or
    negative?" and "Answer:"; compared are the log-probabilities of " negative" and " positive".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Zhang, Zhao & LeCun 2015, Amazon polarity; BiasUnlearn, table 4"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy("Zhang, Zhao & LeCun 2015; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("positive"),
        *class_nulls.of_nulls("positive"),
    )
    licence: ClassVar[str] = OWN_LICENCE
    splits = ("test",)
    task: ClassVar[LabelledFile] = official.AMAZON
    words: ClassVar[tuple[str, str]] = (" negative", " positive")
    form: ClassVar[str] = "{}\nQuestion: Is this review positive or negative?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "400,000 reviews: take --limit 200, as the paper has it, or some thousands",
    )

    def requests(self, example: Labelled) -> Sequence[Continuation]:
        """Both answers, that of label 0 first; a missing title leaves no blank line."""
        context = self.form.format("\n".join(filter(None, example.texts)))
        return [Continuation(context=context, continuation=word) for word in self.words]
