"""What a method learnt from, kept beside its edit, and whether that is what is measured.

Texts are kept as hashes, with terms, templates and item information. A text in both makes the
number worthless. People or a template in both make it narrower: it says how the method does on
what it has seen. Terms are compared by the people they name: "Syria" measured, "Syrian" learnt.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import StringConstraints, TypeAdapter

from equipoise.checks.faults import Fault
from equipoise.files.atomic import write_file
from equipoise.files.json_records import read_record
from equipoise.group_words.learnt_people import PEOPLE
from equipoise.group_words.people import Aliases, with_own
from equipoise.records import Contrast, Measurement, Prompt, Supply
from equipoise.rows import LEARNT, text_sha256
from equipoise.stats.pairing import ITEM, PREFIX

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

_SHOWN = 3  # names of groups
#: Keys under which benchmarks keep whom an example is about; a term is a term under any.
TERMS = ("profession", "target")
TERM: Final = "term"
#: Keys that sort examples; that both sides have some of a sort is no overlap.
SORTS = frozenset(
    {"axis", "task", "task_axis", "bias_type", "direction", "type_direction", "scale", "hint"}
    | {"kind", PREFIX, ITEM}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What a method may have learnt from."""

    origin: str  # of the supply, e.g. "genbias(split_by=profession):train"
    texts: frozenset[Sha256]  # of each text (`rows.text_sha256`)
    groups: Mapping[str, tuple[str, ...]]  # key to groups, sorted
    item_info: tuple[str, ...]  # `Mitigation.item_info`
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)  # `Supply.aliases`


_LEARNT = TypeAdapter(Learnt)


def learnt_from(
    supply: Supply, *, item_info: tuple[str, ...] = (), trained_on: frozenset[str] | None = None
) -> Learnt:
    """What a method that was given this supply may have learnt.

    `trained_on`: the texts that its edit says it learnt from (`EditInfo.trained_on`); groups are
    then those of examples with any of them, and a method that learns nothing has none. None: all
    that was supplied.
    """
    texts = supply.learnt_hashes() if trained_on is None else trained_on
    prompts = (*supply.prompts, *supply.hinted, *supply.dev)
    contrasts = (*supply.contrasts, *supply.dev_contrasts)
    used: list[Prompt | Contrast] = [
        *(prompt for prompt in prompts if text_sha256(prompt.text) in texts),
        *(
            contrast
            for contrast in contrasts
            # as the edit's own hashes were made, from whole texts
            if Supply(origin="", contrasts=(contrast,)).learnt_hashes() & texts
        ),
    ]
    groups: dict[str, set[str]] = {}
    for example in used:
        for key, name in example.groups.items():
            groups.setdefault(key, set()).add(name)
    return Learnt(
        origin=supply.origin,
        texts=texts,
        groups={key: tuple(sorted(names)) for key, names in sorted(groups.items())},
        item_info=item_info,
        aliases=supply.aliases,
    )


def write_learnt(file: Path | str, learnt: Learnt) -> None:
    """Write it as JSON, whole or not at all; a file of that name is replaced.

    Raises `StoreError` when the file cannot be written.
    """
    # sorted, as the order of a set differs between processes and a step's bytes must not
    document = {**dataclasses.asdict(learnt), "texts": sorted(learnt.texts)}
    write_file(Path(file), json.dumps(document, indent=1) + "\n", what="record of what was learnt")


def read_learnt(file: Path | str) -> Learnt:
    """Read what `write_learnt` wrote.

    Raises `StoreError` naming the file when it is missing or cut, or when an entry is missing or
    not what it must be: half of what was learnt would pass for all of it.
    """
    return read_record(Path(file), _LEARNT)


def text_faults(learnt: Learnt, texts: Iterable[str]) -> tuple[int, list[Fault]]:
    """How many different texts were compared with those learnt, and a fault if some are equal."""
    measured = {text_sha256(text) for text in texts}
    shared = measured & learnt.texts
    text = (
        f"{len(shared)} of the {len(measured)} texts measured were learnt from ({learnt.origin}); "
        "measure another split"
    )
    return len(measured), [Fault(text)] if shared else []


def group_faults(learnt: Learnt, measurement: Measurement) -> tuple[int, list[Fault]]:
    """How many groups were compared with those learnt, and the kinds that share some.

    Of a benchmark without terms, how many of its items name people that were learnt.
    """
    aliases = with_own(learnt.aliases)
    known = _group_by_kind(
        ((key, name) for key, names in learnt.groups.items() for name in names), aliases
    )
    measured = _group_by_kind(
        ((key, name) for each in measurement.outcomes for key, name in each.groups.items()), aliases
    )
    checked, faults = 0, []
    for kind in (kind for kind in measured if kind in known):
        checked += len(measured[kind])
        shared = sorted(measured[kind].keys() & known[kind].keys())
        if shared:
            names = [_describe(measured[kind][name], known[kind][name]) for name in shared[:_SHOWN]]
            more = ", …" if len(shared) > _SHOWN else ""
            faults.append(
                Fault(
                    f"by '{kind}', {len(shared)} of the {len(measured[kind])} groups measured "
                    f"were learnt from ({learnt.origin}): {', '.join(names)}{more}",
                    "warning",
                )
            )
    items = [outcome.groups[PEOPLE] for outcome in measurement.outcomes if PEOPLE in outcome.groups]
    if items and TERM not in measured:
        checked += len(items)
        if LEARNT in items:
            named = f"{items.count(LEARNT)} of the {len(items)} items measured name people that"
            faults.append(Fault(f"{named} were learnt from ({learnt.origin})", "warning"))
    return checked, faults


def item_info_faults(learnt: Learnt) -> list[Fault]:
    """What a method is given of the items it is measured on."""
    return [
        Fault(
            f"the method is given the {label} of each item it is measured on, which a user of "
            "the model would have to supply",
            "warning",
        )
        for label in learnt.item_info
    ]


def _group_by_kind(
    groups: Iterable[tuple[str, str]], aliases: Aliases
) -> Mapping[str, Mapping[str, str]]:
    """Kind of group to its names without case, of terms their people; each as it is written."""
    kinds: dict[str, dict[str, str]] = {}
    for key, name in groups:
        if key not in SORTS:
            kind = TERM if key in TERMS else key
            plain = aliases.of(name) if kind == TERM else name.casefold()
            kinds.setdefault(kind, {})[plain] = name
    return kinds


def _describe(measured: str, known: str) -> str:
    """A name as it was measured, and what it was learnt as where that is another."""
    return measured if measured.casefold() == known.casefold() else f"{measured} (as {known})"
