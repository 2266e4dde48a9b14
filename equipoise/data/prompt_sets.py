"""PromptSet: professions and the templates they are put into, shared out into splits.

A data folder may have professions and templates of its own, in `professions/prompts.json`; they
then stand in for the lists of `professions` and the templates of `situations`. The file is an
object with `professions` (word to stereotype score in [-1, 1], -1: as female), `templates` (each
with `name`, `text` with "{profession}", and `scale`), `hints` and `training_hints` (each with
`name` and `text` with "{profession}" and "{possessive}").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked_dataclass

from equipoise.data.partition import Share, shares
from equipoise.data.professions import PROFESSIONS, ProfessionList, professions
from equipoise.data.situations import (
    DAMA_TEMPLATES,
    HINT_TEMPLATES,
    HINT_TEMPLATES_TRAIN,
    OWN_TEMPLATES,
    Situation,
    Template,
    Term,
    situation,
)
from equipoise.data.sources import Source
from equipoise.errors import DataError
from equipoise.records import OPTIONS

PROMPTS: Final = Source(path="professions/prompts.json", licence="own")

TemplateSet: TypeAlias = Literal["own", "dama"]
#: What the training, dev and test prompts do not share.
SplitBy: TypeAlias = Literal["random", "profession", "template", "both"]

_Cell: TypeAlias = tuple[Term, Template]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Professions, templates after which a pronoun comes, and templates that hint at it."""

    terms: tuple[Term, ...]
    templates: tuple[Template, ...]
    hints: tuple[Template, ...]  # to measure on
    training_hints: tuple[Template, ...]  # to learn from; no text in common with `hints`
    source: Source  # the file behind the professions

    def situations(self, split: str, *, split_by: SplitBy, seed: int) -> list[Situation]:
        """The prompts of "train", "dev" or "test", or "all", template by template.

        "random" shares out the prompts themselves; "profession" and "template" keep those of a
        split out of the others, templates scale by scale; "both" keeps both apart, and a prompt
        whose profession and template fall in different shares is then in none but "all".
        """
        cells = [(term, template) for template in self.templates for term in self.terms]
        if split == "all":
            return [situation(*cell) for cell in cells]
        share_of = self._cell_shares(cells, split_by=split_by, seed=seed)
        return [situation(*cell) for cell, share in share_of.items() if share == split]

    def term_shares(self, *, seed: int) -> dict[str, Share]:
        """Profession to share; the same for every benchmark and supply with the same seed."""
        words = list(dict.fromkeys(term.word for term in self.terms))
        return shares(words, seed=f"profession {seed}")

    def _cell_shares(
        self, cells: list[_Cell], *, split_by: SplitBy, seed: int
    ) -> dict[_Cell, Share]:
        if split_by == "random":
            share_of_id = shares([situation(*cell).id for cell in cells], seed=seed)
            return {cell: share_of_id[situation(*cell).id] for cell in cells}
        term_share = self.term_shares(seed=seed)
        if split_by == "profession":
            return {(term, template): term_share[term.word] for term, template in cells}
        template_share = self._template_shares(seed=seed)
        return {
            (term, template): template_share[template.name]
            for term, template in cells
            if split_by == "template" or term_share[term.word] == template_share[template.name]
        }

    def _template_shares(self, *, seed: int) -> dict[str, Share]:
        """Shared out within each scale, so that every split has every scale."""
        by_scale: dict[str, list[str]] = {}
        for template in self.templates:
            by_scale.setdefault(template.scale, []).append(template.name)
        share_of: dict[str, Share] = {}
        for scale, names in by_scale.items():
            share_of |= shares(names, seed=f"template {seed} {scale}")
        return share_of


def prompt_set(
    professions_list: ProfessionList = "prof262", templates: TemplateSet = "own"
) -> PromptSet:
    """A list of professions with our templates, or all that a data folder has of its own.

    Raises `DataError` naming the file and the place of a fault.
    """
    if PROMPTS.local_file() is not None:
        return _read_own()
    return PromptSet(
        terms=tuple(
            Term(word=profession.word, score=profession.score)
            for profession in professions(professions_list)
        ),
        templates=OWN_TEMPLATES if templates == "own" else DAMA_TEMPLATES,
        hints=HINT_TEMPLATES,
        training_hints=HINT_TEMPLATES_TRAIN,
        source=PROFESSIONS,
    )


def _check_places(template: Template, *places: str) -> Template:
    try:
        named = [name for _, name, _, _ in Formatter().parse(template.text) if name is not None]
    except ValueError:  # a brace without its other half
        named = []
    if set(named) != set(places):
        raise ValueError(f"the text must have the places {list(places)} in braces")
    return template


_Action: TypeAlias = Annotated[Template, AfterValidator(lambda it: _check_places(it, "profession"))]
_Hint: TypeAlias = Annotated[
    Template, AfterValidator(lambda it: _check_places(it, "profession", "possessive"))
]


@checked_dataclass(frozen=True, kw_only=True, config=OPTIONS)
class _PromptFile:
    professions: Mapping[str, Annotated[float, Field(ge=-1, le=1)]]
    templates: tuple[_Action, ...]
    hints: tuple[_Hint, ...]
    training_hints: tuple[_Hint, ...]


def _read_own() -> PromptSet:
    try:
        content = TypeAdapter(_PromptFile).validate_json(PROMPTS.read())
    except ValidationError as error:
        fault = error.errors()[0]
        where = ", ".join(map(str, fault["loc"]))
        raise DataError(
            f"{PROMPTS.path}: {where}: {fault['msg']}, got {fault['input']!r}; correct the file"
        ) from None
    return PromptSet(
        terms=tuple(Term(word=word, score=score) for word, score in content.professions.items()),
        templates=content.templates,
        hints=content.hints,
        training_hints=content.training_hints,
        source=PROMPTS,
    )
