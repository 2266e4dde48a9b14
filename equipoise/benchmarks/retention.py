"""Concept retention: what an edit must leave of the words that an association is about.

A model that no longer holds a people to be late must still know what late means. After Islam,
Borenstein et al., "BiasGym", section 4.5 and Table 11, which shows two prompts a bias; what is
measured of them here is ours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Literal, Self, TypeAlias

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.associations.fill import fill
from equipoise.associations.load import association_use, load_association
from equipoise.associations.questions import questions
from equipoise.benchmarks.base import Benchmark
from equipoise.errors import DataError
from equipoise.metrics.weighted import mean_if_any, percent
from equipoise.records import (
    OPTIONS,
    DataUse,
    Generation,
    Margin,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
)

Answer: TypeAlias = NextTokenScored | str

Asked: TypeAlias = Literal["scored", "written", "linked"]


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The beginning of a sentence, and words that may follow."""

    id: str
    text: str
    words: tuple[str, ...]
    asked: Asked  # for its words, for a text, or for the answers about a target
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Retention(Benchmark[Stem, Answer]):
    """Log-probability of an association's own words where nobody is spoken of. Kept: as before.

    Stems are those of the association's concepts, of which any of the listed words may come next;
    the words count together. `hit` asks whether any of them is among the first words written
    greedily. With `targets` the association's own questions that break off are asked about them as
    well, so that one table has what should fall beside what should stay: concepts are kept where
    `logprob` falls by less than a tenth of the fall of `logprob_linked`.
    Groups: association.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own form; after BiasGym, section 4.5 and Table 11"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="logprob", of=mean_if_any("logprob"), unit="nats", high=0.0, higher_is_better=True,
            margin=Margin(size=0.1, relative=True), needs="a stem of a concept",
            source="own: mean log of the probability of a concept's words after its stem",
        ),
        percent(
            "hit", lambda c, w: 100.0 * mean_if_any("hit").values(c, w), ideal=100.0, better=True,
            grid=100.0, margin=5.0, needs="a text that was written",
            source="BiasGym, Table 11, counted: a concept's word is written greedily",
        ),
        Metric(
            name="logprob_linked", of=mean_if_any("logprob_linked"), unit="nats", high=0.0,
            needs="targets",
            source="own: the same of the association's answers after questions about the targets",
        ),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "stem"
    by: ClassVar[tuple[str, ...]] = ("association",)
    licence: ClassVar[str] = "own stems (CC0)"
    faults: ClassVar[tuple[str, ...]] = (
        "some twenty stems an association: intervals are wide",
        "a word that is not listed may follow as well: read changes, not the value",
        "stems have the words near each other, as training texts do: a model may have lost the "
        "concept in longer texts",
    )

    association: str | tuple[str, ...]  # a built-in name, a .yaml file, or several
    #: of whom the association is said, or the token of an injected bias; () asks of nobody
    targets: tuple[str, ...] = ()
    max_tokens: Annotated[int, Field(ge=1)] = 15  # that are written after a stem

    @model_validator(mode="after")
    def _name_some(self) -> Self:
        if not self._associations:
            raise ValueError(f"association must name one at least, got {self.association}")
        return self

    def examples(self, split: str) -> Sequence[Stem]:
        """The stems, then the questions about each target.

        Raises `RecipeError` and `DataError` as `load_association`, and `DataError` for an
        association without concepts.
        """
        return [
            stem
            for name in self._associations
            for stem in (*_concepts(name), *_linked(name, self.targets))
        ]

    def requests(self, example: Stem) -> Sequence[NextToken | Generation]:
        """The probability of each word, or a text to be written."""
        if example.asked == "written":
            return [Generation(context=example.text, max_tokens=self.max_tokens)]
        words = tuple(f" {word}" for word in example.words)
        return [NextToken(context=example.text, words=words)]

    def outcome(self, example: Stem, responses: Sequence[Answer]) -> Outcome:
        """`logprob` in nats, `hit` 0 or 1, or of a question about a target `logprob_linked`."""
        (answer,) = responses
        written = answer if isinstance(answer, str) else None
        if isinstance(answer, str):
            values = {"hit": float(_has_word(answer, example.words))}
        else:
            together = float(np.logaddexp.reduce(np.array(answer.logprobs)))
            values = {"logprob_linked" if example.asked == "linked" else "logprob": together}
        return Outcome(example=example.id, values=values, groups=example.groups, text=written)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The associations' files."""
        return tuple(map(association_use, self._associations))

    @property
    def _associations(self) -> tuple[str, ...]:
        named = self.association
        return (named,) if isinstance(named, str) else named


def _concepts(name: str) -> Iterator[Stem]:
    association = load_association(name)
    if not association.concepts:
        raise DataError(
            f"an association whose concepts are measured must have some, '{name}' has 0; add "
            "'concepts:' with stems and the words that may follow"
        )
    for number, (text, words) in enumerate(association.concepts.items()):
        id = f"{association.name}:concept:{number}"
        groups = {"association": name, "stem": id}
        yield Stem(id=id, text=text, words=words, asked="scored", groups=groups)
        yield Stem(id=f"{id}/written", text=text, words=words, asked="written", groups=groups)


def _linked(name: str, targets: Sequence[str]) -> Iterator[Stem]:
    association = load_association(name)
    for prompt in questions(name):
        if prompt.groups["form"] != "completion":
            continue
        for target in targets:
            yield Stem(
                id=f"{prompt.id}/{target}",
                text=fill(prompt.text, target),
                words=association.answers,
                asked="linked",
                groups={"association": name, "stem": prompt.id},
            )


def _has_word(text: str, words: Sequence[str]) -> bool:
    """Whether a word stands in the text, in any case; "late*" has any ending."""
    patterns = (re.escape(word).replace(r"\*", r"\w*") for word in words)
    # the underscore of Markdown is no letter of a word
    return any(
        re.search(rf"(?<![^\W_]){pattern}(?![^\W_])", text, re.IGNORECASE) for pattern in patterns
    )
