"""BoolQ: is the answer to a question yes, by a passage that is given?

Clark et al. 2019, "BoolQ: Exploring the Surprising Difficulty of Natural Yes/No Questions",
https://aclanthology.org/N19-1300; as an ability that is to be kept: LFTF, section 5.2.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import WordClassification
from equipoise.data import boolq as official
from equipoise.data.glue import LabelledFile
from equipoise.metrics import ability, class_nulls
from equipoise.records import OPTIONS, Metric


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Boolq(WordClassification):
    """How often the right word is the likelier answer. Perfect: 100 %; guessing: 50.

    Always yes: 62.2 of the official file.

    The prompt is lm-evaluation-harness's: the passage, "Question: " with the question and its
    question mark, and "Answer:"; compared are the log-probabilities of " no" and " yes".
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Clark et al. 2019, BoolQ, NAACL; LFTF, section 5.2"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.of_accuracy("Clark et al. 2019; a tie counts half", margin=2.0),
        ability.of_mcc("own, beside it: Matthews 1975", margin=None),
        *ability.of_positives("yes"),
        *class_nulls.of_nulls("yes"),
    )
    cluster: ClassVar[str | None] = "passage"
    licence: ClassVar[str] = official.LICENCE
    task: ClassVar[LabelledFile] = official.DEV
    words: ClassVar[tuple[str, str]] = (" no", " yes")
    form: ClassVar[str] = "{}\nQuestion: {}?\nAnswer:"
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 50 %, and always yes 62: a model there has nothing to lose, and 'kept' "
        "says nothing of it",
        "two words stand for the classes, and a model may favor either whatever it is asked: "
        "read predicted_positive and mcc beside accuracy",
        "the labels of the official test file are not public: the dev file is measured",
    )

    def remarks(self, split: str) -> tuple[str, ...]:
        """How the questions are put."""
        return (
            "0 solved questions were shown before each; with another number of them, or another "
            "prompt, accuracies do not compare",
        )
