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

from pydantic import AfterValidator, ConfigDict, Field

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
from equipoise.data.sources import Source, read_json
from equipoise.data.validation import Record, read_record

PROMPTS: Final = Source(path="professions/prompts.json", licence="own")

TemplateSet: TypeAlias = Literal["own", "dama"]
#: What the training, dev and test prompts do not share.
SplitBy: TypeAlias = Literal["random", "profession", "template", "both"]


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
        chosen = [situation(term, template) for template in self.templates for term in self.terms]
        if split == "all":
            return chosen
        if split_by == "random":
            share_of = shares([prompt.id for prompt in chosen], seed=seed)
            return [prompt for prompt in chosen if share_of[prompt.id] == split]
        if split_by in ("profession", "both"):
            share_of = self.term_shares(seed=seed)
            chosen = [prompt for prompt in chosen if share_of[prompt.groups["profession"]] == split]
        if split_by in ("template", "both"):
            share_of = {}
            # Scale by scale, so that every split has every scale.
            for scale in dict.fromkeys(template.scale for template in self.templates):
                names = [template.name for template in self.templates if template.scale == scale]
                share_of |= shares(names, seed=f"template {seed} {scale}")
            chosen = [prompt for prompt in chosen if share_of[prompt.groups["template"]] == split]
        return chosen

    def term_shares(self, *, seed: int) -> dict[str, Share]:
        """Profession to share; the same for every benchmark and supply with the same seed."""
        words = list(dict.fromkeys(term.word for term in self.terms))
        return shares(words, seed=f"profession {seed}")


def prompt_set(
    professions_list: ProfessionList = "prof262", templates: TemplateSet = "own"
) -> PromptSet:
    """A list of professions with our templates, or all that a data folder has of its own.

    Raises `DataError` naming the file and the place of a fault.
    """
    if PROMPTS.local_file() is not None:
        file = read_record(_PromptFile, read_json(PROMPTS), PROMPTS.path)
        return PromptSet(
            terms=tuple(Term(word=word, score=score) for word, score in file.professions.items()),
            templates=file.templates,
            hints=file.hints,
            training_hints=file.training_hints,
            source=PROMPTS,
        )
    return PromptSet(
        terms=professions(professions_list),
        templates=OWN_TEMPLATES if templates == "own" else DAMA_TEMPLATES,
        hints=HINT_TEMPLATES,
        training_hints=HINT_TEMPLATES_TRAIN,
        source=PROFESSIONS,
    )


def _check_places(template: Template, *places: str) -> Template:
    try:
        named = {name for _, name, _, _ in Formatter().parse(template.text) if name is not None}
    except ValueError:  # a brace without its other half
        named = set()
    if named != set(places):
        raise ValueError(f"text must have {list(places)} in braces, got {template.text!r}")
    return template


_Action: TypeAlias = Annotated[Template, AfterValidator(lambda it: _check_places(it, "profession"))]
_Hint: TypeAlias = Annotated[
    Template, AfterValidator(lambda it: _check_places(it, "profession", "possessive"))
]


class _PromptFile(Record):
    # Strict pydantic takes neither a list for a tuple nor a JSON object for a dataclass.
    model_config = ConfigDict(extra="forbid", strict=False)

    professions: Mapping[str, Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]]
    templates: tuple[_Action, ...]
    hints: tuple[_Hint, ...]
    training_hints: tuple[_Hint, ...]
