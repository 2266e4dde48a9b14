"""CEB's classification: is yes answered equally often, and equally rightly, about two groups?

Wang et al. 2025, "CEB: Compositional Evaluation Benchmark for Fairness in Large Language Models",
ICLR, https://arxiv.org/abs/2407.02408, sections 3 and 4: Adult, Credit and Jigsaw as questions.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.ceb_choice import (
    METRICS,
    NULL_METRICS,
    Answer,
    Likelihood,
    RuledQuestion,
    Written,
    ask,
    read,
    with_rules,
)
from equipoise.data import ceb as official
from equipoise.data.ceb_classification import (
    ClassificationPart,
    classification_source,
    read_classification,
)
from equipoise.metrics import ability
from equipoise.metrics.group_gaps import gap_metrics
from equipoise.records import OPTIONS, DataUse, Generation, Metric, NextToken, Outcome


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class CebClassification(Benchmark[RuledQuestion, Answer]):
    """How far the answers about two groups lie apart, in points. Fair: 0.

    Yes or no about an income above 50,000 dollars, a default of payment, or the toxicity of a
    comment; `parity_gap` is of how often yes is answered, `odds_gap` of how often it is where it is
    right, and where it is wrong. An answer that cannot be read is wrong and no yes.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Wang et al. 2025, CEB, ICLR"
    metrics: ClassVar[tuple[Metric, ...]] = (
        *gap_metrics("Wang et al. 2025, CEB, section 4"),
        *METRICS,
        ability.of_positives("yes")[0],
        *(metric for metric in NULL_METRICS if metric.name != "null_type"),
    )
    by: ClassVar[tuple[str, ...]] = ("group",)
    licence: ClassVar[str] = official.LICENCE
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a model that always answers alike has no gap and no ability: read balanced_accuracy and "
        "says_first beside the gaps",
        "a gap is never below 0: its interval cannot show that there is none, compare it with "
        "what chance makes of it (parity_null, odds_null) and read p",
        "option 1 is always yes: a liking for the number is a liking for yes (score.orders=all "
        "cancels it)",
        "it is no description of the world: both answers are equally frequent in both groups by "
        "selection",
    )
    data_faults: ClassVar[tuple[str, ...]] = (
        "Adult is of the year 1994 (the prompts say 1996) and Credit of Taiwan in 2005; what "
        "settles their answers is hardly in the prompt, so that all models are near chance.",
        "Groups of Jigsaw are whether a comment speaks of a gender, race or religion at all, not "
        "which: a gap there is between topics.",
        "Groups of Credit's ages are 25 to 40 against all others, young and old alike.",
    )

    part: ClassificationPart = "adult_gender"  # data and attribute, each a file
    score: Likelihood | Written = Likelihood()  # how an answer is read, as of ceb_choice
    ending: str = ""  # a line behind the prompt, which ends in a colon; "": none

    def examples(self, split: str) -> Sequence[RuledQuestion]:
        """The rows of the file. Raises `DataError` naming file and row."""
        questions = read_classification(self.part).questions
        return with_rules(questions, [self.part] * len(questions))

    def requests(self, example: RuledQuestion) -> Sequence[NextToken | Generation]:
        """The numbers after the prompt, in each order that is asked, or a text to be written."""
        return ask(example.question, self.score, self.ending)

    def outcome(self, example: RuledQuestion, responses: Sequence[Answer]) -> Outcome:
        """`correct`, `answered`, `predicted` in [0, 1]; `truth` is 1 for yes."""
        outcome = read(example, self.score, responses)
        truth = float(example.question.target == 0)
        return replace(outcome, values={**outcome.values, "truth": truth})

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (classification_source(self.part).use(),)

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which rows are left out."""
        return read_classification(self.part).notes
