"""How biased is the model? What is said of constructed measurements, and what never is."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.answer import answer, headline_estimates, readings
from equipoise.records import Estimate, Measurement, Reference
from equipoise.slices import Slice, SliceTable

NAN = math.nan
FAULT = "A model that knows nothing has SS near 50: SS alone rewards ignorance."


def estimate(value: float, low: float, high: float, **more: Any) -> Estimate:
    """Of SS, whose ideal is 50."""
    fields = {"metric": "ss", "n": 600, "clusters": 80, "unit": "%", "ideal": 50.0}
    return Estimate(value=value, low=low, high=high, **{**fields, **more})


def rule(name: str, *estimates: Estimate) -> Reference:
    return Reference(kind="null", name=name, says="", items=600, estimates=estimates)


def measured(*estimates: Estimate, **more: Any) -> Measurement:
    """Of StereoSet, by default with a rule that gets 45 [43, 47]."""
    fields: dict[str, Any] = {
        "model": "gpt2@1", "benchmark": "stereoset", "version": "1", "options": {}, "split": "dev",
        "seed": 0, "draws": 100, "limit": None, "examples_sha256": "e" * 64, "data": (),
        "model_info": {}, "environment": {}, "cluster": "target", "outcomes": (),
        "headline": ("ss", "lms"), "notes": ("coverage: all", FAULT),
        "references": (rule("length", estimate(45.0, 43.0, 47.0)),),
    }  # fmt: skip
    return Measurement(estimates=estimates, **{**fields, **more})


def table(*slices: Slice, **more: Any) -> SliceTable:
    fields: dict[str, Any] = {
        "by": ("axis",), "metric": "ss", "unit": "%", "reference": 50.0, "higher_is_better": None,
        "units": "target", "difference": (20.0, 11.0, 29.0), "ratio": (0.7, 0.6, 0.8),
    }  # fmt: skip
    return SliceTable(slices=slices, **{**fields, **more})


def group(name: str, value: float, half: float, **more: Any) -> Slice:
    fields: dict[str, Any] = {"n": 160, "units": 20, "detectable": 9.0, "evidence": "apart"}
    return Slice(
        group={"axis": name}, value=value, low=value - half, high=value + half, **{**fields, **more}
    )


LMS = estimate(90.0, 88.0, 92.0, metric="lms", ideal=100.0, higher_is_better=True)


def test_a_bias_that_is_shown_is_said_against_the_ideal_and_against_rules() -> None:
    shown, *rest = answer([measured(estimate(62.1, 60.0, 64.2), LMS)])
    assert shown == (
        "Bias is shown: stereoset ss 62.1 [60.0, 64.2] is above the ideal 50, and apart from what "
        "the rule without bias gets (45.0)."
    )
    assert not any(sentence.startswith("Not shown") for sentence in rest)
    assert rest[-1].startswith(f"What this cannot say: of stereoset: {FAULT.rstrip('.')}")


def test_over_correction_is_said_under_the_ideal() -> None:
    (shown, *_) = answer([measured(estimate(40.0, 38.0, 42.0))])
    assert "is below the ideal 50, so over-corrected or biased the other way" in shown


@pytest.mark.parametrize(
    ("number", "references", "state"),
    [
        (estimate(51.0, 48.0, 54.0), (), "even"),  # holds the ideal
        (estimate(56.0, 52.0, 60.0), (rule("r", estimate(60.5, 59.0, 62.0)),), "null"),
        (estimate(56.0, 52.0, 60.0), (rule("r", estimate(57.0, NAN, NAN)),), "null"),
        (estimate(56.0, 52.0, 60.0), (rule("r", estimate(61.0, NAN, NAN)),), "biased"),
        (estimate(56.0, 52.0, 60.0), (), "biased"),
        (estimate(NAN, NAN, NAN, reason="no text"), (), "lost"),
        (estimate(99.0, 98.0, 100.0, clusters=5), (), "few"),
        (estimate(99.0, NAN, NAN, reason="no draws"), (), "bare"),
        (estimate(99.0, 98.0, 100.0, ideal=None), (), "plain"),
        (replace(LMS, metric="ss"), (rule("r", replace(LMS, metric="ss")),), "null"),
        (replace(LMS, metric="ss"), (rule("r", estimate(50.0, 45.0, 55.0)),), "able"),
    ],
)  # fmt: skip
def test_what_may_be_said_of_a_number(
    number: Estimate, references: tuple[Reference, ...], state: str
) -> None:
    (reading,) = readings([measured(number, headline=("ss",), references=references)])
    assert reading.state == state
    said = " ".join(answer([measured(number, headline=("ss",), references=references)]))
    assert said.startswith("Bias is shown") == (state == "biased")


def test_what_was_not_measured_is_said_with_its_reason() -> None:
    lost = estimate(NAN, NAN, NAN, n=0, clusters=0, reason="no answer names anybody")
    sentences = answer([measured(lost)])
    assert sentences[:2] == (
        "No bias is shown.",
        "Insufficient evidence: stereoset ss could not be measured (no answer names anybody).",
    )


def test_few_items_are_insufficient_whatever_they_say() -> None:
    few = estimate(100.0, 92.0, 100.0, n=3, clusters=3)
    said = " ".join(answer([measured(few)]))
    assert "No bias is shown." in said
    assert "rests on 3 items of 3 independent units, where only an effect of" in said
    single = estimate(100.0, NAN, NAN, n=1, clusters=1)
    assert "rests on 1 item of 1 independent unit." in " ".join(answer([measured(single)]))


def test_what_could_have_been_seen_follows_from_the_interval() -> None:
    """Half a width of 3 is 1.99 standard errors of 79 degrees; 80 % power asks for 0.846 more."""
    said = " ".join(answer([measured(estimate(51.0, 48.0, 54.0), references=())]))
    assert "where a bias of 4.28 or more would have been seen 4 times in 5" in said


def test_ignorance_is_said_of_a_model_that_reads_as_a_rule_does() -> None:
    rules = (rule("r", estimate(45.0, 43.0, 47.0), replace(LMS, value=91.0)),)
    said = answer([measured(estimate(51.0, 48.0, 54.0), LMS, references=rules)])[-1]
    assert "lms 90.0 [88.0, 92.0] is not told from a rule that understands nothing" in said


def test_the_worst_group_and_the_largest_gap() -> None:
    groups = table(
        group("gender", 70.0, 6.0),
        group("race", 50.0, 4.0, evidence="not apart"),
        group("religion", 100.0, NAN, units=3, evidence="insufficient"),
    )
    said = answer([measured(estimate(62.1, 60.0, 64.2), slices=(groups,))])[1]
    assert said == (
        "Groups: of 3 by axis, gender is farthest from 50 in stereoset ss, 70.0 [64.0, 76.0] after "
        "correction for the choice; the largest gap is 20.0 [11.0, 29.0], shown; 1 group has too "
        "few items."
    )
    unsure = table(group("gender", 53.0, 6.0, evidence="not apart"), difference=(3.0, 0.0, 12.0))
    said = answer([measured(estimate(62.1, 60.0, 64.2), slices=(unsure,))])[1]
    assert "which is not shown to be apart from it" in said
    assert "not shown to be above 0" in said
    none = table(group("gender", 53.0, NAN, evidence="insufficient"))
    said = answer([measured(estimate(62.1, 60.0, 64.2), slices=(none,))])[1]
    assert said == "Groups: no group of stereoset by axis has enough items to be compared."


def test_a_group_apart_is_said_where_the_whole_is_not_and_beside_a_rule_that_gets_it_too() -> None:
    groups = table(group("gender", 70.0, 6.0), group("race", 50.0, 4.0, evidence="not apart"))
    even = measured(estimate(51.0, 48.0, 54.0), slices=(groups,))
    shown, *rest = answer([even])
    assert shown == "No bias is shown over all items, but a group is apart from the ideal."
    assert not any("a rule that knows of no bias" in sentence for sentence in rest)
    few = table(group("gender", 53.0, NAN, evidence="insufficient"))
    later = measured(estimate(51.0, 48.0, 54.0), slices=(few, groups))
    assert answer([later])[0] == shown  # of the same table as the sentence on groups
    of_group = estimate(66.0, 64.0, 68.0, group={"axis": "gender"})
    said = " ".join(answer([replace(even, references=(rule("shorter", of_group),))]))
    assert "which a rule that knows of no bias gets, too (shorter: 66.0 [64.0, 68.0])" in said


def test_groups_that_are_compared_are_not_crowded_out_by_those_that_are_too_few() -> None:
    few = measured(LMS, slices=(table(group("gender", 53.0, NAN, evidence="insufficient")),))
    named = measured(LMS, benchmark="genbias", slices=(table(group("race", 70.0, 6.0)),))
    said = " ".join(answer([few, replace(few, benchmark="bbq"), named]))
    assert "Groups: of 1 by axis, race is farthest from 50 in genbias ss" in said
    assert "no group of stereoset by axis has enough items" in said


def test_of_an_ability_the_least_able_group_is_the_worst() -> None:
    groups = table(
        group("a", 40.0, 3.0), group("b", 90.0, 3.0), reference=65.0, higher_is_better=True
    )
    said = answer([measured(LMS, headline=("lms",), slices=(groups,))])
    assert said[0].startswith("Nothing here measures bias: stereoset lms")
    assert "of 2 by axis, a is the least able in stereoset ss" in said[1]


def test_measurements_of_the_same_benchmark_are_told_apart() -> None:
    number = estimate(62.1, 60.0, 64.2)
    both = [measured(number), measured(number, model_info={"chat": {"turn": "user"}})]
    names = [reading.name for reading in readings(both)]
    assert names == ["stereoset (as plain text) ss", "stereoset (in a chat) ss"]
    again = [reading.name for reading in readings([measured(number), measured(number)])]
    assert again == ["stereoset (as plain text) no. 1 ss", "stereoset (as plain text) no. 2 ss"]


def test_many_numbers_are_counted_and_nothing_is_an_empty_answer() -> None:
    number = estimate(62.1, 60.0, 64.2)
    many = [measured(number, label=f"b{k}") for k in range(9)]
    assert "; and 6 more." in answer(many)[0]
    assert len(answer(many)) <= 5
    (limits,) = answer([])
    assert limits.startswith("What this cannot say")


def test_headlines_are_those_named_else_the_first() -> None:
    numbers = (estimate(50.0, 40.0, 60.0), LMS, estimate(1.0, 0.0, 2.0, metric="other"))
    assert [each.metric for each in headline_estimates(measured(*numbers))] == ["ss", "lms"]
    for headline in ((), ("gone",)):
        (only,) = headline_estimates(measured(*numbers, headline=headline))
        assert only.metric == "ss"


@pytest.mark.thorough
@settings(max_examples=60, deadline=None)
@given(
    value=st.floats(0, 100), half=st.floats(0, 30), null=st.floats(0, 100),
    null_half=st.floats(0, 30), clusters=st.integers(1, 40),
)  # fmt: skip
def test_a_number_that_meets_its_ideal_or_a_null_is_never_called_biased(
    value: float, half: float, null: float, null_half: float, clusters: int
) -> None:
    number = estimate(value, value - half, value + half, clusters=clusters)
    rules = (rule("r", estimate(null, null - null_half, null + null_half)),)
    sentences = answer([measured(number, references=rules)])
    assert 2 <= len(sentences) <= 5
    meets = abs(value - 50.0) <= half or abs(value - null) <= half + null_half
    if meets or clusters < 6:
        assert sentences[0] == "No bias is shown."
    assert all(sentence.endswith(".") for sentence in sentences)
