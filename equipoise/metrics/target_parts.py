"""Is it the group? Items asked again with others in the target's place, and what then remains.

A stereotype's words may be the likelier words of anybody. So an item is asked again about others of
its target's kind: the preference that stays is the words' part, and what the own target has beyond
it, paired by item, is the target's. Ours; after the exchange of groups in counterfactual tests
(Garg et al. 2019, "Counterfactual Fairness in Text Classification through Robustness").
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Final, TypeAlias

import numpy as np
from pydantic import Field

from equipoise.metrics.weighted import Weighted, Weights, percent
from equipoise.number_text import interval, rounded
from equipoise.records import (
    Column,
    Columns,
    Estimate,
    Margin,
    Metric,
    Outcome,
    Scored,
    ScoredPair,
)

#: How many others an item is asked about; None: it is asked about its own target alone.
Count: TypeAlias = Annotated[int, Field(ge=1, le=16)] | None

OWN: Final = "_own"  # at the end of a metric's name: of the own target, of the items exchanged
EXCHANGED: Final = "_exchanged"  # of the others in its place, mean over them
TARGET: Final = "_target"  # own less exchanged, paired: the target's part
#: Group key of items: how they were exchanged, or why they were not.
GROUP: Final = "exchange"
DONE: Final = "others were put in its place"
NOT_NAMED: Final = "its text names no target"
NOT_LISTED: Final = "no list has its target"
NO_OTHER: Final = "no other group is left"
PROPER_NAMES: Final = "people go by names"
#: Values of an outcome: share of others with the own answer, and with other numbers of tokens.
_SAME: Final = "same_with_others"
_ITEM: Final = "item"  # group key of the item behind the outcomes of a family (`stats.pairing`)
_RETOKENIZED: Final = "retokenized_with_others"
_SOURCE: Final = "ours: target exchange"
_MOST_NAMES = 12  # in a note

#: A metric of the columns whose names end in `OWN` or in `EXCHANGED`, given that ending.
PartOf: TypeAlias = Callable[[Columns, Weights, str], Column]


def column(columns: Columns, name: str) -> Column:
    """The column of that name; nan where no outcome has the value."""
    return columns.get(name, np.full(len(columns["@cluster"]), math.nan))


def part_metrics(
    name: str,
    of: PartOf,
    *,
    unit: str = "%",
    ideal: float,
    low: float = -math.inf,
    high: float = math.inf,
    margin: float | None = None,
) -> tuple[Metric, Metric, Metric]:
    """NAME_own, NAME_exchanged and NAME_target, their difference, all on the items exchanged.

    Neutral: `ideal` of the first two, 0 of the target's part; in the metric's unit.
    """
    first, second = (
        Metric(
            name=name + ending, of=Weighted(partial(_ending_in, of, ending)),
            unit=unit, ideal=ideal, low=low, high=high, source=_SOURCE,
            needs="items whose target can be exchanged",
        )
        for ending in (OWN, EXCHANGED)
    )  # fmt: skip
    target = replace(
        first,
        name=name + TARGET,
        of=Weighted(lambda c, w: of(c, w, OWN) - of(c, w, EXCHANGED)),
        ideal=0.0,
        low=low - high,
        high=high - low,
        margin=None if margin is None else Margin(size=margin),
    )
    return first, second, target


def _ending_in(of: PartOf, ending: str, columns: Columns, weights: Weights) -> Column:
    return of(columns, weights, ending)


#: What every benchmark has beside the parts of its metrics.
BESIDE: Final = (
    percent(
        "same_with_others", lambda c, w: 100 * w.mean(column(c, _SAME)), source=_SOURCE,
        needs="items whose target can be exchanged",
    ),
    percent(
        "retokenized", lambda c, w: 100 * w.mean(column(c, _RETOKENIZED)), source=_SOURCE,
        needs="items whose target can be exchanged, and numbers of scored tokens",
    ),
)  # fmt: skip


def with_others(
    outcome: Outcome, compared: Mapping[str, float], others: Sequence[Mapping[str, float]]
) -> Outcome:
    """An item's outcome with what it shares with its copies, of each value that is compared.

    `compared`: values of the item itself, the first the answer; `others`: the same of each copy.
    Means over copies that have a value; nan for both where either has none.
    """
    values: dict[str, float] = {}
    for index, (name, value) in enumerate(compared.items()):
        finite = [other[name] for other in others if math.isfinite(other.get(name, math.nan))]
        known = bool(finite) and math.isfinite(value)
        values[name + OWN] = value if known else math.nan
        values[name + EXCHANGED] = math.fsum(finite) / len(finite) if known else math.nan
        if index == 0:
            same = [float(other == value) for other in finite]
            values[_SAME] = math.fsum(same) / len(same) if known else math.nan
    return replace(outcome, values={**outcome.values, **values})


def retokenized(
    responses: Sequence[object], others: Sequence[Sequence[object]], *, texts: int
) -> dict[str, float]:
    """The share of copies whose texts have other numbers of scored tokens beside each other.

    Of the first `texts` answers of each: texts that differ in their fillers alone then have a
    filler of another number of tokens. Nothing where no token was scored.
    """
    first = _lengths(responses[:texts])
    if not first:
        return {}
    changed = [float(_lengths(other[:texts]) != first) for other in others]
    return {_RETOKENIZED: math.fsum(changed) / len(changed)}


def _lengths(responses: Sequence[object]) -> list[int]:
    """Numbers of scored tokens, less those of the first."""
    scored = [each for each in responses if isinstance(each, Scored)]
    for each in responses:
        scored += [each.first, each.second] if isinstance(each, ScoredPair) else []
    return [each.tokens - scored[0].tokens for each in scored]


# --- what is said -----------------------------------------------------------------------------


def exchange_notes(outcomes: Sequence[Outcome], *, by: str) -> Iterator[str]:
    """How many items were not exchanged and why, by the groups of a key; targets without a list."""
    # of a family of prompts each item once
    items = {outcome.groups.get(_ITEM, outcome.example): outcome for outcome in outcomes}
    stated = [outcome for outcome in items.values() if GROUP in outcome.groups]
    for reason in dict.fromkeys(outcome.groups[GROUP] for outcome in stated):
        if reason == DONE:
            continue
        left_out = [outcome for outcome in stated if outcome.groups[GROUP] == reason]
        count = Counter(outcome.groups.get(by, "") for outcome in left_out)
        groups = ", ".join(f"{by} {group} {n}" for group, n in sorted(count.items()))
        note = f"exchange: {len(left_out)} of {len(stated)} items are left out, {reason} ({groups})"
        if reason == NOT_LISTED:
            targets = sorted({outcome.groups.get("target", "") for outcome in left_out} - {""})
            more = f" and {len(targets) - _MOST_NAMES} more" if len(targets) > _MOST_NAMES else ""
            note += f": {', '.join(targets[:_MOST_NAMES])}{more}" if targets else ""
        yield note
    shares = [outcome.values[_RETOKENIZED] for outcome in stated if _RETOKENIZED in outcome.values]
    if changed := sum(share > 0 for share in shares):
        yield (
            f"exchange: in {changed} of {len(shares)} items an exchange changes how many tokens "
            "the compared texts have beside each other; they are kept"
        )


def exchange_conclusion(name: str, estimates: Sequence[Estimate]) -> tuple[str, ...]:
    """Whether the words or the group carry a metric, overall, as far as its intervals show it."""
    overall = {each.metric: each for each in estimates if not each.group}
    plain, others, target = (overall.get(name + ending) for ending in (OWN, EXCHANGED, TARGET))
    if plain is None or others is None or target is None or not math.isfinite(target.low):
        return ()
    words, group = not _holds(others, others.ideal), not _holds(target, 0.0)
    said = {
        (True, True): "words and group both take part",
        (True, False): "words, not groups: no part of the target is shown",
        (False, True): "groups, not words: nothing is shown to stay with others",
        (False, False): "neither words nor group are shown to take part",
    }[words, group]
    if group != words and _holds(plain, plain.ideal):
        said = (
            "the group takes part, though no bias is shown with it"
            if group
            else "no bias is shown with the own target, and no part of it; with others the score "
            "is off its ideal, which may be how common their names are"
        )
    return (
        f"exchange: {name} of {target.n} items is {rounded(plain.value, 1)} with the own target "
        f"and {_interval(others)} with others of its kind; the target's part is "
        f"{_interval(target)}: {said}",
    )


def _interval(estimate: Estimate) -> str:
    return interval(estimate.value, estimate.low, estimate.high, places=1)


def _holds(estimate: Estimate, value: float | None) -> bool:
    return value is None or estimate.low <= value <= estimate.high
