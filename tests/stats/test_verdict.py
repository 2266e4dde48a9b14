"""Verdicts: what is said of a method over all its benchmarks."""

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from equipoise.conclusions import Change, Claim, Comparison, Direction, Verdict
from equipoise.records import Margin, Measurement
from equipoise.stats.verdict import verdict_of

from .test_directions import CHANGE

UNCHANGED = replace(CHANGE, difference=0.01, low=-0.1, high=0.12, p=0.8, p_holm=0.8)
REVERSED = replace(
    CHANGE, after=-0.9, after_low=-1.0, after_high=-0.8, difference=-1.9, low=-2.0, high=-1.8,
    nearer=0.1, nearer_low=-0.1, nearer_high=0.3,
)  # fmt: skip
WORSE = replace(
    CHANGE, after=1.5, after_low=1.4, after_high=1.6, difference=0.5, low=0.4, high=0.6,
    nearer=-0.5, nearer_low=-0.6, nearer_high=-0.4,
)  # fmt: skip
UNKNOWN = replace(CHANGE, low=float("nan"))


def ability(*, shown: bool, direction: Direction) -> Change:
    claim = Claim(
        kind="not_worse", margin=Margin(size=2.0), value=0.0, low=-1.0, high=1.0, p=0.01,
        shown=shown,
    )  # fmt: skip
    return replace(CHANGE, higher_is_better=True, claim=claim, direction=direction)


def verdict(*changes: Change | Sequence[Change]) -> Verdict:
    """Each change is a benchmark of its own; several together are one benchmark."""
    comparisons = []
    for number, change in enumerate(changes):
        rows = (change,) if isinstance(change, Change) else tuple(change)
        measured = cast(Measurement, SimpleNamespace(benchmark=f"b{number}"))
        comparisons.append(
            Comparison(before=measured, afters=(measured,), seed=0, draws=0, changes=rows)
        )
    return verdict_of(comparisons)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ((), "unknown"),
        ((CHANGE,), "reduced"),
        ((CHANGE, UNCHANGED), "reduced"),
        ((UNCHANGED, UNKNOWN), "unchanged"),
        ((UNKNOWN,), "unknown"),
        ((CHANGE, WORSE), "unclear"),
        ((WORSE, UNCHANGED), "worse"),
        ((CHANGE, REVERSED), "reversed"),
    ],
)
def test_headlines_come_together(changes: tuple[Change, ...], said: str) -> None:
    found = verdict(*changes)
    assert found.direction == said
    assert found.over_corrected == (said == "reversed")
    assert len(found.bias) == len(changes)


def test_headlines_are_corrected_over_benchmarks() -> None:
    borderline = replace(CHANGE, p=0.03, p_holm=0.03)
    assert verdict(borderline).direction == "reduced"
    assert verdict(borderline, UNCHANGED).direction == "unchanged"
    assert verdict(borderline, UNCHANGED).bias[0].change.p_holm == pytest.approx(0.06)


def test_only_the_first_metric_of_a_benchmark_is_a_headline() -> None:
    found = verdict([CHANGE, WORSE])
    assert [bia.change.metric for bia in found.bias] == ["m"]
    assert found.direction == "reduced"


def test_ability_is_kept_only_when_every_claim_is_shown() -> None:
    kept, vague = (
        ability(shown=True, direction="worse"),
        ability(shown=False, direction="unchanged"),
    )
    lost = ability(shown=False, direction="worse")
    assert verdict(CHANGE).kept is None
    assert verdict([CHANGE, kept]).kept is True
    assert verdict([CHANGE, kept], vague).kept is None
    assert verdict(kept, vague, lost).kept is False
    assert [one.benchmark for one in verdict(kept, [CHANGE, vague]).ability] == ["b0", "b1"]
