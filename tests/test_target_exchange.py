"""Words or groups: what target exchange says where the truth is planted."""

import math
from pathlib import Path

import pytest
from worlds import in_world

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.calibrate import calibrate
from equipoise.compare import compare
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import choose_examples, learnt_examples, measure
from equipoise.planted.model import load_planted
from equipoise.planted.world import find_world
from equipoise.predictions import Predictions
from equipoise.records import Measurement
from equipoise.report.html import page
from equipoise.report.tables import comparison_text
from equipoise.rows import text_sha256
from equipoise.study.results import comparisons_document
from equipoise.testing import FakeScorer

#: In the usual worlds each target has leans of its own; of more targets all have those of words.
GROUPS, WORDS = "", ",targets=40"


def truthful(name: str) -> FakeScorer:
    """A model that says its world."""
    nats: dict[str, float] = {}
    for each in find_world(name).preferences:
        nats[each.contrast.stereotype] = math.log(each.share)
        nats[each.contrast.antistereotype] = math.log(1 - each.share)
        nats[str(each.contrast.unrelated)] = -20.0
    return FakeScorer(nats=nats, identity=name)


def exchanged(world: str, *, of: str | None = None, draws: int = 500) -> Measurement:
    """What a truthful model of a world (or of another with the same items) says, exchanged."""
    with in_world(world):
        return measure(truthful(of or world), StereoSet(exchange=4), draws=draws)


def said(measurement: Measurement) -> str:
    (note,) = (each for each in measurement.notes if each.startswith("exchange: ss "))
    return note


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bias_of_words_is_no_part_of_the_target(seed: int) -> None:
    measured = exchanged(f"strength=1,seed={seed}{WORDS}")
    assert measured.estimate("ss").low > 55  # every score says bias
    target, others = measured.estimate("ss_target"), measured.estimate("ss_exchanged")
    assert target.low <= 0 <= target.high
    assert target.value == pytest.approx(0, abs=0.5)
    assert others.low > 55
    assert "words, not groups" in said(measured)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_bias_of_groups_is_the_targets_part(seed: int) -> None:
    measured = exchanged(f"strength=1,seed={seed}{GROUPS}")
    assert measured.estimate("ss").low > 55
    target, others = measured.estimate("ss_target"), measured.estimate("ss_exchanged")
    assert target.low > 0
    assert others.low <= 50 <= others.high
    assert "groups, not words" in said(measured)
    whole = measured.estimate("ss_own")
    assert target.value == pytest.approx(whole.value - others.value)
    assert target.n == whole.n == others.n == 160


@pytest.mark.thorough
def test_without_a_planted_bias_neither_is_shown() -> None:
    measured = exchanged(f"strength=0,seed=0{GROUPS}")
    assert "neither words nor group" in said(measured)
    assert {each.groups["exchange"] for each in measured.outcomes} == {
        "others were put in its place"
    }


@pytest.mark.thorough
def test_the_targets_part_is_linear_in_what_was_planted_on_groups_alone() -> None:
    strengths, options = (0.0, 0.5, 1.0), {"exchange": 4}
    groups = calibrate(
        "stereoset", options, strengths=strengths, seeds=(0, 1, 2), draws=0, load=truthful
    )
    part = next(curve for curve in groups.curves if curve.metric == "ss_target")
    values = {
        strength: [each.estimate.value for each in part.readings if each.strength == strength]
        for strength in strengths
    }
    means = [sum(of) / len(of) for of in values.values()]
    assert means[0] == pytest.approx(0, abs=2)
    assert means[2] > 15
    assert means[1] == pytest.approx((means[0] + means[2]) / 2, abs=1)  # on the line
    assert part.slope_low > 10
    words = calibrate(
        "stereoset", options, strengths=strengths, world="targets=40", limit=100, draws=0,
        load=truthful,
    )  # fmt: skip
    by_name = {curve.metric: curve for curve in words.curves}
    assert by_name["ss_exchanged"].slope > 10
    assert by_name["ss_target"].slope == pytest.approx(0, abs=1)
    assert words.models[0] == "strength=0,seed=0,targets=40"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "conclusion"),
    [
        (WORDS, "words changed, not groups: that the group takes part is not shown"),
        (GROUPS, "the group takes part in it, the words are not shown to"),
    ],
)
def test_a_comparison_says_whose_the_change_is(kind: str, conclusion: str) -> None:
    world = f"strength=1,seed=0{kind}"
    before = exchanged(world, draws=200)
    after = exchanged(world, of=f"strength=0,seed=0{kind}", draws=200)
    comparison = compare(before, after, draws=500)
    notes = [note for note in comparison.notes if note.startswith("exchange: ss ")]
    assert len(notes) == 1
    assert notes[0].endswith(conclusion)
    changes = [comparison.change(f"ss_{part}").difference for part in ("exchanged", "target")]
    assert sum(changes) == pytest.approx(comparison.change("ss_own").difference)
    # the command line, the result and the page
    assert conclusion in comparison_text(comparison)
    assert conclusion in str(comparisons_document([comparison]))
    assert conclusion in page([comparison], title="Before and after")
    unmoved = compare(before, before, draws=200)
    assert any("no change of it is shown" in note for note in unmoved.notes)


@pytest.mark.thorough
def test_a_copy_that_was_learnt_is_not_the_example() -> None:
    with in_world("default"):
        benchmark = StereoSet(exchange=4)
        examples, requests = choose_examples(benchmark, limit=5)
        first = examples[0]
        assert len(requests[0]) == 3 + 4 * 2
        copy, plain = benchmark.copies(first)[0], first.sentences  # type: ignore[arg-type, attr-defined]
        learnt = frozenset({text_sha256(copy.sentences[0])})
        assert learnt_examples(learnt, benchmark, examples, requests) == []
        learnt = frozenset({text_sha256(plain[0])})
        assert learnt_examples(learnt, benchmark, examples, requests) == [first.id]


@pytest.mark.thorough
def test_nothing_is_added_without_the_option() -> None:
    with in_world("default"):
        measured = measure(truthful("default"), StereoSet(), draws=0)
        other = measure(truthful("default"), StereoSet(exchange=1), draws=0)
    assert not any("exchange" in str(each) for each in (measured.estimates, measured.notes))
    assert measured.estimate("ss").value == other.estimate("ss").value
    assert measured.estimate("margin_mean").value == other.estimate("margin_mean").value


@pytest.mark.thorough
def test_predictions_of_the_own_targets_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text("{}")
    with in_world("default"), pytest.raises(RecipeError, match="own target, got stereoset"):
        measure(Predictions(file=file), StereoSet(exchange=2), draws=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_taught_models_of_both_kinds(seed: int) -> None:
    def load(name: str) -> LanguageModel:
        return load_planted(name, device="cpu")

    for kind, rises in (("targets=40", "ss_exchanged"), ("", "ss_target")):
        calibration = calibrate(
            "stereoset", {"exchange": 4}, strengths=(0, 0.5, 1), seeds=(seed,), world=kind,
            draws=300, load=load,
        )  # fmt: skip
        by_name = {curve.metric: curve for curve in calibration.curves}
        still = {"ss_exchanged": "ss_target", "ss_target": "ss_exchanged"}[rises]
        assert by_name[rises].slope > 10
        assert abs(by_name[still].slope) < by_name[rises].slope / 3
        last = by_name["ss_target"].readings[-1].estimate
        assert (last.low <= 0 <= last.high) == (rises == "ss_exchanged")
