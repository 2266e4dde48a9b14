"""What each metric on a page means: told where it is named, and once more at the page's end."""

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from markupsafe import Markup, escape

from equipoise.conclusions import Change, title_of
from equipoise.metrics.target_parts import EXCHANGED, OWN, TARGET
from equipoise.records import Estimate, Measurement
from equipoise.report.axis import minus
from equipoise.report.formatting import LONGEST_NAME, clipped, harmless
from equipoise.report.rows import row_name

_ANY = "NAME"  # stands for any scale of a scorer
#: What is made of another metric, by the end of its name.
_MADE: Mapping[str, str] = {
    OWN: "on the items whose target can be exchanged",
    EXCHANGED: "with others in the target's place: what the words do, whoever is meant",
    TARGET: "the part that the target itself makes: as it is, less with others in its place",
    "_spread": "its standard deviation over the prompts of a family",
    "_change": "what leaving items out does to it",
}


class Term(NamedTuple):
    """A metric that a page names."""

    id: str
    benchmark: str
    metric: str
    unit: str
    ideal: str
    meaning: str
    source: str

    @property
    def text(self) -> str:
        """All of it in a line."""
        parts = (self.meaning, f"unit: {self.unit}" if self.unit else "", self.ideal, self.source)
        return "; ".join(filter(None, parts))


class Terms:
    """The metrics that a page has named so far, in their order."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Term] = {}

    def button(self, measurement: Measurement, shown: Change | Estimate, text: str) -> Markup:
        """The metric's name, which shows what it means when it is pointed at or tapped."""
        key = measurement.benchmark, shown.metric
        if key not in self.known:
            self.known[key] = _term(f"m{len(self.known) + 1}", measurement, shown)
        term = self.known[key]
        said = escape(harmless(clipped(term.text, 400)))
        name = escape(harmless(clipped(text, LONGEST_NAME)))
        return Markup(
            f'<button type="button" class="term" popovertarget="{term.id}" title="{said}">'
            f"{name}</button>"
        )

    def name(self, measurement: Measurement | None, shown: Change | Estimate) -> Markup:
        """The name of a row: its metric as a button, then the group, if it has any."""
        if measurement is None or shown.group:
            return Markup(escape(harmless(clipped(row_name(shown), LONGEST_NAME))))
        return self.button(measurement, shown, shown.metric)


def _term(id: str, measurement: Measurement, shown: Change | Estimate) -> Term:
    meaning, source = meaning_of(measurement, shown.metric)
    better = {True: "more is better", False: "less is better", None: "no ideal value"}
    ideal = better[shown.higher_is_better]
    if shown.ideal is not None:
        ideal = f"ideal {minus(f'{shown.ideal:g}')}"
    return Term(
        id=id, benchmark=title_of(measurement), metric=shown.metric, unit=shown.unit, ideal=ideal,
        meaning=meaning or "its benchmark does not say what it means", source=source,
    )  # fmt: skip


def meaning_of(measurement: Measurement, metric: str) -> tuple[str, str]:
    """What a metric means and where it comes from; "" for what is not known."""
    meaning, source = measurement.about.get(metric, ("", ""))
    meaning = meaning or _look_up(measurement.benchmark, metric)
    if meaning:
        return meaning, source
    for end, what in _MADE.items():
        name = metric.removesuffix(end)
        if name != metric and (of := meaning_of(measurement, name)[0]):
            return f"{of}: {what}", source
    match = re.fullmatch(r"(\w+)_over_(\w+)", metric)
    if match and (of := meaning_of(measurement, match[1])[0]):
        return f"{of}; its interval is over clusters and groups of {match[2]} at once", source
    return "", source


def _look_up(benchmark: str, metric: str) -> str:
    known = _definitions().get(benchmark, {})
    if metric in known:
        return known[metric]
    # the longest pattern says most: NAME_gap_null before NAME_null
    for pattern in sorted(known, key=len, reverse=True):
        end = pattern.removeprefix(_ANY)
        if end not in ("", pattern) and metric.endswith(end):
            return f"{metric.removesuffix(end)}: {known[pattern]}"
    return f"{metric}: {known[_ANY]}" if _ANY in known else ""


@cache
def _definitions() -> Mapping[str, Mapping[str, str]]:
    text = files("equipoise.report").joinpath("definitions.json").read_text(encoding="utf-8")
    known: Mapping[str, Mapping[str, str]] = json.loads(text)
    return known
