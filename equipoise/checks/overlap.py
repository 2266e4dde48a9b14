"""What a method learnt and knows against what it is measured on: texts, terms, templates.

A text in both makes the number worthless. A term or a template in both makes it narrower: it says
how the method does on what it has seen.
"""

from collections.abc import Iterable, Mapping

from equipoise.checks.exposure import Learnt
from equipoise.checks.findings import Fault
from equipoise.records import Measurement, text_sha256
from equipoise.stats.pairing import ITEM, PREFIX

_SHOWN = 3  # names of groups
#: Keys under which benchmarks keep whom an example is about; a term is a term under any.
TERMS = ("profession", "target")
#: Keys that sort examples; that both sides have some of a sort is no overlap.
SORTS = frozenset(
    {"axis", "task", "task_axis", "bias_type", "direction", "type_direction", "scale", "hint"}
    | {"kind", PREFIX, ITEM}
)


def text_faults(learnt: Learnt, texts: Iterable[str]) -> tuple[int, list[Fault]]:
    """How many different texts were compared with those learnt, and a fault if some are equal."""
    measured = {text_sha256(text) for text in texts}
    shared = measured & learnt.texts
    if not shared:
        return len(measured), []
    return len(measured), [
        Fault(
            text=f"{len(shared)} of the {len(measured)} texts measured were learnt from "
            f"({learnt.origin}); measure another split"
        )
    ]


def group_faults(learnt: Learnt, measurement: Measurement) -> tuple[int, list[Fault]]:
    """How many groups were compared with those learnt, and the kinds that share some."""
    known = _kinds((key, name) for key, names in learnt.groups.items() for name in names)
    measured = _kinds(
        (key, name) for outcome in measurement.outcomes for key, name in outcome.groups.items()
    )
    checked, faults = 0, []
    for kind in (kind for kind in measured if kind in known):
        checked += len(measured[kind])
        shared = sorted(measured[kind].keys() & known[kind].keys())
        if shared:
            names = [measured[kind][name] for name in shared[:_SHOWN]]
            more = ", …" if len(shared) > _SHOWN else ""
            faults.append(
                Fault(
                    text=f"by '{kind}', {len(shared)} of the {len(measured[kind])} groups measured "
                    f"were learnt from ({learnt.origin}): {', '.join(names)}{more}",
                    level="warning",
                )
            )
    return checked, faults


def item_info_faults(learnt: Learnt) -> list[Fault]:
    """What a method is given of the items it is measured on."""
    return [
        Fault(
            text=f"the method is given the {label} of each item it is measured on, which a user of "
            "the model would have to supply",
            level="warning",
        )
        for label in learnt.item_info
    ]


def _kinds(groups: Iterable[tuple[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """Kind of group to its names without case, each with the name as it is written."""
    kinds: dict[str, dict[str, str]] = {}
    for key, name in groups:
        if key not in SORTS:
            kind = "term" if key in TERMS else key
            kinds.setdefault(kind, {})[name.casefold()] = name
    return kinds
