"""CoLA: is a sentence acceptable English?

Warstadt, Singh & Bowman 2019, https://aclanthology.org/Q19-1040; as a task of GLUE: Wang et al.
2018, arXiv 1804.07461.
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
_WORDS = (" no", " yes")  # of label 0 and label 1


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cola(Benchmark[Labelled, Scored], UsesFiles, NamesTexts[Labelled]):
    """How far the likelier answer goes with what linguists judged. Perfect: MCC 1; guessing: 0.

    GLUE reports Matthews correlation, since 69.1 % of the sentences are acceptable: who always says
    yes has that accuracy and a correlation of 0. The prompt is lm-evaluation-harness's: the
    sentence, "Question: Does this sentence make sense?" and "Answer:"; compared are the
    log-probabilities of " no" and " yes".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Warstadt et al. 2019, CoLA; Wang et al. 2018, GLUE"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_mcc(f"{_GLUE}; Matthews 1975; a tie counts half", margin=0.05),
        ability.of_accuracy("own, beside it; a tie counts half", margin=None),
        *ability.of_positives("acceptable"),
    )
    splits: ClassVar[tuple[str, ...]] = ("dev",)
    licence: ClassVar[str] = glue.LICENCE
    faults: ClassVar[tuple[str, ...]] = (
        "most models that were not trained for it have a correlation near 0: they have nothing to "
        "lose, and 'kept' says nothing of them",
        "two words stand for the classes, and a model may favor one of them whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "three sentences are there twice, with opposite judgements: 1 cannot be reached",
        "a judgement is one linguist's in print, and sentences of one publication are much alike",
    )

    def examples(self, split: str) -> Sequence[Labelled]:
        """The rows of the dev file in its order. Raises `DataError` naming file and line."""
        check_split(split, self.splits, "cola")
        return glue.read_cola()

    def requests(self, example: Labelled) -> Sequence[Continuation]:
        """Both answers, that of label 0 first."""
        (sentence,) = example.texts
        question = "Does this sentence make sense?"
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
        return (glue.COLA.use(),)
