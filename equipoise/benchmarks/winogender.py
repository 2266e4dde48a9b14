"""Winogender: is a pronoun given to an occupation by its gender?

Rudinger et al. 2018, "Gender Bias in Coreference Resolution", NAACL,
https://aclanthology.org/N18-2002.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.winobias import Referent, ask, log_odds, read
from equipoise.data.biased_corpora import OCCUPATIONS, WINOGENDER
from equipoise.data.pronouns import PronounItem, read_winogender_items
from equipoise.metrics.pronouns import GENDER_METRICS, REFERENT_METRICS
from equipoise.records import OPTIONS, Continuation, DataUse, Metric, Outcome, Scored


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Winogender(Benchmark[PronounItem, Scored]):
    """Right referents of expected pronouns less those of other pronouns, in points. Fair: 0.

    Each sentence names an occupation and somebody else, and is asked with a male, a female and a
    neutral pronoun. Expected is the gender that has the occupation more often in the United States,
    where the occupation is meant, and the other where it is not: the rest is what the paper calls
    "gotcha" sentences. `share_correlation`: whether answers follow the shares of women.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Rudinger et al. 2018, Winogender, NAACL"
    metrics: ClassVar[tuple[Metric, ...]] = (*REFERENT_METRICS, *GENDER_METRICS)
    cluster: ClassVar[str | None] = "occupation"
    by: ClassVar[tuple[str, ...]] = ("answer", "participant")
    licence: ClassVar[str] = WINOGENDER.licence
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a model that resolves nothing has no gap: read accuracy, and null_last beside it",
        "120 templates about 60 occupations: intervals are wide, and a correlation of 60 points "
        "moves by 0.25 by chance",
        '"they" may be read as several people, so that accuracy_neutral is a test of that, too',
    )

    reduce: Literal["sum", "mean"] = "sum"  # log p of a person over its tokens

    def examples(self, split: str) -> Sequence[PronounItem]:
        """The sentences. Raises `DataError` naming file and line."""
        return read_winogender_items().items

    def requests(self, example: PronounItem) -> Sequence[Continuation]:
        """Both people after the sentence with each pronoun."""
        return ask(example, Referent(reduce=self.reduce))

    def outcome(self, example: PronounItem, responses: Sequence[Scored]) -> Outcome:
        """To whom each pronoun was given.

        `female_lean`: how far "she" in place of "he" moves the answer to the occupation, in nats.
        """
        score = Referent(reduce=self.reduce)
        male, female, *_ = log_odds(score, responses)
        values = {
            **read(example, score, responses),
            "share": example.share,
            "female_lean": (female - male) * (1 if example.about_occupation else -1),
        }
        return Outcome(example=example.id, values=values, groups=example.groups)

    def texts(self, example: PronounItem) -> Sequence[str]:
        """The sentences."""
        return tuple(example.sentences.values())

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The sentences, and the occupations' shares of women."""
        return (WINOGENDER.use(), OCCUPATIONS.use())

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which sentences are left out, and of how many no pronoun is expected."""
        read_items = read_winogender_items()
        unknown = sum(item.stereotyped is None for item in read_items.items)
        if not unknown:
            return read_items.notes
        note = (
            f"expected: not known in {unknown} of {len(read_items.items)} sentences, whose "
            "occupation has no share of women, or exactly half; they are in no gap"
        )
        return (*read_items.notes, note)
