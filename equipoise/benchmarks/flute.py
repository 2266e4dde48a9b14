"""FLUTE: does a figurative sentence follow from a plain one, or contradict it?

Chakrabarty, Saakyan, Ghosh & Muresan 2022, "FLUTE: Figurative Language Understanding through
Textual Explanations", https://aclanthology.org/2022.emnlp-main.481; as an ability that is to be
kept: BiasUnlearn, table 4.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import flute as official
from equipoise.data.glue import LabelledFile
from equipoise.data.sources import OWN_LICENCE
from equipoise.metrics import ability, class_nulls
from equipoise.records import OPTIONS, Metric


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Flute(WordClassification):
    """How often the right word is the likelier answer. Perfect: 100 %; guessing: 50.

    The prompt is that of `rte`: the premise, "Question: " with the hypothesis and "True or False?",
    and "Answer:"; compared are the log-probabilities of " False" and " True". The explanations of
    the file are not asked for. Group: type of figure.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Chakrabarty et al. 2022, FLUTE; BiasUnlearn, table 4"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy("Chakrabarty et al. 2022; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("entailment"),
        *class_nulls.of_nulls("entailment"),
    )
    cluster: ClassVar[str | None] = "pair"
    by: ClassVar[tuple[str, ...]] = ("type",)
    licence: ClassVar[str] = OWN_LICENCE
    splits = ("test",)
    task: ClassVar[LabelledFile] = official.FLUTE
    words: ClassVar[tuple[str, str]] = (" False", " True")
    form: ClassVar[str] = "{}\nQuestion: {} True or False?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 50 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "the file that is public is that of training: a model may have read it",
    )
