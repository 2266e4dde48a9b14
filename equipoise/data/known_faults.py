"""Known faults of benchmarks' files as data: which examples have them, by kind.

`faults/NAME.yaml` has a file's kinds with the rule by which each was counted, and the ids. A user's
own list, such as the audit of StereoSet and CrowS-Pairs by Blodgett et al. 2021
(https://aclanthology.org/2021.acl-long.81), adds kinds: `NAME/audit.csv` in the data folder, a
table with the columns `id` and `kind`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Annotated, Final

from annotated_types import MinLen

from equipoise.data.sources import OWN_LICENCE, Source, read_table
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError, nearest
from equipoise.files.yaml_data import parse_yaml
from equipoise.records import DataUse

#: In place of the names of kinds: every kind; and what those of the user's own list begin with.
ALL, AUDIT = "all", "audit:"
_FOLDER: Final = resources.files("equipoise.data").joinpath("faults")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """A fault, and the examples that have it."""

    name: str
    says: str  # what is wrong with an example, a sentence's part
    ids: frozenset[str]  # of the examples
    rule: str = ""  # how it was counted
    advice: str = ""  # what to do about it


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultList:
    """The kinds of a benchmark's files."""

    metrics: tuple[str, ...]  # that are given without the faulty examples, too
    #: sha256 of files beside the official ones that the ids are of; None: no other example has them
    counted_on: tuple[str, ...] | None
    kinds: tuple[FaultKind, ...]

    def holds_for(self, files: Sequence[DataUse]) -> bool:
        """Whether the ids are those of the examples in these files.

        A file of the user's own beside official files has ids of its own.
        """
        known = self.counted_on
        return known is None or all(
            file.verified is not False or file.sha256 in known for file in files
        )


class _Kind(Record):
    says: Text
    rule: Text
    advice: Text
    count: int
    ids: Text


class _File(Record):
    metrics: Annotated[list[Text], MinLen(1)]
    counted_on: list[Text] | None = None
    kinds: dict[str, _Kind]


@lru_cache
def fault_list(benchmark: str) -> FaultList | None:
    """The list of a benchmark, by its name; None: there is none."""
    file = _FOLDER.joinpath(f"{benchmark}.yaml")
    if not benchmark.isidentifier() or not file.is_file():
        return None
    document, _ = parse_yaml(file.read_text(encoding="utf-8"), file.name, "list of faults")
    content = read_record(_File, document, file.name)
    kinds = []
    for name, kind in content.kinds.items():
        ids = frozenset(kind.ids.split(", "))
        if len(ids) != kind.count:
            raise DataError(
                f"{file.name}: {name} must have {kind.count} ids, got {len(ids)}; count again"
            )
        kinds.append(
            FaultKind(name=name, says=kind.says, rule=kind.rule, advice=kind.advice, ids=ids)
        )
    known = content.counted_on
    return FaultList(
        metrics=tuple(content.metrics),
        counted_on=None if known is None else tuple(known),
        kinds=tuple(kinds),
    )


def audit(benchmark: str) -> Source:
    """Where the user's own list of a benchmark's faults lies, if there is any."""
    return Source(f"{benchmark}/audit.csv", licence=OWN_LICENCE)


def audited_kinds(benchmark: str) -> tuple[FaultKind, ...]:
    """The kinds of the user's own list, in its order, as "audit:KIND"; none without it.

    Raises `DataError` for a missing column and for an empty cell.
    """
    source = audit(benchmark)
    if source.local_file() is None:
        return ()
    ids: dict[str, set[str]] = {}
    for row in read_table(source, ("id", "kind")):
        ids.setdefault(row.text("kind").strip(), set()).add(row.text("id").strip())
    return tuple(
        FaultKind(
            name=f"{AUDIT}{kind}",
            says=f"it is '{kind}' by {source.path}",
            ids=frozenset(of_kind),
        )
        for kind, of_kind in ids.items()
    )


def audit_used(benchmark: str, names: Sequence[str]) -> tuple[DataUse, ...]:
    """The user's own list, where these kinds are of it; every kind is, where there is a list."""
    source = audit(benchmark)
    wanted = any(name == ALL or name.startswith(AUDIT) for name in names)
    return (source.use(),) if wanted and source.local_file() is not None else ()


def known_names(benchmark: str) -> tuple[str, ...]:
    """The names of the kinds of our list; none without a list."""
    ours = fault_list(benchmark)
    return tuple(kind.name for kind in ours.kinds) if ours else ()


def check_kinds(benchmark: str, names: Sequence[str]) -> None:
    """Raise `ValueError` for a name that is no kind of ours; the user's own may come later."""
    if not names:
        return  # the list, which takes a moment to read, is not asked
    known = [ALL, *known_names(benchmark)]
    for name in names:
        if name not in known and not name.startswith(AUDIT):
            raise ValueError(f"'{name}' is no kind of fault; {nearest(name, known)}")


def faulty_ids(benchmark: str, names: Sequence[str], files: Sequence[DataUse]) -> frozenset[str]:
    """Ids of the examples in these files that have any fault of these kinds.

    Raises `DataError` for kinds of ours where the files are others than those counted, and for a
    kind that the user's own list lacks.
    """
    of_files = applying(fault_list(benchmark), files)
    kinds = {kind.name: kind for kind in (*of_files, *audited_kinds(benchmark))}
    for name in names:
        if name in kinds or (name == ALL and kinds):
            continue
        if name.startswith(AUDIT):
            audited = [kind for kind in kinds if kind.startswith(AUDIT)]
            raise DataError(
                f"{audit(benchmark).path} must have the kind '{name.removeprefix(AUDIT)}', it has "
                f"not; {nearest(name, audited)}"
            )
        others = ", ".join(file.name for file in files if file.verified is False)
        raise DataError(
            f"the faults of {benchmark} are known by the ids of its official file, got another "
            f"({others}); list them in {audit(benchmark).path}, or leave without_faults out"
        )
    chosen = kinds if ALL in names else names
    return frozenset(id for name in chosen for id in kinds[name].ids)


def applying(known: FaultList | None, files: Sequence[DataUse]) -> tuple[FaultKind, ...]:
    """The kinds of a list, if its ids are those of these files."""
    return known.kinds if known is not None and known.holds_for(files) else ()
