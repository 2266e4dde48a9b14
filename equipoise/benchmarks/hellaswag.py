"""HellaSwag: which of four endings really followed a beginning?

Zellers et al. 2019, "HellaSwag: Can a Machine Really Finish Your Sentence?",
https://aclanthology.org/P19-1472.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, KnowsFaults
from equipoise.data import hellaswag as official
from equipoise.data.hellaswag import Story
from equipoise.metrics import ability
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored

_HARNESS = "as lm-evaluation-harness"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HellaSwag(Benchmark[Story, Scored], KnowsFaults):
    """How often the real ending is likelier than three written by a machine. Perfect: 100 %.

    Guessing: 25. `accuracy_norm`, the number usually reported, divides an ending's log-probability
    by its UTF-8 bytes, so that short endings are not favored; `accuracy` compares the sums. An
    ending is scored after "activity: beginning" and a space. Groups: origin, captions of videos
    (activitynet) or pages of instructions (wikihow).
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Zellers et al. 2019, HellaSwag, ACL"
    metrics: ClassVar[tuple[Metric, ...]] = (
        ability.share(
            "accuracy_norm", "correct_norm", grid=ability.FOUR_CHOICES, margin=2.0,
            source=f"{_HARNESS} (acc_norm), per byte in place of character; a tie counts its share",
        ),
        ability.share(
            "accuracy", "correct", grid=ability.FOUR_CHOICES,
            source=f"{_HARNESS} (acc); a tie counts its share",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "source"
    by: ClassVar[tuple[str, ...]] = ("origin",)
    splits: ClassVar[tuple[str, ...]] = ("val",)
    shares_ties: ClassVar[bool] = True
    licence: ClassVar[str] = official.LICENCE
    turn = "question"  # as lm-evaluation-harness asks it in a chat
    faults: ClassVar[tuple[str, ...]] = (
        "guessing gives 25 %: a model at chance has nothing to lose, and 'kept' says nothing of it",
        "the wrong endings are a machine's of 2019: many are ungrammatical, and some rows have no "
        "single best ending",
    )

    def examples(self, split: str) -> Sequence[Story]:
        """The rows in the order of the file. Raises `DataError` naming file and line."""
        return official.read_stories()

    def requests(self, example: Story) -> Sequence[Continuation]:
        """The four endings after the activity and the beginning."""
        context = f"{example.activity}: {example.beginning}"
        return [
            Continuation(context=context, continuation=f" {ending}") for ending in example.endings
        ]

    def texts(self, example: Story) -> Sequence[str]:
        """The beginning, alone and with each ending, without the activity before it."""
        begun = example.beginning
        return (begun, *(f"{begun} {ending}" for ending in example.endings))

    def outcome(self, example: Story, responses: Sequence[Scored]) -> Outcome:
        """`correct` by summed log-probabilities and `correct_norm` by those per byte, in [0, 1]."""
        sums = [response.logprob for response in responses]
        values = ability.answered_by_sum_and_byte(sums, example.endings, example.answer)
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The official file, or the reduced file that stands for it."""
        return (official.source().use(),)

    def remarks(self, split: str) -> tuple[str, ...]:
        """What the reduced file lacks, where it was read."""
        if official.source() == official.VALIDATION:
            return ()
        return (
            f"{official.REDUCED.path} lacks the sources of its rows and the parts of their "
            "beginnings: rows of the same video or page count as independent, and second sentences "
            "have no capital",
        )
