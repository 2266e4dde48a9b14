"""RTE: does a text follow from another?

Dagan et al. 2006 and the later challenges; as a task of GLUE: Wang et al. 2018, arXiv 1804.07461.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import glue
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Metric

_GLUE = "Wang et al. 2018, GLUE, table 1"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Rte(WordClassification):
    """How often the right word is the likelier answer. Perfect: 100 %; guessing: 50.

    Always True: 52.7.

    The prompt is lm-evaluation-harness's: the premise, "Question: " with the hypothesis and "True
    or False?", and "Answer:"; compared are the log-probabilities of " False" and " True".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Dagan et al. 2006, RTE; Wang et al. 2018, GLUE"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy(f"{_GLUE}; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("entailment"),
    )
    cluster: ClassVar[str | None] = "premise"
    task: ClassVar[glue.GlueTask] = glue.RTE
    words: ClassVar[tuple[str, str]] = (" False", " True")
    form: ClassVar[str] = "{}\nQuestion: {} True or False?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 50 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "277 rows: one standard error is 3 points, so that a margin of 2 is seldom shown",
    )
