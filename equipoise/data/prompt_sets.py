"""PromptSet: professions and the templates they are put into, shared out into splits.

Whatever is asked of a person (`axes`), a profession and a template fall in the same share.

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

from equipoise.data.axes import GENDER, Axis
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
    for_axis,
    situation,
)
from equipoise.data.sources import Source, read_json
from equipoise.data.validation import Record, read_record
from equipoise.records import DataUse

PROMPTS: Final = Source(path="professions/prompts.json", licence="own")

TemplateSet: TypeAlias = Literal["own", "dama"]
#: What the training, dev and test prompts do not share.
SplitBy: TypeAlias = Literal["random", "profession", "template", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """Professions, templates after which an answer comes, and templates that hint at it."""

    terms: tuple[Term, ...]
    templates: tuple[Template, ...]
    hints: tuple[Template, ...]  # to measure on
    training_hints: tuple[Template, ...]  # to learn from; no text in common with `hints`
    files: tuple[DataUse, ...]  # behind the professions, and behind what is the user's own
    axis: Axis = GENDER  # which answers come

    def situations(self, split: str, *, split_by: SplitBy, seed: int) -> list[Situation]:
        """The prompts of "train", "dev" or "test", or "all", template by template.

        "random" shares out the prompts themselves; "profession" and "template" keep those of a
        split out of the others, templates scale by scale; "both" keeps both apart, and a prompt
        whose profession and template fall in different shares is then in none but "all".
        """
        chosen = [
            situation(term, template, self.axis)
            for template in self.templates
            for term in self.terms
        ]
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
    professions_list: ProfessionList = "prof262",
    templates: TemplateSet = "own",
    axis: Axis = GENDER,
) -> PromptSet:
    """A list of professions with our templates, or all that a data folder has of its own.

    Raises `DataError` naming the file and the place of a fault.
    """
    source = PROFESSIONS
    terms: tuple[Term, ...] = ()
    families = (
        OWN_TEMPLATES if templates == "own" else DAMA_TEMPLATES,
        HINT_TEMPLATES,
        HINT_TEMPLATES_TRAIN,
    )
    if PROMPTS.local_file() is not None:
        source = PROMPTS
        file = read_record(_PromptFile, read_json(PROMPTS), PROMPTS.path)
        terms = tuple(Term(word=word, score=score) for word, score in file.professions.items())
        families = (file.templates, file.hints, file.training_hints)
    plain, hints, training_hints = (
        tuple(for_axis(template, axis) for template in family) for family in families
    )
    return PromptSet(
        terms=terms or professions(professions_list),
        templates=plain,
        hints=hints,
        training_hints=training_hints,
        files=(source.use(),),
        axis=axis,
    )


def place_fault(text: str, *places: str) -> str | None:
    """What is wrong with a template that must have exactly these places in braces; None: nothing.

    As a part of a sentence: "text must have ['profession'] in braces, got 'He slept because'".
    """
    try:
        parts = [part for part in Formatter().parse(text) if part[1] is not None]
    except ValueError:  # a brace without its other half
        parts = []
    # as "{profession!r}" and "{profession:9}" say how to write it
    plain = not any(form or conversion for _, _, form, conversion in parts)
    named = {name for _, name, _, _ in parts} if plain else set()
    return None if named == set(places) else f"must have {list(places)} in braces, got {text!r}"


def _check_places(template: Template, *places: str) -> Template:
    fault = place_fault(template.text, *places)
    if fault is not None:
        raise ValueError(f"text {fault}")
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
