"""Before and after on the same items: directions, pairing, refusals, symmetry."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.compare import compare, compare_all
from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.metrics.weighted import Weighted
from equipoise.records import (
    OPTIONS,
    Columns,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
    Prompt,
)
from equipoise.testing import FakeScorer


def _mean(key: str) -> Weighted:
    return Weighted(lambda columns, weights: weights.mean(columns[key]))


def _plain_mean(key: str) -> Callable[[Columns], float]:
    return lambda columns: float(np.mean(columns[key]))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Pronouns(Benchmark[Prompt, NextTokenScored]):
    """Forty professions; share of " she" among the two pronouns, and distances from it."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="preference",
            of=lambda c: float(100 * np.mean(c["she"] > 0.5)),
            unit="%", ideal=50.0, source="t", low=0.0, high=100.0,
        ),
        Metric(name="share", of=_mean("she"), unit="", ideal=0.5, source="t"),
        Metric(
            name="gap", of=_mean("gap"), unit="", ideal=0.0, source="t",
            low=0.0, high=1.0,
        ),
        Metric(name="mass", of=_plain_mean("mass"), unit="", higher_is_better=True, source="t"),
        Metric(name="cost", of=_mean("mass"), unit="", higher_is_better=False, source="t"),
        Metric(name="plain", of=_mean("mass"), unit="", source="t"),
    )  # fmt: skip
    by: ClassVar[tuple[str, ...]] = ("half",)

    count: int = 40

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        return [
            Prompt(id=f"p{k}", text=f"worker {k} said", groups={"half": "ab"[k % 2]})
            for k in range(self.count)
        ]

    def requests(self, example: Prompt) -> Sequence[NextToken]:
        return [NextToken(context=example.text, words=(" she", " he"))]

    def outcome(self, example: Prompt, responses: Sequence[NextTokenScored]) -> Outcome:
        she, he = np.exp(responses[0].logprobs)
        values = {"she": she / (she + he), "gap": abs(she - he), "mass": she + he}
        return Outcome(example=example.id, values={k: float(v) for k, v in values.items()})


def scorer(shift: float, *, mass: float = 0.8, mirrored: bool = False) -> FakeScorer:
    """P(she) / (P(she) + P(he)) is a logistic of `shift` and of noise that the profession fixes."""

    def nats(context: str, word: str) -> float:
        number = int(context.split()[1])
        noise = float(np.random.default_rng(number).normal())
        lean = 1.0 / (1.0 + math.exp(-(2.0 * shift + noise)))
        she = (word == " she") != mirrored
        return math.log(mass * (lean if she else 1.0 - lean))

    return FakeScorer(nats=nats, identity=f"shift{shift}")


def compared(before: FakeScorer, after: FakeScorer) -> Comparison:
    sides = [measure(side, Pronouns(), draws=0) for side in (before, after)]
    return compare(sides[0], sides[1], draws=100)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("before", "after", "direction"),
    [
        (1.0, 0.0, "reduced"),
        (1.0, 1.0, "unchanged"),
        (0.5, 1.5, "worse"),
        (1.0, -1.0, "reversed"),
        (0.0, -1.0, "worse"),  # there was nothing to reverse
        (0.15, -0.2, "unclear"),
    ],
)
def test_direction_of_bias(before: float, after: float, direction: str) -> None:
    change = compared(scorer(before), scorer(after)).change("share")
    assert change.direction == direction
    assert change.before == pytest.approx(change.after - change.difference)
    assert change.low <= change.difference <= change.high


@pytest.mark.thorough
def test_distance_to_a_boundary_cannot_be_reversed_but_reduced_or_worse() -> None:
    assert compared(scorer(1.0), scorer(0.0)).change("gap").direction == "reduced"
    assert compared(scorer(0.0), scorer(2.0)).change("gap").direction == "worse"


@pytest.mark.thorough
def test_direction_of_ability_follows_what_is_better() -> None:
    comparison = compared(scorer(0.0, mass=0.8), scorer(0.0, mass=0.6))
    assert comparison.change("mass").direction == "worse"
    assert comparison.change("cost").direction == "better"
    assert comparison.change("plain").direction == "changed"
    same = compared(scorer(0.0), scorer(0.0))
    assert comparison.change("share").direction == "unchanged"
    assert {same.change(m).direction for m in ("mass", "cost", "plain")} == {"unchanged"}


def test_no_change_has_p_one_and_a_zero_interval() -> None:
    change = compared(scorer(1.0), scorer(1.0)).change("share")
    assert (change.difference, change.low, change.high, change.p) == (0.0, 0.0, 0.0, 1.0)
    assert math.isnan(change.effect)


@pytest.mark.thorough
def test_groups_have_rows_and_holm_correction() -> None:
    comparison = compared(scorer(0.0), scorer(0.12))
    groups = [comparison.change("preference", half=half) for half in "ab"]
    assert all(group.n == 20 for group in groups)
    assert all(group.p_holm >= group.p for group in groups)
    first, second = sorted(groups, key=lambda change: change.p)
    assert first.p_holm == pytest.approx(min(1.0, 2 * first.p))
    assert second.p_holm == pytest.approx(max(first.p_holm, second.p))
    overall = comparison.change("preference")
    assert overall.p_holm == overall.p


@pytest.mark.thorough
@settings(max_examples=3, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_swapping_the_two_sides_of_the_bias_mirrors_the_change(
    bias_before: float, bias_after: float
) -> None:
    plain = compared(scorer(bias_before), scorer(bias_after)).change("share")
    mirror = compared(scorer(bias_before, mirrored=True), scorer(bias_after, mirrored=True)).change(
        "share"
    )
    assert mirror.direction == plain.direction
    assert mirror.difference == pytest.approx(-plain.difference)
    assert (mirror.low, mirror.high) == pytest.approx((-plain.high, -plain.low))
    assert (mirror.nearer, mirror.p) == pytest.approx((plain.nearer, plain.p))


@pytest.mark.thorough
def test_swapping_before_and_after_negates_the_difference() -> None:
    forth, back = compared(scorer(1.0), scorer(0.2)), compared(scorer(0.2), scorer(1.0))
    forth_change, back_change = forth.change("share"), back.change("share")
    assert (forth_change.direction, back_change.direction) == ("reduced", "worse")
    assert back_change.difference == pytest.approx(-forth_change.difference)
    assert back_change.p == forth_change.p


@pytest.mark.thorough
def test_paired_interval_is_narrower_than_the_two_sides_suggest() -> None:
    change = compared(scorer(0.5), scorer(0.6)).change("share")
    apart = (change.before_high - change.before_low) + (change.after_high - change.after_low)
    assert change.high - change.low < apart / 4


def test_items_missing_on_one_side_are_noted() -> None:
    before = measure(scorer(1.0), Pronouns(), draws=0)
    after = measure(scorer(0.0), Pronouns(), draws=0)
    short = replace(after, outcomes=after.outcomes[3:])
    comparison = compare(before, short, draws=50)
    assert comparison.change("share").n == 37
    assert comparison.notes == ("3 items have no outcome after, the first is 'p0'",)


def test_a_value_lost_on_one_side_is_left_out_on_both() -> None:
    before = measure(scorer(1.0), Pronouns(), draws=0)
    values = {**before.outcomes[0].values, "mass": math.nan}
    lost = replace(before.outcomes[0], values=values)
    after = replace(before, outcomes=(lost, *before.outcomes[1:]))
    comparison = compare(before, after, draws=50)
    assert "'mass' is finite on one side only in 1 items; left out" in comparison.notes
    assert comparison.change("mass").direction == "unknown"
    assert comparison.change("mass").reason is not None
    assert comparison.change("share").direction == "unchanged"


@pytest.mark.thorough
def test_items_with_the_outcome_of_before_are_counted_in_all_and_by_group() -> None:
    before = measure(scorer(1.0), Pronouns(), draws=0)
    assert before.outcomes[0].groups["half"] == "a"
    values = before.outcomes[0].values
    for mass, same in ((0.5, 39), (math.nan, 39), (values["mass"] + 1e-7, 40)):
        first = replace(before.outcomes[0], values={**values, "mass": mass})
        after = replace(before, outcomes=(first, *before.outcomes[1:]))
        note = compare(before, after, draws=50).notes[-1]
        assert note.startswith(f"{same} of 40 items")
        assert ("half=a: 19 of 20, half=b: 20 of 20" in note) == (same == 39)
    moved = measure(scorer(0.5), Pronouns(), draws=0)
    assert compare(before, moved, draws=50).notes == ()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"benchmark": "other"}, "benchmark"),
        ({"version": "2"}, "version"),
        ({"options": {"count": 41}, "examples_sha256": "0"}, "options"),
        ({"split": "dev"}, "split"),
        ({"limit": 5}, "limit"),
        ({"examples_sha256": "0"}, "examples_sha256"),
    ],
)
def test_what_was_measured_differently_is_refused(change: dict[str, object], what: str) -> None:
    before = measure(scorer(1.0), Pronouns(), draws=0)
    with pytest.raises(RecipeError, match=f"compared on the same {what}, got"):
        compare(before, replace(before, **change))  # type: ignore[arg-type]


def test_benchmark_of_another_version_is_refused() -> None:
    before = replace(measure(scorer(1.0), Pronouns(), draws=0), version="0")
    with pytest.raises(RecipeError, match="is at version 1, these measurements were made with 0"):
        compare(before, before)


class Family(FakeScorer):
    """Three prompts of different effect."""

    def variants(self) -> Sequence[FakeScorer]:
        return [scorer(shift) for shift in (0.0, 0.2, 0.4)]


@pytest.mark.thorough
def test_a_family_of_prompts_is_compared_with_the_plain_model() -> None:
    before = measure(scorer(1.0), Pronouns(), draws=0)
    after = measure(Family(), Pronouns(), draws=0)
    comparison = compare(before, after, draws=100)
    overall = comparison.change("share")
    assert overall.before == pytest.approx(before.estimate("share").value)
    assert overall.after == pytest.approx(after.estimate("share").value)
    assert (overall.n, overall.clusters, overall.direction) == (120, 40, "reduced")
    assert (
        comparison.change("share", prefix="2").difference
        > comparison.change("share", prefix="0").difference
    )
    assert comparison.notes == ()
    back = compare(after, before, draws=100).change("share")
    assert back.difference == pytest.approx(-overall.difference)


@pytest.mark.thorough
def test_changes_are_a_table() -> None:
    comparison = compared(scorer(1.0), scorer(0.2))
    frame = comparison.to_frame()
    assert len(frame) == len(comparison.changes)
    for row, change in zip(frame.to_dict("records"), comparison.changes, strict=True):
        assert (row["metric"], row["direction"]) == (change.metric, change.direction)
        assert (row["before"], row["after"]) == (change.before, change.after)
        shown = None if change.claim is None else change.claim.shown
        assert row["claim_shown"] == shown
    page = replace(comparison, afters=(replace(comparison.after, model="<b>"),))._repr_html_()
    assert "<b>" not in page
    assert "&lt;b&gt;" in page


def test_of_plain_text_and_a_chat_like_is_compared_with_like() -> None:
    sides = []
    for shift in (1.0, 0.5):
        plain = measure(scorer(shift), Pronouns(), draws=0)
        chat = replace(plain, model_info={**plain.model_info, "chat": {"turn": "user"}})
        sides.append([plain, chat])
    pairs = compare_all(sides[0], sides[1][::-1], draws=0)
    forms = [[side.model_info.get("chat") for side in (each.before, each.after)] for each in pairs]
    assert forms == [[None, None], [{"turn": "user"}] * 2]


def test_sides_of_several_benchmarks_are_refused_with_a_remedy_that_works() -> None:
    before, after = ([measure(scorer(shift), Pronouns()) for _ in range(2)] for shift in (0.1, 0.0))
    before[1], after[1] = (replace(side[1], benchmark="other") for side in (before, after))
    with pytest.raises(RecipeError, match=r"got .*, other; compare each") as caught:
        compare(before, after)
    assert str(caught.value).endswith("[eq.compare(b, a) for b, a in zip(before, after)]")
    same = [compare(b, a) for b, a in zip(before[:1], after[:1], strict=True)]
    assert same[0].change("gap").metric == "gap"
