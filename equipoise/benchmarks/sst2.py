"""SST-2: is a phrase of a film review positive or negative?

Socher et al. 2013, https://aclanthology.org/D13-1170; as a task of GLUE: Wang et al. 2018, arXiv
1804.07461.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import glue
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Metric

_GLUE = "Wang et al. 2018, GLUE, table 1"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Sst2(WordClassification):
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
    task: ClassVar[glue.GlueTask] = glue.SST2
    words: ClassVar[tuple[str, str]] = (" negative", " positive")
    form: ClassVar[str] = "{}\nQuestion: Is this sentence positive or negative?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 50 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "phrases are in lower case and cut into words, with spaces before their punctuation",
    )
