"""A file of the user's own, and which of its columns holds what: named by options, or guessed."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from equipoise.data.documents import read_content
from equipoise.errors import DataError, nearest
from equipoise.files.parsing import unpack
from equipoise.files.rows import FileRow, columns_of, read_rows, show_columns
from equipoise.records import DataUse

#: Named as a column: the file has none of the kind, whatever its names look like.
ABSENT: Final = "-"
#: Of a text; a suffix may follow, as in StereoSet's "BLANKed", but no capitals: BLANKET is none.
BLANK: Final = re.compile(r"\[?(?<!\w)BLANK(?![A-Z])\]?|_{2,}")
#: Words of a column's name that say nothing of what its texts are.
_IDLE: Final = frozenset({"sentence", "sent", "text", "column", "the"})


@dataclass(frozen=True, slots=True)
class Role:
    """What a column may hold; `name` is the option that names it, too."""

    name: str
    #: Usual names of such a column, as `_plain` has them; those of a later tier only without any
    #: of an earlier tier.
    usual: tuple[frozenset[str], ...]
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """Rows of a file of the user's own."""

    use: DataUse
    rows: tuple[FileRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Which column holds what."""

    columns: Mapping[str, str]  # by the name of a role; a role without a column is not there
    notes: tuple[str, ...]  # what was guessed

    def label(self, row: FileRow, role: str) -> str | None:
        """The name or number in a role's column; None without it."""
        column = self.columns.get(role)
        return None if column is None else row.label(column)

    def text(self, row: FileRow, role: str) -> str | None:
        """The text in a role's column; None without it. Raises `DataError` for another value."""
        column = self.columns.get(role)
        return None if column is None or row.label(column) is None else row.text(column)


def role(name: str, *usual: str, needed: bool = False) -> Role:
    """A role with its usual names in a single tier."""
    return Role(name, (frozenset({name, *usual}),), needed)


AXIS: Final = role("axis", "biastype", "bias", "category", "domain", "stereotypetype")
TARGET: Final = role("target", "targetterm", "term", "profession", "occupation")
CLUSTER: Final = role("cluster_by", "cluster", "clusterid", "family", "templateid", "template")
ID: Final = Role(
    "id",
    (
        frozenset({"id", "pairid", "itemid", "exampleid", "questionid", "promptid", "uid"}),
        frozenset({"", "unnamed0", "index"}),
    ),
)
#: The column that is read as a group where the option `groups` names none.
GROUP: Final = "group"
#: Keys that outcomes have without being columns.
_RESERVED: Final = ("axis", "direction", "target", "cluster", "prefix", "item")


def read_own_file(file: str) -> OwnFile:
    """A file by its path, else in the data folder; plain, .gz or .xz.

    Raises `DataError` naming file and place: unreadable, of another form, or without a row.
    """
    content, use = read_content(file)
    return OwnFile(use=use, rows=tuple(read_rows(unpack(content, use.name), use.name)))


def find_columns(
    file: OwnFile, roles: Sequence[Role], named: Mapping[str, str | None], *, plugin: str | None
) -> Layout:
    """The column of each role: the named column, else the only column with a usual name.

    `named`: by role; None: to be guessed; `ABSENT`: none. `plugin` has options that name columns;
    None: the file's own names must do, which is what errors then say. Raises `DataError` listing
    the columns for a column that is not there, for a role that is needed and has none, and where
    several could be meant.
    """
    known, name = columns_of(file.rows), file.use.name
    columns: dict[str, str] = {}
    guessed: list[str] = []
    for wanted in roles:
        column = named.get(wanted.name)
        option = f"--set {plugin}.{wanted.name}=COLUMN"
        choose, name_it = f"name one with {option}", f"name it with {option}"
        if plugin is None:
            choose, name_it = "take the others out", f"call it '{wanted.name}' in the file"
        if column is not None and column != ABSENT and column not in known:
            raise DataError(
                f"{name} must have a column '{column}', got {show_columns(known)}; "
                f"{nearest(column, known)}"
            )
        if column is None:
            matches = _guess(wanted, known)
            if len(matches) > 1:
                raise DataError(
                    f"{name} must have a single column of {wanted.name}, got "
                    f"{show_columns(matches)} of {show_columns(known)}; {choose}"
                )
            column = matches[0] if matches else ABSENT
            guessed += [f"{wanted.name} is '{column}'"] if matches else []
        if column != ABSENT:
            columns[wanted.name] = column
        elif wanted.needed:
            raise DataError(
                f"{name} must have a column of {wanted.name}, got {show_columns(known)}; {name_it}"
            )
    _refuse_shared(columns, name)
    notes = (
        [f"columns, guessed by their names: {', '.join(guessed)}; options name others"]
        if guessed
        else []
    )
    return Layout(columns=columns, notes=tuple(notes))


def check_groups(columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The columns of groups. Raises `ValueError` for a name twice, or that outcomes have anyway."""
    for column in columns or ():
        if column in _RESERVED or (columns or ()).count(column) > 1:
            raise ValueError(f"must name other columns than {list(_RESERVED)}, each once")
    return columns


def groups_of(file: OwnFile, names: tuple[str, ...] | None) -> tuple[str, ...]:
    """The columns of groups: those named, else `GROUP` where it is there.

    Raises `DataError` for a column that is not there.
    """
    known = columns_of(file.rows)
    for column in names or ():
        if column not in known:
            raise DataError(
                f"{file.use.name} must have a column '{column}', got {show_columns(known)}; "
                f"{nearest(column, known)}"
            )
    return names if names is not None else (GROUP,) if GROUP in known else ()


def labelled_columns(
    file: OwnFile, layout: Layout, roles: Iterable[Role], names: tuple[str, ...] | None
) -> dict[str, str]:
    """Group key to its column: those of the roles that the file has, and those of `groups_of`."""
    known = [part.name for part in roles if part.name in layout.columns]
    groups = {column: column for column in groups_of(file, names)}
    return {name: layout.columns[name] for name in known} | groups


def note_unread(file: OwnFile, read: Iterable[str]) -> list[str]:
    """A note of the columns that were not read."""
    unread = [column for column in columns_of(file.rows) if column not in set(read)]
    return [f"columns that are not read: {show_columns(unread)}"] if unread else []


def labels_of(row: FileRow, columns: Mapping[str, str]) -> dict[str, str]:
    """Group key to the label in its column; a key whose cell is missing is left out."""
    labels = {key: row.label(column) for key, column in columns.items()}
    return {key: label for key, label in labels.items() if label is not None}


def ids_of(file: OwnFile, layout: Layout, *, plugin: str | None) -> list[str]:
    """An id for each row: of its column, else its place in the file.

    Raises `DataError` for an id that is there twice, or missing.
    """
    column = layout.columns.get(ID.name)
    if column is None:
        return [row.place for row in file.rows]
    seen: dict[str, str] = {}
    for row in file.rows:
        id = row.label(column)
        remedy = f"correct it, or number the rows by their places with --set {plugin}.id={ABSENT}"
        if plugin is None:
            remedy = f"correct it, or take the column '{column}' out"
        if id is None:
            raise DataError(f"{row.where}: column '{column}' must have an id, got none; {remedy}")
        if id in seen:
            raise DataError(
                f"{row.where}: id '{id[:60]}' must be there once, {seen[id]} has it too; {remedy}"
            )
        seen[id] = row.place
    return list(seen)


def note_repeated(keys: Sequence[Iterable[str]], places: Sequence[str], what: str) -> list[str]:
    """A note where a text stands in several rows; `keys` are the texts of each row."""
    rows = Counter(key for texts in keys for key in set(texts))
    repeated = {key for key, count in rows.items() if count > 1}
    if not repeated:
        return []
    among = [
        place for place, texts in zip(places, keys, strict=True) if not repeated.isdisjoint(texts)
    ]
    return [
        f"the same text twice: {len(repeated)} texts stand in {len(among)} of the {len(keys)} "
        f"{what}, the first is {among[0]}; intervals take them as independent unless they are in a "
        "cluster"
    ]


def _plain(name: str) -> str:
    """A column's name without case, marks and idle words: "Sent_More" is "more"."""
    parts = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.split(r"[\W_]+", parts.casefold())
    return "".join(word for word in words if word not in _IDLE) or "".join(words)


def _guess(wanted: Role, known: Sequence[str]) -> list[str]:
    for usual in wanted.usual:
        matches = [column for column in known if _plain(column) in usual]
        if matches:
            return matches
    return []


def _refuse_shared(columns: Mapping[str, str], name: str) -> None:
    """Refuse a column for two roles, but that of clusters, which may be the target or the axis."""
    for column, count in Counter(columns.values()).items():
        shared = [role for role, chosen in columns.items() if chosen == column]
        if count > 1 and not set(shared) <= {CLUSTER.name, TARGET.name, AXIS.name}:
            raise DataError(
                f"{name}: a column must hold a single thing, got '{column}' for "
                f"{' and '.join(shared)}; name another column"
            )
