"""Prompts of the user's own: which of two sets of words does a model expect next?

What `genbias` asks of professions and pronouns, of any prompts and words: log-odds between the two
sets, and the probability that both have together.
"""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import AfterValidator, model_validator
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark, ReadsOwnFile
from equipoise.errors import DataError
from equipoise.metrics import ability, gap
from equipoise.metrics import preference as pref
from equipoise.metrics.weighted import mean_absolute, mean_of, percent
from equipoise.own_data.columns import GROUP, check_groups
from equipoise.own_data.prompts import ROLES, PromptFile, WordPrompt, read_prompts, split_sets
from equipoise.records import (
    OPTIONS,
    DataUse,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
)

_OURS = "ours, as of genbias"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Prompts(Benchmark[WordPrompt, NextTokenScored], ReadsOwnFile):
    """Log-odds between two sets of words directly after prompts of your own. No lean: 0.

    Both sets have equally many words. The probability of a set is the sum over them, that of a word
    of several tokens the product over them. A word counts with all that may go on from it ("he"
    with "heard" where that begins with the token of "he").
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own form; as LFTF, section 3"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="log_odds", of=mean_of("lo"), unit="nats", source=_OURS, ideal=0.0),
        percent(
            "first_preferred", lambda c, w: pref.rate(c["prefers"], w), ideal=50.0, grid=50.0,
            margin=5.0, source="ours: prompts after which the first set is likelier; a tie is half",
        ),
        Metric(
            name="log_odds_abs", of=mean_absolute("lo"), unit="nats", source=_OURS, ideal=0.0,
            low=0.0,
        ),
        Metric(
            name="gap_abs", of=mean_absolute("gap"), unit="probability", ideal=0.0, low=0.0,
            high=1.0, source="LFTF, section 3 (AFGB), of any two sets",
        ),
        Metric(
            name="abs_rho", of=mean_absolute("rho"), unit="share of mass", source=_OURS, ideal=0.0,
            low=0.0, high=1.0,
        ),
        Metric(
            name="mass", of=mean_of("mass"), unit="probability", source=_OURS, low=0.0, high=1.0
        ),
        ability.share(
            "single_token", "single_token", grid=100.0,
            source="ours: prompts all of whose words are single tokens",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "cluster"
    licence: ClassVar[str] = "as the file"
    faults: ClassVar[tuple[str, ...]] = (
        "0 is no lean where both sets are equally apt after a prompt; where either is commoner, "
        "compare groups of prompts with each other instead.",
        "Log-odds say nothing of how likely either set is: read mass beside them.",
    )

    file: str  # .csv, .tsv, .json, .jsonl or .parquet, also .gz or .xz; also in the data folder
    #: both sets, with "|" between the words of a set, as '["he|him", "she|her"]'; None: of columns
    words: tuple[str, str] | None = None
    prompt: str | None = None  # column of the prompts; None: guessed by its name
    first: str | None = None  # column of the words of the first set, "he|him"
    second: str | None = None  # column of the words of the second set
    axis: str | None = None  # column of the type of bias; "-": none
    target: str | None = None  # column of whom a prompt is about
    #: further columns of groups with rows of their own; None: "group" if it is there
    groups: Annotated[tuple[str, ...] | None, AfterValidator(check_groups)] = None
    cluster_by: str | None = None  # column of what is not independent; None: guessed, or the target
    id: str | None = None  # column of ids; "-": the place in the file
    separator: str = " "  # before each word; "" for a language without spaces

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.words is not None:
            if self.first is not None or self.second is not None:
                raise ValueError(
                    f"words must not be given beside columns of them, got {self.words}"
                )
            try:
                split_sets(self.words, self.separator, "words")
            except DataError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def by(self) -> tuple[str, ...]:
        """Those of these keys that the file has columns of."""
        return ("axis", *(self.groups or (GROUP,)), "target")

    def examples(self, split: str) -> Sequence[WordPrompt]:
        """The prompts in the order of the file. Raises `DataError` naming file and row."""
        return self._read().prompts

    def requests(self, example: WordPrompt) -> Sequence[NextToken]:
        """The probability of every word of both sets after the prompt."""
        return [NextToken(context=example.text, words=(*example.first, *example.second))]

    def outcome(self, example: WordPrompt, responses: Sequence[NextTokenScored]) -> Outcome:
        """Both probabilities and what they are made of; nan where a word has none."""
        (response,) = responses
        logprobs = np.array(response.logprobs)
        size = len(example.first)
        first, second = (
            float(np.logaddexp.reduce(part)) for part in (logprobs[:size], logprobs[size:])
        )
        parts = gap.gap_values(first, second)
        values = {
            "first": parts["he"],
            "second": parts["she"],
            "gap": parts["he"] - parts["she"],
            **{name: parts[name] for name in ("mass", "rho", "lo")},
            "prefers": pref.preference(first, second, "half"),
            "single_token": float(all(count == 1 for count in response.tokens)),
        }
        return Outcome(example=example.id, values=values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file."""
        return (self._read().use,)

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which words were asked for, what was guessed of the file, and repeated prompts."""
        return self._read().notes

    def _read(self) -> PromptFile:
        named = {role.name: getattr(self, role.name) for role in ROLES}
        return read_prompts(self.file, named, self.words, self.groups, self.separator)
