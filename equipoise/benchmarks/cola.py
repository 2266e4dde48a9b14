"""CoLA: is a sentence acceptable English?

Warstadt, Singh & Bowman 2019, https://aclanthology.org/Q19-1040; as a task of GLUE: Wang et al.
2018, arXiv 1804.07461.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import glue
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Metric

_GLUE = "Wang et al. 2018, GLUE, table 1"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cola(WordClassification):
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
    task: ClassVar[glue.GlueTask] = glue.COLA
    words: ClassVar[tuple[str, str]] = (" no", " yes")
    form: ClassVar[str] = "{}\nQuestion: Does this sentence make sense?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "most models that were not trained for it have a correlation near 0: they have nothing to "
        "lose, and 'kept' says nothing of them",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "three sentences are there twice, with opposite judgements: 1 cannot be reached",
        "a judgement is one linguist's in print, and sentences of one publication are much alike",
    )
