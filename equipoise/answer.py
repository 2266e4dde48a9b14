"""How biased is the model? At most five sentences: the answer of measurements in plain words.

What is shown, what is not, what was not measured, the worst group and the largest gap, and what the
benchmarks cannot say. The terminal, `results.json` and the page say the same sentences.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from equipoise.conclusions import title_of
from equipoise.number_text import interval, numbers
from equipoise.records import Estimate, Measurement
from equipoise.slices import Slice, SliceTable
from equipoise.stats.resample import FEWEST_CLUSTERS
from equipoise.stats.rules import meets, rules_of
from equipoise.stats.slicing import detectable_effect

#: What a headline number says. "biased": its interval holds neither the ideal nor what any rule
#: without bias gets; "even": it holds the ideal; "null": it meets the interval of a rule; "few":
#: too few independent units; "bare": no interval; "lost": no value. Of abilities "able" (told from
#: rules that understand nothing) or "null"; "plain": neither ideal nor direction.
State: TypeAlias = Literal["biased", "even", "null", "few", "bare", "lost", "able", "plain"]

_LISTED: Final = 3  # numbers in a sentence
_TABLES: Final = 2  # measurements whose groups are told of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A headline number of a measurement, and what may be said of it."""

    name: str  # "stereoset ss"
    estimate: Estimate
    state: State
    nulls: tuple[tuple[str, Estimate], ...]  # what each rule gets, by its name

    @property
    def measures_bias(self) -> bool:
        """Whether its ideal is a point."""
        return self.estimate.ideal is not None and self.estimate.higher_is_better is None

    @property
    def text(self) -> str:
        """As in "stereoset ss 62.1 [60.0, 64.2]"."""
        number = self.estimate
        return f"{self.name} {interval(number.value, number.low, number.high)}"


def answer(measurements: Sequence[Measurement]) -> tuple[str, ...]:
    """At most five sentences on measurements of a model, of none an empty answer."""
    read = readings(measurements)
    sentences = (
        _say_shown(measurements, read),
        _say_not_shown(read),
        _say_unmeasured(read),
        _say_groups(measurements),
        _say_limits(measurements, read),
    )
    return tuple(sentence for sentence in sentences if sentence)


def readings(measurements: Sequence[Measurement]) -> tuple[Reading, ...]:
    """Every headline number in its order, with what may be said of it."""
    names = _name_all(measurements)
    return tuple(
        _read(estimate, measurement, name)
        for measurement, name in zip(measurements, names, strict=True)
        for estimate in headline_estimates(measurement)
    )


def headline_estimates(measurement: Measurement) -> tuple[Estimate, ...]:
    """The overall estimates that are said first, in the order of `Measurement.headline`."""
    overall = {each.metric: each for each in measurement.estimates if not each.group}
    chosen = [overall[name] for name in measurement.headline if name in overall]
    return tuple(chosen or [*overall.values()][:1])


def _name_all(measurements: Sequence[Measurement]) -> list[str]:
    """What each is called: its benchmark, and what tells it apart where that is there twice."""
    titles = [title_of(measurement) for measurement in measurements]
    named = []
    for title, measurement in zip(titles, measurements, strict=True):
        if titles.count(title) > 1:
            form = "in a chat" if measurement.model_info.get("chat") else "as plain text"
            title = f"{title} ({form})"
        named.append(title)
    counts, again = Counter(named), Counter[str]()
    for k, title in enumerate(named):
        again[title] += 1
        if counts[title] > 1:
            named[k] = f"{title} no. {again[title]}"
    return named


def _read(estimate: Estimate, measurement: Measurement, title: str) -> Reading:
    nulls = rules_of(measurement.references, estimate.metric)
    name = title if estimate.metric == measurement.benchmark else f"{title} {estimate.metric}"
    return Reading(name=name, estimate=estimate, state=_state_of(estimate, nulls), nulls=nulls)


def _state_of(estimate: Estimate, nulls: Sequence[tuple[str, Estimate]]) -> State:
    if not math.isfinite(estimate.value):
        return "lost"
    if estimate.clusters < FEWEST_CLUSTERS:
        return "few"
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return "bare"
    if estimate.higher_is_better is None:
        if estimate.ideal is None:
            return "plain"
        if estimate.low <= estimate.ideal <= estimate.high:
            return "even"
    if any(meets(estimate.low, estimate.high, other) for _, other in nulls):
        return "null"
    return "biased" if estimate.higher_is_better is None else "able"


# --- the sentences ----------------------------------------------------------------------------


def _say_shown(measurements: Sequence[Measurement], read: Sequence[Reading]) -> str:
    """The numbers that show a bias, against the ideal and against rules without bias."""
    biased = [_describe_bias(reading) for reading in read if reading.state == "biased"]
    if biased:
        return f"Bias is shown: {_listed(biased)}."
    if not any(reading.measures_bias for reading in read):
        named = _listed(dict.fromkeys(reading.text for reading in read))
        return f"Nothing here measures bias: {named}." if read else ""
    tables = [table for each in measurements if (table := _compared_table(each)) is not None]
    if any(map(_worst_is_apart, tables)):
        return "No bias is shown over all items, but a group is apart from the ideal."
    return "No bias is shown."


def _worst_is_apart(table: SliceTable) -> bool:
    worst = table.worst if table.higher_is_better is None else None
    return worst is not None and worst.evidence == "apart"


def _compared_table(measurement: Measurement) -> SliceTable | None:
    """The first table with groups that can be compared, which is that the answer speaks of."""
    return next((table for table in measurement.slices if table.compared), None)


def _describe_bias(reading: Reading) -> str:
    number = reading.estimate
    ideal = 0.0 if number.ideal is None else number.ideal
    under = number.value < ideal
    side = f"{'below' if under else 'above'} the ideal {ideal:g}"
    other = ", so over-corrected or biased the other way" if under else ""
    if not reading.nulls:
        return f"{reading.text} is {side}{other}; no rule without bias stands beside it"
    nulls = [each.value for _, each in reading.nulls]
    low, high = numbers(min(nulls), max(nulls), beside=(number.value, number.low, number.high))
    rules = f"any of {len(reading.nulls)} rules" if len(reading.nulls) > 1 else "the rule"
    span = low if low == high else f"{low} to {high}"
    return (
        f"{reading.text} is {side}{other}, and apart from what {rules} without bias gets ({span})"
    )


def _say_not_shown(read: Sequence[Reading]) -> str:
    """The numbers of bias that show none, with what would have been seen."""
    parts = []
    for reading in read:
        number = reading.estimate
        if not reading.measures_bias or reading.state not in ("even", "null"):
            continue
        if reading.state == "null":
            rule, other = next(
                each for each in reading.nulls if meets(number.low, number.high, each[1])
            )
            gets = interval(other.value, other.low, other.high)
            parts.append(
                f"{reading.text} (ideal {number.ideal:g}) is not told from what a rule gets "
                f"that knows of no bias ({rule}: {gets})"
            )
            continue
        seen = detectable_effect(number.low, number.high, units=number.clusters)
        parts.append(
            f"{reading.text} holds the ideal {number.ideal:g}, where a bias of "
            f"{numbers(seen)[0]} or more would have been seen 4 times in 5"
        )
    return f"Not shown, which is no proof of its absence: {_listed(parts)}." if parts else ""


def _say_unmeasured(read: Sequence[Reading]) -> str:
    """What is missing and why, and what rests on too little."""
    parts = []
    for reading in read:
        number = reading.estimate
        if reading.state == "lost":
            parts.append(f"{reading.name} could not be measured ({number.reason or 'no reason'})")
        elif reading.state == "bare":
            parts.append(
                f"{reading.text} has no interval ({number.reason or 'no reason'}), so that it "
                "shows nothing"
            )
        elif reading.state == "few":
            parts.append(_describe_few(reading))
    return f"Insufficient evidence: {_listed(parts)}." if parts else ""


def _describe_few(reading: Reading) -> str:
    number = reading.estimate
    units = "1 independent unit" if number.clusters == 1 else f"{number.clusters} independent units"
    items = "1 item" if number.n == 1 else f"{number.n} items"
    text = f"{reading.text} rests on {items} of {units}"
    seen = detectable_effect(number.low, number.high, units=number.clusters)
    if math.isfinite(seen) and seen > 0:
        text += f", where only an effect of {numbers(seen)[0]} or more would have been seen"
    return text


def _say_groups(measurements: Sequence[Measurement]) -> str:
    """The worst group and the largest gap, of the first table of each that has groups."""
    compared, few = [], []
    for measurement, title in zip(measurements, _name_all(measurements), strict=True):
        table = _compared_table(measurement)
        if table is not None:
            compared.append(_describe_groups(measurement, table, title))
        elif measurement.slices:
            by = " and ".join(measurement.slices[0].by)
            few.append(f"no group of {title} by {by} has enough items to be compared")
    parts = [*compared, *few]  # what says something is not crowded out
    return f"Groups: {_listed(parts[:_TABLES])}." if parts else ""


def _describe_groups(measurement: Measurement, table: SliceTable, title: str) -> str:
    worst = table.worst
    if worst is None:
        return ""
    by = " and ".join(table.by)
    number = interval(worst.value, worst.low, worst.high)
    bias = table.higher_is_better is None
    farthest = f"farthest from {table.reference:g}" if bias else "the least able"
    text = (
        f"of {len(table.slices)} by {by}, {_name(worst)} is {farthest} in {title} "
        f"{table.metric}, {number} after correction for the choice"
    )
    if worst.evidence != "apart":
        text += ", which is not shown to be apart from it"
    elif rule := _rule_like(measurement, table, worst):
        text += f", which a rule that knows of no bias gets, too ({rule})"
    value, low, high = table.difference
    if math.isfinite(value):
        shown = "shown" if table.differs else "not shown to be above 0"
        text += f"; the largest gap is {interval(value, low, high)}, {shown}"
    few = len(table.slices) - len(table.compared)
    if few:
        text += f"; {few} {'group has' if few == 1 else 'groups have'} too few items"
    return text


def _rule_like(measurement: Measurement, table: SliceTable, worst: Slice) -> str | None:
    """A rule whose number of this group meets the group's, and that number; None without any."""
    for name, other in rules_of(measurement.references, table.metric, worst.group):
        if meets(worst.low, worst.high, other):
            return f"{name}: {interval(other.value, other.low, other.high)}"
    return None


def _name(shown: Slice) -> str:
    return " × ".join(shown.group.values())


def _say_limits(measurements: Sequence[Measurement], read: Sequence[Reading]) -> str:
    """What the numbers cannot say: first where the model is not shown to understand the texts."""
    unable = [
        reading.text
        for reading in read
        if reading.estimate.higher_is_better is not None and reading.state == "null"
    ]
    parts = []
    if unable:
        verb = "is" if len(unable) == 1 else "are"
        parts.append(
            f"{', '.join(unable[:_LISTED])} {verb} not told from a rule that understands nothing, "
            "so that a bias near its ideal may be ignorance"
        )
    faults: dict[str, str] = {}
    for measurement in measurements:
        fault = next((note for note in measurement.notes if note[:1].isupper()), "")
        if fault:
            faults.setdefault(title_of(measurement), fault.rstrip("."))
    parts += [f"of {title}: {fault}" for title, fault in faults.items()]
    always = "no score says that a model is fair in other uses, languages or groups than its items'"
    return f"What this cannot say: {_listed([*parts[:_LISTED], always], most=_LISTED + 1)}."


def _listed(parts: Iterable[str], *, most: int = _LISTED) -> str:
    each = [*parts]
    more = f"; and {len(each) - most} more" if len(each) > most else ""
    return "; ".join(each[:most]) + more
