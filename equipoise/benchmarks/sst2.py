"""SST-2: is a phrase of a film review positive or negative?

Socher et al. 2013, https://aclanthology.org/D13-1170; as a task of GLUE: Wang et al. 2018, arXiv
1804.07461.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, NamesTexts, UsesFiles
from equipoise.data import glue
from equipoise.data.glue import Labelled
from equipoise.data.partition import check_split
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored

_GLUE = "Wang et al. 2018, GLUE, table 1"
_WORDS = (" negative", " positive")  # of label 0 and label 1


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Sst2(Benchmark[Labelled, Scored], UsesFiles, NamesTexts[Labelled]):
    """How often the right word is the likelier answer. Perfect: 100 %; guessing: 50.

    Always positive: 50.9.

    The prompt is lm-evaluation-harness's: the phrase, "Question: Is this sentence positive or
    negative?" and "Answer:"; compared are the log-probabilities of " negative" and " positive".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Socher et al. 2013, SST; Wang et al. 2018, GLUE"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy(f"{_GLUE}; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("positive"),
    )
    splits: ClassVar[tuple[str, ...]] = ("dev",)
    licence: ClassVar[str] = glue.LICENCE
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 50 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "two words stand for the classes, and a model may favor one of them whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "phrases are in lower case and cut into words, with spaces before their punctuation",
    )

    def examples(self, split: str) -> Sequence[Labelled]:
        """The rows of the dev file in its order. Raises `DataError` naming file and line."""
        check_split(split, self.splits, "sst2")
        return glue.read_sst2()

    def requests(self, example: Labelled) -> Sequence[Continuation]:
        """Both answers, that of label 0 first."""
        (sentence,) = example.texts
        question = "Is this sentence positive or negative?"
        context = f"{sentence}\nQuestion: {question}\nAnswer:"
        return [Continuation(context=context, continuation=word) for word in _WORDS]

    def texts(self, example: Labelled) -> Sequence[str]:
        """The sentence, which the prompt holds with a question after it."""
        return example.texts

    def outcome(self, example: Labelled, responses: Sequence[Scored]) -> Outcome:
        """`correct`, `predicted` and `truth` in [0, 1]."""
        values = ability.classified([response.logprob for response in responses], example.label)
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:  # noqa: ARG002 (there is one split)
        """The dev file."""
        return (glue.SST2.use(),)
