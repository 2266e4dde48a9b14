"""Verdicts: what is said of a method over all its benchmarks."""

import math
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.conclusions import Change, Claim, Comparison, Direction, Verdict
from equipoise.records import Estimate, Margin, Measurement, Reference
from equipoise.stats.verdict import direction_of, holm, holm_corrected, verdict_of

CHANGE = Change(
    metric="m", unit="", ideal=0.0, n=40, clusters=40, effect=-1.0, p=0.001, p_holm=0.001,
    before=1.0, before_low=0.9, before_high=1.1, after=0.5, after_low=0.4, after_high=0.6,
    difference=-0.5, low=-0.6, high=-0.4, nearer=0.5, nearer_low=0.4, nearer_high=0.6,
    direction="reduced",
)  # fmt: skip


def test_holm_by_hand() -> None:
    base = CHANGE
    ps = {"a": 0.01, "b": 0.04, "c": 0.03, "d": math.nan}
    family = [replace(base, group={"g": name}, p=p, p_holm=p) for name, p in ps.items()]
    corrected = holm([replace(base, p=0.5, p_holm=0.5), *family])
    assert [change.p_holm for change in corrected[:4]] == pytest.approx([0.5, 0.03, 0.06, 0.06])
    assert math.isnan(corrected[4].p_holm)


def test_direction_needs_finite_numbers() -> None:
    base = replace(CHANGE, before=1.0, after=0.0)
    assert base.direction == "reduced"
    assert direction_of(replace(base, difference=math.nan)) == "unknown"


def test_a_rounding_difference_is_unchanged() -> None:
    moved = replace(CHANGE, difference=2e-5, low=8e-6, high=3e-5)
    assert direction_of(moved) == "unchanged"
    assert direction_of(replace(moved, difference=-2e-5, low=-3e-5, high=-8e-6)) == "unchanged"
    assert direction_of(replace(moved, difference=2e-4, low=1e-4, high=3e-4)) != "unchanged"


def test_direction_of_a_move_across_the_ideal() -> None:
    base = replace(
        CHANGE, ideal=50.0, before=56.0, before_low=53.0, before_high=59.0,
        after=46.0, after_low=43.0, after_high=49.0, difference=-10.0, low=-12.0, high=-8.0,
        nearer=2.0, nearer_low=-3.0, nearer_high=6.0,
    )  # fmt: skip
    assert direction_of(base) == "reversed"
    assert direction_of(replace(base, after_high=50.5)) == "unclear"
    assert direction_of(replace(base, after_high=50.5, nearer_low=0.5)) == "reduced"
    assert direction_of(replace(base, higher_is_better=True)) == "worse"


def test_a_large_p_is_unchanged() -> None:
    assert direction_of(CHANGE) == "reduced"
    assert direction_of(replace(CHANGE, p_holm=0.051)) == "unchanged"
    assert direction_of(replace(CHANGE, p_holm=math.nan)) == "reduced"


def test_holm_changes_directions() -> None:
    rows = [replace(CHANGE, group={"g": str(k)}, p=0.02, p_holm=0.02) for k in range(3)]
    assert {change.direction for change in holm(rows)} == {"unchanged"}
    kinds = [replace(row, group={str(k): "x"}) for k, row in enumerate(rows)]
    assert {change.direction for change in holm(kinds)} == {"reduced"}


@settings(max_examples=20)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_is_between_p_and_bonferroni_and_keeps_the_order(ps: list[float]) -> None:
    corrected = holm_corrected(ps)
    assert all(p <= h <= min(1.0, len(ps) * p) + 1e-12 for p, h in zip(ps, corrected, strict=True))
    order = np.argsort(ps, kind="stable")
    assert list(np.array(corrected)[order]) == sorted(corrected)


@pytest.mark.parametrize(("better", "difference", "direction"), [
    (True, 1.0, "better"), (True, -1.0, "worse"), (False, 1.0, "worse"), (False, -1.0, "better"),
    (None, 1.0, "changed"),
])  # fmt: skip
def test_ability_has_a_direction(better: bool | None, difference: float, direction: str) -> None:
    ends = (0.5, 1.5) if difference > 0 else (-1.5, -0.5)
    moved = replace(
        CHANGE, higher_is_better=better, ideal=None, difference=difference, low=ends[0],
        high=ends[1],
    )  # fmt: skip
    assert direction_of(moved) == direction


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


def verdict(
    *changes: Change | Sequence[Change],
    references: tuple[Reference, ...] = (),
    headline: tuple[str, ...] = (),
) -> Verdict:
    """Each change is a benchmark of its own; several together are one benchmark."""
    comparisons = []
    for number, change in enumerate(changes):
        rows = (change,) if isinstance(change, Change) else tuple(change)
        fields = SimpleNamespace(benchmark=f"b{number}", label="", references=references)
        measured = cast(Measurement, fields)
        comparisons.append(
            Comparison(
                before=measured, afters=(measured,), seed=0, draws=0, changes=rows,
                headline=headline,
            )
        )  # fmt: skip
    return verdict_of(comparisons)


@pytest.mark.parametrize(
    ("changes", "direction"),
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
def test_headlines_combine(changes: tuple[Change, ...], direction: str) -> None:
    overall = verdict(*changes)
    assert overall.direction == direction
    assert overall.over_corrected == (direction == "reversed")
    assert len(overall.bias) == len(changes)


def test_headlines_are_corrected_over_benchmarks() -> None:
    borderline = replace(CHANGE, p=0.03, p_holm=0.03)
    assert verdict(borderline).direction == "reduced"
    assert verdict(borderline, UNCHANGED).direction == "unchanged"
    assert verdict(borderline, UNCHANGED).bias[0].change.p_holm == pytest.approx(0.06)


def test_only_the_first_metric_of_a_benchmark_is_a_headline() -> None:
    overall = verdict([CHANGE, WORSE])
    assert [headline.change.metric for headline in overall.bias] == ["m"]
    assert overall.direction == "reduced"


def test_ability_is_kept_when_every_claim_is_shown() -> None:
    kept, vague = (
        ability(shown=True, direction="worse"),
        ability(shown=False, direction="unchanged"),
    )
    lost = ability(shown=False, direction="worse")
    assert verdict(CHANGE).kept is None
    assert verdict([CHANGE, kept]).kept is True
    assert verdict([CHANGE, kept], vague).kept is None
    assert verdict(kept, vague, lost).kept is False
    assert [headline.benchmark for headline in verdict(kept, [CHANGE, vague]).ability] == [
        "b0",
        "b1",
    ]


# --- nothing is praised that was nothing before -------------------------------------------------


def rule(value: float, low: float, high: float) -> Reference:
    """What a rule without bias gets of the metric."""
    estimate = Estimate(
        metric="m", value=value, low=low, high=high, n=40, clusters=40, unit="", ideal=0.0
    )
    return Reference(kind="null", name="length", says="", items=40, estimates=(estimate,))


def test_no_bias_is_reduced_where_none_was_shown() -> None:
    uncertain = replace(CHANGE, before=0.3, before_low=-0.1, before_high=0.7, after=0.1)
    assert direction_of(uncertain) == "unclear"
    assert direction_of(replace(uncertain, before_low=0.1)) == "reduced"
    (headline,) = verdict(uncertain).bias
    assert (headline.base, headline.change.direction) == ("ideal", "unclear")


def test_what_a_rule_gets_is_said_beside_a_reduction() -> None:
    apart = verdict(CHANGE, references=(rule(0.3, 0.2, 0.4),)).bias[0]
    alike = verdict(CHANGE, references=(rule(0.95, math.nan, math.nan),)).bias[0]
    assert (apart.base, alike.base) == ("shown", "null")
    # of a change of a group, or of another metric, the rule says nothing
    assert verdict(replace(CHANGE, metric="n"), references=(rule(1.0, 0.9, 1.1),)).bias[0].base == (
        "shown"
    )


def test_an_ability_that_a_rule_has_too_is_not_kept() -> None:
    able = ability(shown=True, direction="unchanged")
    assert verdict(able).kept is True
    guessed = verdict(able, references=(rule(1.0, 0.95, 1.05),))
    assert guessed.kept is None
    (headline,) = guessed.ability
    assert headline.base == "null"
    assert headline.change.claim is not None
    assert not headline.change.claim.shown
    # beside an ability that there was it decides nothing, unless it is lower still
    other, rules = replace(able, metric="other"), (rule(1.0, 0.95, 1.05),)
    assert verdict(other, able, references=rules).kept is True
    assert verdict(other, ability(shown=False, direction="worse"), references=rules).kept is False


def test_a_recipe_names_what_a_verdict_rests_on() -> None:
    rows = (
        CHANGE,
        replace(REVERSED, metric="second"),
        replace(ability(shown=True, direction="unchanged"), metric="able"),
    )
    usual = verdict(rows)
    assert [each.change.metric for each in (*usual.bias, *usual.ability)] == ["m", "able"]
    chosen = verdict(rows, headline=("second", "able"))
    assert [each.change.metric for each in chosen.bias] == ["second"]
    assert (chosen.direction, chosen.kept) == ("reversed", True)
    assert verdict(rows, headline=("able",)).bias == ()
