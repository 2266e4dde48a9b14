"""What is said of changes and verdicts: as a person would, and no more than is shown."""

import math
from dataclasses import replace
from typing import get_args

import pytest

from equipoise.conclusions import Base, Change, Comparison, Direction, Verdict
from equipoise.number_text import interval, numbers, probability
from equipoise.records import Margin
from equipoise.report.sentences import MEANING, WORD, headlines, sentence, verdict_sentence

from .making import ABILITY, CHANGE, not_worse, verdict, within


def test_numbers_have_the_decimals_of_the_largest() -> None:
    assert numbers(65.61, 5.0) == ("65.6", "5.0")
    assert numbers(1.234, -0.5) == ("1.23", "-0.50")
    assert numbers(0.12345, math.nan) == ("0.123", "n/a")
    assert numbers(0.0012, 0.0009) == ("0.0012", "0.0009")
    assert numbers(0.00012, 0.0, -1e-14) == ("1.2e-04", "0", "0")
    assert numbers(0.0, 0.0) == ("0.000", "0.000")
    assert numbers(1e-16, -3e-17) == ("0.000", "0.000")
    assert numbers(12.0, -0.01) == ("12.0", "0.0")


def test_interval_is_left_out_where_there_is_none() -> None:
    assert interval(52.44, 49.0, 55.9) == "52.4 [49.0, 55.9]"
    assert interval(52.44, math.nan, math.nan) == "52.4"


@pytest.mark.parametrize(("p", "text"), [(0.0004, "< 0.001"), (0.0123, "0.012"), (math.nan, "n/a")])
def test_probability_is_never_zero(p: float, text: str) -> None:
    assert probability(p) == text


def test_every_direction_has_words() -> None:
    assert set(MEANING) == set(WORD) == set(get_args(Direction))


# --- a change of bias -------------------------------------------------------------------------


def test_without_a_claim_the_ideal_is_named() -> None:
    assert sentence(CHANGE, "stereoset") == (
        "stereoset ss: 65.6 → 52.4 [49.0, 55.9], ideal 50, reduced"
    )
    grouped = replace(CHANGE, group={"axis": "age"})
    assert sentence(grouped, "stereoset").startswith("stereoset ss (axis age): 65.6")


def test_an_interval_that_excludes_0_does_not_look_as_if_it_held_it() -> None:
    reversed_ = replace(
        CHANGE, ideal=0.0, before=1.71, after=-0.034, after_low=-0.07, after_high=-0.0013,
        direction="reversed",
    )  # fmt: skip
    assert "1.71 → -0.034 [-0.070, -0.001], ideal 0, over-corrected" in sentence(reversed_, "b")
    holds = replace(reversed_, after_high=0.0)
    assert "1.71 → -0.03 [-0.07, 0.00]" in sentence(holds, "b")


@pytest.mark.parametrize(
    ("low", "high", "shown", "ending"),
    [
        (-1.0, 5.9, False, "not yet shown to be within 50 ± 3"),
        (0.1, 2.9, True, "shown to be within 50 ± 3"),
        (3.1, 5.9, False, "not within 50 ± 3"),
        (-9.0, -3.5, False, "not within 50 ± 3"),
    ],
)
def test_claim_of_nearness(low: float, high: float, shown: bool, ending: str) -> None:
    change = replace(CHANGE, claim=within(2.4, low, high, shown=shown))
    assert sentence(change, "StereoSet") == (
        f"StereoSet ss: 65.6 → 52.4 [49.0, 55.9], reduced, {ending}"
    )


def test_a_claim_without_an_interval_is_not_made() -> None:
    change = replace(CHANGE, claim=within(2.4, math.nan, math.nan))
    assert sentence(change, "s") == "s ss: 65.6 → 52.4 [49.0, 55.9], reduced"


def test_relative_band_names_its_base() -> None:
    claim = replace(within(2.4, -9.0, 9.0), margin=Margin(size=0.05, relative=True))
    text = sentence(replace(CHANGE, claim=claim), "s")
    assert text.endswith("within 50 ± 5 % of the value before")


@pytest.mark.parametrize(
    ("direction", "ending"),
    [
        ("unchanged", "no change shown"),
        ("worse", "worse"),
        ("reversed", "over-corrected: now on the other side of 50"),
        ("unclear", "moved, not shown to be nearer 50"),
    ],
)
def test_each_direction_in_plain_words(direction: Direction, ending: str) -> None:
    assert sentence(replace(CHANGE, direction=direction), "s").endswith(f", ideal 50, {ending}")


def test_unmeasured_value_has_its_reason() -> None:
    nothing = replace(
        CHANGE, before=math.nan, after=math.nan, after_low=math.nan, after_high=math.nan,
        direction="unknown", reason="ss is not defined on these 60 measured examples",
    )  # fmt: skip
    assert sentence(nothing, "toy") == (
        "toy ss: n/a → n/a, ideal 50, "
        "not measurable (ss is not defined on these 60 measured examples)"
    )


def test_several_seeds_are_named() -> None:
    change = replace(CHANGE, seeds=3, seed_spread=0.84)
    assert "52.4 [49.0, 55.9] (mean of 3 seeds, spread 0.8), ideal" in sentence(change, "s")
    unknown = replace(CHANGE, seeds=3)
    assert "(mean of 3 seeds)," in sentence(unknown, "s")


# --- a change of ability ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim", "direction", "ending"),
    [
        (
            not_worse(0.004, -0.002, 0.010),
            "unchanged",
            "+0.4 % [-0.2, 1.0 at 90 %], no change shown, loss shown to be under 2 %",
        ),
        (
            not_worse(0.004, -0.002, 0.030, shown=False),
            "unchanged",
            "+0.4 % [-0.2, 3.0 at 90 %], no change shown, but a loss of 2 % or more is not "
            "ruled out",
        ),
        (
            not_worse(0.012, 0.006, 0.018),
            "worse",
            "+1.2 % [0.6, 1.8 at 90 %], worse, though loss shown to be under 2 %",
        ),
        (
            not_worse(0.3, 0.2, 0.4, shown=False),
            "worse",
            "+30.0 % [20.0, 40.0 at 90 %], worse, loss shown to be over 2 %",
        ),
    ],
)
def test_loss_has_its_interval(claim: object, direction: Direction, ending: str) -> None:
    change = replace(ABILITY, claim=claim, direction=direction)
    assert sentence(change, "perplexity") == (f"perplexity: 3.80 → 3.82 [3.79, 3.85], {ending}")


def test_a_loss_of_what_should_be_high_is_signed_as_the_metric() -> None:
    claim = replace(not_worse(0.5, -0.25, 1.25), margin=Margin(size=2.0))
    change = replace(ABILITY, metric="accuracy", unit="%", higher_is_better=True, claim=claim)
    assert "-0.50 [-1.25, 0.25 at 90 %], no change shown, loss shown to be under 2 points" in (
        sentence(change, "facts")
    )
    bits = replace(change, unit="bits")
    assert sentence(bits, "facts").endswith("under 2 bits")


# --- a verdict --------------------------------------------------------------------------------


def test_a_verdict_on_one_benchmark_and_one_ability() -> None:
    mixed = verdict(
        replace(CHANGE, claim=within(2.4, -1.0, 5.9), seeds=3, seed_spread=0.8),
        ability=(replace(ABILITY, claim=not_worse(0.004, -0.002, 0.010)),),
    )
    assert verdict_sentence(mixed) == (
        "Bias reduced in stereoset ss (65.6 → 52.4 [49.0, 55.9], mean of 3 seeds, spread 0.8). "
        "Not shown to be within 50 ± 3. "
        "Every ability shown to be kept: perplexity +0.4 % [-0.2, 1.0 at 90 %] "
        "(loss shown to be under 2 %)."
    )


def named(name: str, direction: Direction, **over: object) -> Change:
    return replace(CHANGE, metric=name, direction=direction, **over)  # type: ignore[arg-type]


def test_over_correction_is_named_first() -> None:
    mixed = verdict(
        named("a", "reduced"), named("b", "reversed"), named("c", "unchanged"),
        direction="reversed", over_corrected=True, kept=None,
    )  # fmt: skip
    text = verdict_sentence(mixed)
    assert text.startswith("Over-corrected in stereoset b (65.6 → 52.4 [49.0, 55.9]), now on the ")
    assert "reduced in stereoset a (65.6" in text
    assert "no change shown in stereoset c." in text
    assert text.endswith("No ability was measured.")


def test_no_change_shown_is_not_called_unchanged() -> None:
    text = verdict_sentence(verdict(named("a", "unchanged"), direction="unchanged"))
    assert text.startswith("No change of bias shown in stereoset a.")
    assert "unchanged" not in text


def test_reduced_and_worse_are_both_named() -> None:
    mixed = verdict(named("a", "reduced"), named("b", "worse"), direction="unclear")
    text = verdict_sentence(mixed)
    assert text.startswith(
        "Taken together moved, not shown to be nearer the ideal: bias worse in stereoset b"
    )
    assert "; reduced in stereoset a" in text


def test_verdict_names_what_is_shown_of_bands() -> None:
    mixed = verdict(
        named("a", "reduced", claim=within(0.0, -1.0, 1.0, shown=True)),
        named("b", "reduced", claim=within(0.0, -4.0, 1.0)),
        named("c", "reduced", claim=within(8.0, 6.0, 9.0)),
        named("d", "reduced", claim=within(8.0, 6.0, 9.0)),
    )
    assert (
        "Shown to be within 50 ± 3 (stereoset a); not shown to be within 50 ± 3 (stereoset b); "
        "not within 50 ± 3 (stereoset c and stereoset d)." in verdict_sentence(mixed)
    )


def test_lost_open_and_kept_abilities_are_distinguished() -> None:
    lost = replace(
        ABILITY, metric="x", direction="worse", claim=not_worse(0.3, 0.2, 0.4, shown=False)
    )
    open_ = replace(ABILITY, metric="y", claim=not_worse(0.01, -0.01, 0.03, shown=False))
    ability = replace(ABILITY, metric="z", claim=not_worse(0.0, -0.001, 0.001))
    text = verdict_sentence(verdict(CHANGE, ability=(ability, open_, lost), kept=False))
    assert (
        "Ability lost: x +30.0 % [20.0, 40.0 at 90 %] (loss shown to be over 2 %); "
        "not shown to be kept: y +1.0 % [-1.0, 3.0 at 90 %] (a loss of 2 % or more is not ruled "
        "out); shown to be kept: z 0.0 % [-0.1, 0.1 at 90 %] (loss shown to be under 2 %)."
    ) in text
    many = verdict_sentence(verdict(CHANGE, ability=(ability,) * 3))
    assert many.endswith(
        "Every ability shown to be kept: z (loss under 2 %), z (loss under 2 %) and "
        "z (loss under 2 %)."
    )


def test_nothing_measured_is_stated_once() -> None:
    empty = verdict(direction="unknown", kept=None)
    assert verdict_sentence(empty) == "Nothing was measured that a verdict could rest on."


def test_headlines_are_the_first_metric_and_what_became_worse(reduced: Comparison) -> None:
    assert [(headline.metric, headline.direction) for headline in headlines(reduced)] == [
        ("share", "reduced"),
        ("fluency", "worse"),
    ]


# --- nothing is praised that was nothing before -------------------------------------------------


def based(said: Verdict, base: Base) -> Verdict:
    """The verdict, with what all its headlines were before."""
    return replace(
        said,
        bias=tuple(replace(headline, base=base) for headline in said.bias),
        ability=tuple(replace(headline, base=base) for headline in said.ability),
    )


def test_a_fall_of_what_was_no_bias_is_said_to_be_that() -> None:
    moved = replace(CHANGE, direction="unclear")
    said = verdict_sentence(based(verdict(moved, direction="unclear", kept=None), "ideal"))
    assert "of which none was shown before, not shown to be nearer the ideal" in said
    assert "reduced" not in said
    fell = verdict_sentence(based(verdict(CHANGE), "null"))
    assert "which was not told from a rule without bias before" in fell


def test_two_of_which_none_was_shown_are_told_apart() -> None:
    still = replace(CHANGE, direction="unchanged")
    said = based(verdict(still, replace(still, metric="other"), direction="unchanged"), "ideal")
    clause = "of which none was shown before"
    assert f"stereoset ss, {clause}, and stereoset other, {clause}. " in verdict_sentence(said)


def test_an_ability_that_was_none_is_not_called_kept() -> None:
    claim = replace(not_worse(math.nan, math.nan, math.nan), shown=False)
    ability = replace(ABILITY, metric="accuracy", claim=claim)
    said = verdict_sentence(based(verdict(CHANGE, ability=(ability,), kept=None), "null"))
    assert "Nothing to keep in accuracy (3.80 → 3.82" in said
    assert "before, it was not told from a rule that understands nothing" in said
    assert "shown to be kept" not in said


def test_what_was_within_the_margin_before_is_said_to_be_as_before() -> None:
    near = replace(CHANGE, before=51.0, before_low=50.2, before_high=52.0)
    claimed = replace(near, claim=within(0.4, -1.0, 1.9, shown=True))
    assert "Shown to be within 50 ± 3, as before." in verdict_sentence(verdict(claimed))
    far = replace(claimed, before_high=53.5)
    assert "Shown to be within 50 ± 3." in verdict_sentence(verdict(far))
