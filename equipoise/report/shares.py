"""Whose the effect of a combined mitigation is, for readers: a row and a sentence per benchmark."""

from collections.abc import Iterator
from typing import NamedTuple

from equipoise.conclusions import Factorial
from equipoise.number_text import interval, numbers
from equipoise.records import Estimate
from equipoise.report.provenance import setting_names, setting_of
from equipoise.report.rows import Cell, cell
from equipoise.study.study import Factored, Study


class ShareRow(NamedTuple):
    """The first metric of bias of a benchmark, with neither part, with each and with both."""

    factored: Factored
    benchmark: str
    factorial: Factorial

    def cell(self, name: str) -> Cell:
        """An estimate of `Factorial.estimates` as a cell."""
        shown = self.factorial.estimate(name)
        return cell(shown.value, shown.low, shown.high)

    @property
    def unit(self) -> str:
        """Of all that is no share."""
        return self.factorial.estimate("neither").unit

    @property
    def reason(self) -> str | None:
        """Why there are no shares; None where there are."""
        return self.factorial.estimate("share_first").reason


def share_rows(study: Study) -> list[ShareRow]:
    """A row per combined mitigation and benchmark that measures bias, in the study's order."""
    names = setting_names(factored.neither for factored in study.factored)
    return [
        ShareRow(factored, names[setting_of(factored.neither)], factored.factorials[0])
        for factored in study.factored
        if factored.factorials
    ]


def share_sentences(study: Study) -> Iterator[str]:
    """Each row as a sentence: "both on gpt2, genbias afgb: 0.50 to 0.30; 74 % [60, 88] …"."""
    for row in share_rows(study):
        factored, factorial = row.factored, row.factorial
        neither, both = (factorial.estimate(name).value for name in ("neither", "both"))
        name = row.benchmark if row.benchmark == factorial.metric else (
            f"{row.benchmark} {factorial.metric}"
        )  # fmt: skip
        move = " to ".join(numbers(neither, both))
        yield f"{factored.both} on {factored.model}, {name}: {move}; {_say_shares(row)}"


def _say_shares(row: ShareRow) -> str:
    if row.reason is not None:
        return f"no shares, {row.reason}"
    factored, factorial = row.factored, row.factorial
    first, second = (
        _say_share(factorial.estimate(f"share_{part}")) for part in ("first", "second")
    )
    interaction = factorial.estimate("interaction")
    apart = (
        "no interaction is shown"
        if interaction.low <= 0.0 <= interaction.high
        else "together they do more than the sum of each alone"
        if interaction.value > 0.0
        else "together they do less than the sum of each alone"
    )
    shown = interval(interaction.value, interaction.low, interaction.high)
    return f"{first} is of {factored.first}, {second} of {factored.second}; {apart} ({shown})"


def _say_share(share: Estimate) -> str:
    value, low, high = (f"{number:.0f}" for number in (share.value, share.low, share.high))
    return f"{value} % [{low}, {high}]"
