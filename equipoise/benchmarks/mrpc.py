"""MRPC: do two sentences mean the same?

Dolan & Brockett 2005, https://aclanthology.org/I05-5002; as a task of GLUE: Wang et al. 2018, arXiv
1804.07461.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import glue
from equipoise.metrics import ability, class_nulls
from equipoise.records import OPTIONS, Metric

_GLUE = "Wang et al. 2018, GLUE, table 1"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Mrpc(WordClassification):
    """How often the right word is the likelier answer. Perfect: 100 %; always yes: 68.

    The prompt is lm-evaluation-harness's: both sentences, "Question: Do both sentences mean the
    same thing?" and "Answer:"; compared are the log-probabilities of " no" and " yes".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Dolan & Brockett 2005, MRPC; Wang et al. 2018, GLUE"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy(f"{_GLUE}; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("paraphrase"),
        *class_nulls.of_nulls("paraphrase"),
    )
    cluster: ClassVar[str | None] = "first"
    task: ClassVar[glue.LabelledFile] = glue.MRPC
    words: ClassVar[tuple[str, str]] = (" no", " yes")
    form: ClassVar[str] = (
        "Sentence 1: {}\nSentence 2: {}\nQuestion: Do both sentences mean the same thing?\nAnswer:"
    )
    faults: ClassVar[tuple[str, ...]] = (
        "two thirds of the pairs are paraphrases: always yes is right in 68 % and has an F1 of 81; "
        "an F1 below f1_always says nothing of ability that is kept",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
    )
