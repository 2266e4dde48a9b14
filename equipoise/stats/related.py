"""Changes on the items that share nothing with what a method learnt, beside those on all items.

Outcomes after an edit have groups that say what of an item was learnt (`Benchmark.relate`): whom it
is about, or its pair of fillers. The model before has learnt nothing and has none.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from equipoise.conclusions import Change
from equipoise.number_text import difference
from equipoise.records import Outcome
from equipoise.rows import LEARNT

_SHOWN = 3  # metrics of a sentence, the headline first


def with_related(
    rows: Sequence[Outcome], sides: Sequence[Mapping[str, Outcome]], keys: Sequence[str]
) -> list[Outcome]:
    """The rows with their groups of these keys from any side: learnt where any side learnt it."""
    related = []
    for row in rows:
        groups = dict(row.groups)
        for key in keys:
            names = [side[row.example].groups.get(key) for side in sides]
            known = LEARNT if LEARNT in names else next(filter(None, names), None)
            if known is not None:
                groups[key] = known
        related.append(replace(row, groups=groups))
    return related


def related_sentences(changes: Sequence[Change], keys: Sequence[str]) -> Iterator[str]:
    """The first metrics on the items that share nothing with what was learnt, key by key.

    Of a key that no change has nothing is said.
    """
    for key in keys:
        of_key = [change for change in changes if key in change.group]
        names = {change.group[key] for change in of_key}
        for name in sorted(names - {LEARNT}):
            shown = [change for change in of_key if change.group[key] == name][:_SHOWN]
            moves = "; ".join(map(_say_move, shown))
            yield f"on {key}={name} alone, {shown[0].n} items: {moves}"
        if names == {LEARNT}:
            yield f"{key}: no item is left that shares nothing with what was learnt"


def _say_move(change: Change) -> str:
    if not math.isfinite(change.difference):
        return f"{change.metric} n/a ({change.reason})"
    return (
        f"{change.metric} {change.before:.2f} to {change.after:.2f}, "
        f"{difference(change.difference, change.low, change.high, places=2)}"
    )
