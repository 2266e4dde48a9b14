"""Questions of the user's own in BBQ's form: a context, a question and three answers.

Read as BBQ's rows are (`data.bbq`), but that little of a row must be there: the context, the
question, the answers and which is right. Which answer shows the bias is in a column, or follows by
BBQ's rule from the groups of the answers; without either there is no bias score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from equipoise.data.bbq import BbqItem
from equipoise.data.bbq_phrases import UNKNOWN as UNKNOWN_WORDS
from equipoise.data.bbq_targets import NamedPeople, marked_unknown, ruled_targets
from equipoise.data.hub_forms import bbq_question, label_number
from equipoise.errors import DataError
from equipoise.files.rows import FileRow, columns_of, show_columns
from equipoise.own_data.columns import (
    ID,
    Layout,
    OwnFile,
    Role,
    find_columns,
    ids_of,
    note_repeated,
    note_unread,
    read_own_file,
    role,
)
from equipoise.records import JSON, DataUse

CONTEXT: Final = role("context", "passage", needed=True)
QUESTION: Final = role("question", "query", needed=True)
LABEL: Final = role(
    "label", "answerlabel", "answer", "correct", "correctlabel", "correctanswer", "gold",
    "goldlabel", "goldindex", needed=True,
)  # fmt: skip
TARGET: Final = role("target", "targetlabel", "targetloc", "biased", "biasedanswer", "stereotype")
UNKNOWN: Final = role("unknown", "unknownlabel", "unknownanswer")
CATEGORY: Final = role("category", "axis", "biastype")
CONDITION: Final = role("condition", "contextcondition")
POLARITY: Final = role("polarity", "questionpolarity")
CLUSTER: Final = role("cluster_by", "cluster", "questionindex", "template", "templateid", "family")
ROLES: Final[tuple[Role, ...]] = (
    CONTEXT, QUESTION, LABEL, TARGET, UNKNOWN, CATEGORY, CONDITION, POLARITY, CLUSTER, ID,
)  # fmt: skip
_ANSWER_LISTS: Final = ("answers", "choices", "options")
_ANSWERS: Final = tuple(
    tuple(f"{name}{mark}" for mark in marks)
    for name in ("ans", "ans_", "answer", "answer_", "choice", "choice_", "option", "option_")
    for marks in ("012", "123", "abc", "ABC")
)
_LETTERS: Final = ("a", "b", "c")
_CONDITIONS: Final = {"ambiguous": "ambig", "disambiguated": "disambig"}
_POLARITIES: Final = {"negative": "neg", "nonnegative": "nonneg", "positive": "nonneg"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFile:
    """Questions of a file, and what is to be said of it."""

    use: DataUse
    items: tuple[BbqItem, ...]
    notes: tuple[str, ...]


def read_questions(
    file: str, named: Mapping[str, str | None], answers: tuple[str, ...] | None
) -> QuestionFile:
    """The questions of a file in its order.

    `named`: which column holds what, by `ROLES`; `answers`: the column of lists of three answers,
    or the three columns of answers; None: guessed. Raises `DataError` naming file and row.
    """
    source = read_own_file(file)
    rows = tuple(replace(row, cells=bbq_question(row, "")) for row in source.rows)
    source = replace(source, rows=rows)
    columns = _answer_columns(source, answers)
    layout = find_columns(source, ROLES, named, plugin="questions")
    reader = _Reader(layout, columns, counted_from=_first_number(source, layout, columns))
    ids = ids_of(source, layout, plugin="questions")
    items = reader.build_items(rows, ids)
    texts = [(f"{item.context}\n{item.question}",) for item in items]
    return QuestionFile(
        use=source.use,
        items=tuple(items),
        notes=(
            *layout.notes,
            *note_unread(source, (*layout.columns.values(), *columns, *_STRUCTURES)),
            *reader.notes(items),
            *note_repeated(texts, ids, "questions"),
        ),
    )


_STRUCTURES: Final = ("answer_info", "additional_metadata")


@dataclass(frozen=True, slots=True)
class _Reader:
    """What rows are read with."""

    layout: Layout
    answers: tuple[str, ...]
    counted_from: int  # the number of the first answer

    def build_items(self, rows: Sequence[FileRow], ids: Sequence[str]) -> list[BbqItem]:
        """With the targets of the rule, which looks at all rows, where no column has them."""
        built = [self._build_item(row, id) for row, id in zip(rows, ids, strict=True)]
        targets = ruled_targets([people for _, people in built])
        return [
            replace(item, ruled=ruled, target=ruled if item.target is None else item.target)
            if "polarity" in item.groups
            else item
            for (item, _), ruled in zip(built, targets, strict=True)
        ]

    def _build_item(self, row: FileRow, id: str) -> tuple[BbqItem, NamedPeople]:
        answers = _answers_of(row, self.answers)
        label = self._place(row, LABEL, answers)
        if label is None:
            raise DataError(f"{row.where}: the right answer must be given, got none; add it")
        info = _info_of(row)
        unknown = self._unknown(row, answers, info)
        condition = self._word(row, CONDITION, _CONDITIONS, ("ambig", "disambig"))
        if condition is None:
            if unknown is None:
                raise DataError(
                    f"{row.where}: without a condition one answer must be known to say that nobody "
                    f"can know, got {[answer[:30] for answer in answers]}; name a column of it "
                    "with --set questions.unknown=COLUMN, or a column of conditions with "
                    "--set questions.condition=COLUMN"
                )
            condition = "ambig" if label == unknown else "disambig"
        if condition == "ambig" and unknown is None:
            unknown = label
        if unknown is not None and (condition == "ambig") != (label == unknown):
            must = "the unknown answer" if condition == "ambig" else "another than the unknown one"
            raise DataError(
                f"{row.where}: the right answer of a question whose context is {condition} must be "
                f"{must}, got answer {label} (from 0); correct the row"
            )
        polarity = self._word(row, POLARITY, _POLARITIES, ("neg", "nonneg"))
        target = self._place(row, TARGET, answers)
        if target is not None and target == unknown:
            raise DataError(
                f"{row.where}: the answer that shows the bias must not be the unknown one, got "
                f"answer {target} (from 0); correct the row"
            )
        category = self.layout.label(row, CATEGORY.name) or "all"
        cluster = self.layout.label(row, CLUSTER.name)
        groups = {"category": category, "condition": condition}
        groups |= {} if polarity is None else {"polarity": polarity}
        question = id if cluster is None else f"{category}/{cluster}"
        people = NamedPeople(
            template=question,
            negative=polarity == "neg",
            info=info,
            texts=answers,
            unknown=unknown,
            stereotyped=_groups_of(row),
        )
        item = BbqItem(
            id=id,
            category=category,
            context=row.text(self.layout.columns[CONTEXT.name]).strip(),
            question=row.text(self.layout.columns[QUESTION.name]).strip(),
            answers=answers,
            words=tuple(word for word, _ in info),
            label=label,
            unknown=unknown,
            target=target,
            ruled=None,
            groups=groups | {"question": question},
        )
        return item, people

    def notes(self, items: Sequence[BbqItem]) -> list[str]:
        """What was inferred, and what has no bias score."""
        notes = []
        if CONDITION.name not in self.layout.columns:
            notes.append(
                "conditions: no column says them; a context is ambiguous where the unknown answer "
                "is right"
            )
        if UNKNOWN.name not in self.layout.columns:
            known = sum(item.unknown is not None for item in items)
            notes.append(
                "unknown answers: no column says them; they are known by their group or their "
                f"words, or as the right answer in an ambiguous context, in {known} of {len(items)}"
            )
        if CLUSTER.name not in self.layout.columns:
            notes.append("clusters: each row stands alone, as no column says which belong together")
        if self.counted_from:
            notes.append(f"answers are numbered from {self.counted_from}")
        lost = [item.id for item in items if item.target is None or item.unknown is None]
        if lost:
            notes.append(
                f"targets: not known in {len(lost)} of {len(items)} questions, the first is "
                f"'{lost[0]}'; they are in no bias score"
            )
        return notes

    def _place(self, row: FileRow, wanted: Role, answers: Sequence[str]) -> int | None:
        """The place of the answer that a cell names: by number, letter or its text."""
        value = self.layout.label(row, wanted.name)
        if value is None:
            return None
        places = set(_equal_places(value, answers))
        number = label_number(value)
        if number is not None:
            places.add(number - self.counted_from)
        elif value.casefold() in _LETTERS:
            places.add(_LETTERS.index(value.casefold()))
        places &= set(range(len(answers)))
        if len(places) != 1:
            got = f"'{value[:40]}'" + (", which may be meant as several" if places else "")
            raise DataError(
                f"{row.where}: '{self.layout.columns[wanted.name]}' must name an answer by its "
                f"number, letter or text, got {got}; correct the row"
            )
        return places.pop()

    def _unknown(
        self, row: FileRow, answers: Sequence[str], info: Sequence[tuple[str, str]]
    ) -> int | None:
        """The answer that nobody can know: by its column, its group, or its words."""
        place = self._place(row, UNKNOWN, answers)
        if place is not None:
            return place
        place = marked_unknown(info)
        if place is not None:
            return place
        worded = [i for i, answer in enumerate(answers) if UNKNOWN_WORDS.search(answer.casefold())]
        return worded[0] if len(worded) == 1 else None

    def _word(
        self, row: FileRow, wanted: Role, spellings: Mapping[str, str], known: Sequence[str]
    ) -> str | None:
        value = self.layout.label(row, wanted.name)
        if value is None:
            return None
        plain = value.casefold().replace("-", "").replace(" ", "")
        word = spellings.get(plain, plain)
        if word not in known:
            raise DataError(
                f"{row.where}: '{self.layout.columns[wanted.name]}' must be one of {list(known)}, "
                f"got '{value[:40]}'; correct the row"
            )
        return word


# --- answers ----------------------------------------------------------------------------------


def _answer_columns(source: OwnFile, named: tuple[str, ...] | None) -> tuple[str, ...]:
    """The column of lists of answers, or the three columns of answers."""
    known, name = columns_of(source.rows), source.use.name
    remedy = 'name them with --set \'questions.answers=["COLUMN", "COLUMN", "COLUMN"]\''
    if named is not None:
        missing = [column for column in named if column not in known]
        if missing:
            raise DataError(
                f"{name} must have a column '{missing[0]}', got {show_columns(known)}; {remedy}"
            )
        return named
    candidates = [columns for columns in _ANSWERS if set(columns) <= set(known)]
    candidates += [(column,) for column in _ANSWER_LISTS if column in known]
    if len(candidates) != 1:
        got = f"{len(candidates)} such sets of" if candidates else "none in"
        raise DataError(
            f"{name} must have three columns of answers (ans0, ans1, ans2), or a column of lists "
            f"(answers), got {got} {show_columns(known)}; {remedy}"
        )
    return candidates[0]


def _answers_of(row: FileRow, columns: Sequence[str]) -> tuple[str, ...]:
    listed = row.structure(columns[0]) if len(columns) == 1 else None
    answers: list[JSON] = (
        listed if isinstance(listed, list) else [row.text(column) for column in columns]
    )
    texts = [answer.strip() for answer in answers if isinstance(answer, str)]
    if len(answers) != 3 or len(set(filter(None, texts))) != 3:
        raise DataError(
            f"{row.where}: must have three different answers, got {len(answers)} of which "
            f"{len(set(filter(None, texts)))} are different texts; correct the row"
        )
    return tuple(texts)


def _equal_places(value: str, answers: Sequence[str]) -> list[int]:
    """The places of the answers whose text it is, without regard to case."""
    return [i for i, answer in enumerate(answers) if answer.casefold() == value.casefold()]


def _first_number(source: OwnFile, layout: Layout, columns: Sequence[str]) -> int:
    """The number of the first answer: 0, or 1 where there is a 3 and no 0.

    Raises `DataError` where the numbers may be meant either way.
    """
    named = (layout.columns.get(wanted.name) for wanted in (LABEL, TARGET, UNKNOWN))
    cells = [(row, row.label(column)) for column in named for row in source.rows]
    used = {
        label_number(value)
        for row, value in cells
        # the text of an answer may be a number
        if value is not None and not _equal_places(value, _answers_of(row, columns))
    } - {None}
    if not used or 0 in used or columns[0].endswith("0"):
        return 0
    if 3 in used:
        return 1
    raise DataError(
        f"{source.use.name}: the numbers of answers must tell whether they count from 0 or from 1, "
        f"got only {sorted(map(str, used))}; write the answers' letters or texts"
    )


def _info_of(row: FileRow) -> tuple[tuple[str, str], ...]:
    """Word and group of each answer, "" where the row is silent."""
    info = row.structure("answer_info")
    parts = [info.get(f"ans{place}") if isinstance(info, dict) else None for place in range(3)]
    lists = [part if isinstance(part, list) else [] for part in parts]
    return tuple(
        (str(part[0]) if part else "", str(part[-1]) if part[1:] else "") for part in lists
    )


def _groups_of(row: FileRow) -> tuple[str, ...]:
    """The stereotyped groups of a row's metadata."""
    metadata = row.structure("additional_metadata")
    groups = metadata.get("stereotyped_groups") if isinstance(metadata, dict) else None
    return tuple(map(str, groups)) if isinstance(groups, list) else ()
