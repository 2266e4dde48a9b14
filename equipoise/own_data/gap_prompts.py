"""Prompts of `genbias` and `genhint`: which are asked, of which axis, and those of a user's file.

A file has a row for each part, in any usual form (`files.rows`): column `part` says what the row
is, column `text` what it holds, and further columns what belongs to it:

    part,text,score,scale,hint
    profession,nurse,-0.8,,
    template,The {profession} yawned because his race is,,word,
    hint,The {hint} {profession} took a break because his race is,,,
    training hint,The {hint} {profession} went out because his race is,,,
    answer,white,,,white

What a file has none of is as without the file: its templates are whole texts, to which nothing is
added, the built-in templates end in what the axis asks for.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import replace
from itertools import permutations
from typing import Final, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.data.axes import AXES, Answer, Axis, AxisName, named_answer, with_words
from equipoise.data.professions import ProfessionList
from equipoise.data.prompt_sets import PromptSet, TemplateSet, place_fault, prompt_set
from equipoise.data.situations import Template, Term
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.files.rows import FileRow
from equipoise.own_data.columns import Layout, Role, find_columns, note_unread, read_own_file, role
from equipoise.records import OPTIONS, DataUse

_PARTS: Final = ("profession", "template", "hint", "training hint", "answer")
_ROLES: Final[tuple[Role, ...]] = (
    role("part", "kind", needed=True), role("text", "word", needed=True),
    role("name"), role("score"), role("scale"), role("hint"),
)  # fmt: skip


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class GapPromptFile:
    """What a file of the user's own has; an empty part is as without the file."""

    use: DataUse
    terms: tuple[Term, ...] = ()
    templates: tuple[Template, ...] = ()
    hints: tuple[Template, ...] = ()
    training_hints: tuple[Template, ...] = ()
    answers: tuple[Answer, ...] = ()
    unhinted: frozenset[str] = frozenset()  # words of answers whose hint the file does not give
    notes: tuple[str, ...] = ()  # on columns that are not read


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AxisOptions:
    """What prompts ask of a person, and what of them is the user's own."""

    #: what the answer tells of the person; all but gender have several answers (docs)
    axis: AxisName = "gender"
    words: tuple[str, ...] | None = None  # the answers, in place of the axis' own
    #: professions, templates, hints and answers of your own (docs); also in the data folder
    file: str | None = None

    @model_validator(mode="after")
    def _check_words(self) -> Self:
        if self.words is not None:
            plain = [word.strip().casefold() for word in self.words]
            if len(plain) < 2 or len(set(plain)) < len(plain) or not all(plain):
                raise ValueError(
                    f"words must be two or more, different whatever their case, got {self.words}"
                )
            for shorter, longer in _nested_answers([word.strip() for word in self.words]):
                raise ValueError(
                    f"words must not begin with each other, got '{longer}' beside '{shorter}', "
                    "whose probability holds it already; take either out"
                )
        return self

    @property
    def pronouns(self) -> bool:
        """Whether the answers are "he" and "she" as the paper has them, and no others are named."""
        return self.resolved_axis().name == "gender"

    def resolved_axis(self) -> Axis:
        """The axis with the answers that are named, by the option or in the file.

        Raises `DataError` naming file and line, and `RecipeError` where both name answers.
        """
        axis = AXES[self.axis]
        parts = None if self.file is None else read_gap_prompts(self.file)
        answers = () if parts is None else parts.answers
        if answers and self.words is not None:
            raise RecipeError(
                f"words must not be given beside the answers of {self.file}, got "
                f"{list(self.words)}; take either out"
            )
        if parts is not None and answers:
            if not (axis.ending or parts.hints or parts.training_hints):
                # the built-in hints are possessives then, which a word alone is not
                known = with_words(axis, [answer.word.strip() for answer in answers]).answers
                answers = tuple(
                    possessive if given.word in parts.unhinted else given
                    for given, possessive in zip(answers, known, strict=True)
                )
            return replace(axis, name="own", answers=answers)
        if self.words is None:
            return axis
        axis = with_words(axis, [word.strip() for word in self.words])
        return replace(axis, name="own")

    def resolved_prompts(self, professions: ProfessionList, templates: TemplateSet) -> PromptSet:
        """The prompts: those of the file where it has a part, else built-in ones.

        Raises as `resolved_axis`.
        """
        prompts = prompt_set(professions, templates, self.resolved_axis())
        if self.file is None:
            return prompts
        parts = read_gap_prompts(self.file)
        return replace(
            prompts,
            terms=parts.terms or prompts.terms,
            templates=parts.templates or prompts.templates,
            hints=parts.hints or prompts.hints,
            training_hints=parts.training_hints or prompts.training_hints,
            # of the built-in file nothing is used but its professions
            files=(parts.use,) if parts.terms else (*prompts.files, parts.use),
        )


def refuse_unhinted(axis: Axis) -> None:
    """Raise `RecipeError` for an answer of which no hint is known."""
    for answer in axis.answers:
        if not answer.hint:
            raise RecipeError(
                f"an answer must have a hint that settles it, '{answer.word.strip()}' has none; "
                "give it one in the column 'hint' of a file of your own, as docs/your-data.md shows"
            )


def read_gap_prompts(file: str) -> GapPromptFile:
    """The parts of a file. Raises `DataError` naming file and line for a fault."""
    source = read_own_file(file)
    layout = find_columns(source, _ROLES, {}, plugin=None)
    parts: dict[str, list[FileRow]] = {part: [] for part in _PARTS}
    for row in source.rows:
        part = (layout.label(row, "part") or "").casefold().replace("_", " ")
        if part not in parts:
            raise DataError(
                f"{row.where}: part must be one of {list(_PARTS)}, got '{part}'; "
                f"{nearest(part, _PARTS)}"
            )
        parts[part].append(row)
    names = {part: _refuse_repeated(rows, layout) for part, rows in parts.items()}
    if len(parts["answer"]) == 1:
        raise DataError(
            f"{parts['answer'][0].where}: there must be two answers or more, got 1; add another row"
        )
    answers = {
        word: named_answer(word, hint=layout.label(row, "hint"))
        for word, row in names["answer"].items()
    }
    _refuse_alike(answers, names["answer"])
    return GapPromptFile(
        use=source.use,
        terms=tuple(
            Term(word=word, score=_score(row, layout)) for word, row in names["profession"].items()
        ),
        templates=_templates(names["template"], layout, "profession"),
        hints=_templates(names["hint"], layout, "profession", "hint"),
        training_hints=_templates(names["training hint"], layout, "profession", "hint"),
        answers=tuple(answers.values()),
        unhinted=frozenset(
            answers[word].word
            for word, row in names["answer"].items()
            if layout.label(row, "hint") is None
        ),
        notes=tuple(note_unread(source, layout.columns.values())),
    )


def _nested_answers(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Answers of which the first is the beginning of the second: "white", "white man".

    The probability of the first holds that of the second.
    """
    for shorter, longer in permutations(words, 2):
        head, text = shorter.casefold(), longer.casefold()
        if text.startswith(head) and not text[len(head)].isalnum():
            yield shorter, longer


def _refuse_alike(answers: Mapping[str, Answer], rows: Mapping[str, FileRow]) -> None:
    """Raise `DataError` for answers that a hint, or a text, does not tell from each other."""
    hints: dict[str, str] = {}
    for word, answer in answers.items():
        hint = answer.hint.casefold()
        if hint in hints:
            raise DataError(
                f"{rows[word].where}: a hint must settle the answer, got '{answer.hint}' for "
                f"'{hints[hint]}', too; change it"
            )
        hints[hint] = word
    for shorter, longer in _nested_answers(list(answers)):
        raise DataError(
            f"{rows[longer].where}: an answer must not begin with another, got '{longer}' beside "
            f"'{shorter}', whose probability holds it already; take either out"
        )


def _refuse_repeated(rows: Sequence[FileRow], layout: Layout) -> dict[str, FileRow]:
    """The rows of a part by their texts, which may be there once."""
    known: dict[str, FileRow] = {}
    for row in rows:
        text = row.text(layout.columns["text"]).strip()
        if text.casefold() in (other.casefold() for other in known):
            raise DataError(f"{row.where}: a text must be there once, got '{text}' again; drop it")
        known[text] = row
    return known


def _score(row: FileRow, layout: Layout) -> float:
    """A profession's stereotype score; nan where none is given."""
    given = layout.label(row, "score")
    try:
        score = math.nan if given is None else float(given)
    except ValueError:
        score = math.inf
    if given is not None and not -1 <= score <= 1:
        raise DataError(
            f"{row.where}: score must be a number from -1 (as female) to 1, got '{given}'; "
            "correct it, or leave it out"
        )
    return score


def _templates(rows: Mapping[str, FileRow], layout: Layout, *places: str) -> tuple[Template, ...]:
    templates: dict[str, Template] = {}
    for text, row in rows.items():
        fault = place_fault(text, *places)
        if fault is not None:
            raise DataError(f"{row.where}: a template {fault}; correct it")
        name = layout.label(row, "name") or text
        if name in templates:
            raise DataError(f"{row.where}: a name must be there once, got '{name}'; change it")
        scale = "hint" if "hint" in places else layout.label(row, "scale") or "own"
        templates[name] = Template(name=name, text=text, scale=scale)
    return tuple(templates.values())
