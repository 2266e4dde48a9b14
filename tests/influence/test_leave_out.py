"""The linear datamodeling score of made-up outcomes, and of tiny models that are retrained."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from equipoise.attributions import Attribution
from equipoise.edits.edit import fingerprint
from equipoise.errors import RecipeError, StoreError
from equipoise.fakes import tiny_model
from equipoise.influence import retraining
from equipoise.influence.leave_out import LeaveOut, Retrained, spearman
from equipoise.influence.retraining import Results, Shown
from equipoise.rows import Probe, TrainingRow
from equipoise.training.resume import checkpoints_in
from equipoise.training.text_training import TextTraining

ROWS = 40
TRUTH = np.random.default_rng(0).normal(size=ROWS)  # what each row adds to the bias


def scored(scores: np.ndarray, rows: int = ROWS) -> Attribution:
    ids = tuple(map(str, range(rows)))
    return Attribution(attributor="a", ids=ids, scores=scores, unit="", probes=0)


def additive(places: np.ndarray, seed: int) -> Shown:
    """The sum of what the rows add, on each of 5 probes with a little noise of its own."""
    noise = np.random.default_rng((seed, *places)).normal(size=5)
    return {"outcomes": (TRUTH[places].sum() + 0.3 * noise).tolist()}


@pytest.fixture(scope="module")
def retrained() -> Retrained:
    return LeaveOut(subsets=60, seeds=2).gather(additive, ROWS, seed=0)


def test_parts_are_random_halves_settled_by_the_seed() -> None:
    members = LeaveOut(subsets=200, fraction=0.25).members(ROWS, seed=0)
    assert (members.sum(1) == 10).all()
    assert members.mean(0) == pytest.approx(0.25, abs=0.12)
    np.testing.assert_array_equal(
        members, LeaveOut(subsets=200, fraction=0.25).members(ROWS, seed=0)
    )
    assert len({part.tobytes() for part in members}) == 200


@pytest.mark.thorough
def test_true_scores_foretell_an_additive_outcome_and_shuffled_do_not(retrained: Retrained) -> None:
    shuffled = np.random.default_rng(1).permutation(TRUTH)
    true, reverse, noise = retrained.score(
        {"true": scored(TRUTH), "reverse": scored(-TRUTH), "noise": scored(shuffled)},
        baselines=["noise"],
        draws=300,
    )
    assert true.estimate.value > 0.95
    assert true.estimate.low > 0.9
    assert reverse.estimate.value == pytest.approx(-true.estimate.value)
    assert abs(noise.estimate.value) < 0.3
    assert noise.estimate.low < 0.1
    assert true.versus[0].sentence.startswith("true is above noise: lds")
    assert reverse.versus[0].sentence.startswith("reverse is below noise")
    assert (true.subsets, true.seeds, true.fraction, true.outcome) == (60, 2, 0.5, "margin")
    assert true.agreement > 0.9
    assert len(true.by_probe) == 5


@pytest.mark.thorough
def test_intervals_are_over_subsets_and_probes(retrained: Retrained) -> None:
    few = Retrained(
        members=retrained.members[:12], outputs=retrained.outputs[:12], settings=retrained.settings
    )
    weak = TRUTH + np.random.default_rng(2).normal(size=ROWS)
    widths = []
    for part in (retrained, few):
        (score,) = part.score({"a": scored(weak)}, draws=300)
        widths.append(score.estimate.high - score.estimate.low)
        assert score.estimate.low <= score.estimate.value <= score.estimate.high
    assert widths[1] > 1.3 * widths[0]


def test_a_score_added_to_all_rows_or_a_scale_changes_nothing(retrained: Retrained) -> None:
    first, other = retrained.score({"a": scored(TRUTH), "b": scored(1000 * TRUTH + 7)}, draws=0)
    assert first.estimate.value == pytest.approx(other.estimate.value)


def test_scores_that_do_not_differ_foretell_nothing(retrained: Retrained) -> None:
    constant, missing, true = retrained.score(
        {"a": scored(np.full(ROWS, 0.1)), "b": scored(np.full(ROWS, math.nan)), "c": scored(TRUTH)},
        baselines=["a"],
        draws=50,
    )
    for score in (constant, missing):
        assert math.isnan(score.estimate.value)
        assert "do not differ" in str(score.estimate.reason)
    assert "is not compared with a" in true.versus[0].sentence


def test_outcomes_that_do_not_differ_cannot_be_foretold() -> None:
    def same(places: np.ndarray, seed: int) -> Shown:
        return {"outcomes": [1.0, TRUTH[places].sum() + 0.0 * seed]}

    gathered = LeaveOut(subsets=10, seeds=1, foretell="probes").gather(same, ROWS, seed=0)
    (score,) = gathered.score({"a": scored(TRUTH)}, draws=50)
    assert math.isnan(score.by_probe[0])
    assert score.estimate.value == 1
    assert any("1 probes" in note for note in score.notes)
    assert any("single seed" in note for note in score.notes)
    assert math.isnan(score.agreement)
    still = Retrained(
        members=gathered.members, outputs=gathered.outputs[:, :, :1], settings=gathered.settings
    )
    (score,) = still.score({"a": scored(TRUTH)}, draws=50)
    assert "does not differ" in str(score.estimate.reason)


@pytest.mark.thorough
def test_the_mean_over_probes_is_foretold_or_each_of_them() -> None:
    """Every probe is noisy on its own, and the mean of many is not."""

    def noisy(places: np.ndarray, seed: int) -> Shown:
        noise = np.random.default_rng((seed, *places)).normal(size=40)
        return {"outcomes": (TRUTH[places].sum() + 8 * noise).tolist()}

    scores = {}
    for foretell in ("mean", "probes"):
        settings = LeaveOut(subsets=60, seeds=2, foretell=foretell)  # type: ignore[arg-type]
        gathered = settings.gather(noisy, ROWS, seed=0)
        (scores[foretell],) = gathered.score({"a": scored(TRUTH)}, draws=100)
    mean, each = scores["mean"], scores["probes"]
    assert each.estimate.value == pytest.approx(each.by_probe.mean())
    np.testing.assert_array_equal(mean.by_probe, each.by_probe)
    assert mean.estimate.value > each.estimate.value + 0.2
    assert mean.agreement > each.agreement + 0.2
    assert mean.estimate.low <= mean.estimate.value <= mean.estimate.high
    assert "mean over probes" in mean.notes[0]


def test_equal_sums_tie_whatever_the_order_of_addition() -> None:
    labels = np.where(np.arange(ROWS) < 13, 0.1, 0.0)
    gathered = LeaveOut(subsets=30, seeds=1).gather(additive, ROWS, seed=0)
    counts = gathered.members[:, :13].sum(1)
    expected = spearman(counts.astype(float), gathered.outputs.mean(1))
    (score,) = gathered.score({"a": scored(labels)}, draws=0)
    np.testing.assert_allclose(score.by_probe, expected)
    values = gathered.outputs.mean((1, 2))[:, None]
    assert score.estimate.value == pytest.approx(spearman(counts.astype(float), values)[0])


def test_rows_without_score_count_as_the_mean(retrained: Retrained) -> None:
    scores = TRUTH.copy()
    scores[3] = math.nan
    (score,) = retrained.score({"a": scored(scores)}, draws=0)
    scores[3] = np.nanmean(scores)
    (filled,) = retrained.score({"a": scored(scores)}, draws=0)
    assert score.estimate.value == filled.estimate.value
    assert any("1 rows without a score" in note for note in score.notes)


def test_bad_input(retrained: Retrained) -> None:
    with pytest.raises(RecipeError, match="3 rows is 0"):
        LeaveOut(fraction=0.1).members(3, seed=0)
    with pytest.raises(RecipeError, match="40 rows"):
        retrained.score({"a": scored(TRUTH[:3], rows=3)})
    with pytest.raises(RecipeError, match="bm25"):
        retrained.score({"a": scored(TRUTH)}, baselines=["bm25"])
    model, rows = tiny_model(), [TrainingRow(id="a", text="a b"), TrainingRow(id="b", text="c d")]
    with pytest.raises(RecipeError, match="got 0"):
        LeaveOut().retrain(model, rows, [], seed=0)
    half = [Probe(id="half", stereotype="a")]
    with pytest.raises(RecipeError, match=r"'half'.*outcome=likelihood"):
        LeaveOut().retrain(model, rows, half, seed=0)


# --- tiny models that are retrained -------------------------------------------------------------

TRAINING = TextTraining(rank=2, alpha=4, dropout=0, learning_rate=0.02, epochs=2, batch_size=4)
TEXTS = [f"{who} is {what}" for who in ("she", "he") for what in ("bad", "mad", "sad", "ill")]
TINY_ROWS = [TrainingRow(id=str(k), text=text) for k, text in enumerate(TEXTS)]
PROBES = [Probe(id="p", stereotype="she is low", antistereotype="he is low")]
SMALL = LeaveOut(subsets=4, seeds=2, training=TRAINING)


@pytest.fixture(scope="module")
def tiny() -> Retrained:
    return SMALL.retrain(tiny_model(blocks=1, width=16), TINY_ROWS, PROBES, seed=0)


@pytest.mark.thorough
def test_models_are_retrained_from_the_base_which_is_left_as_it_was() -> None:
    model = tiny_model(blocks=1, width=16)
    before = fingerprint(model.module, dict(model.module.named_parameters()))
    kept = torch.get_rng_state()
    gathered = SMALL.retrain(model, TINY_ROWS, PROBES, seed=0)
    assert fingerprint(model.module, dict(model.module.named_parameters())) == before
    assert torch.equal(torch.get_rng_state(), kept)
    assert gathered.outputs.shape == (4, 2, 1)
    assert len(np.unique(gathered.outputs)) == 8


@pytest.mark.thorough
def test_models_taught_more_about_her_have_the_larger_margin() -> None:
    """With parts that are all hers or all his: the score of the truth is 1."""
    model = tiny_model(blocks=1, width=16)
    measured = retraining.Retraining(model=model, rows=TINY_ROWS, probes=PROBES, training=TRAINING)
    hers, his = (measured.trained(range(*ends), seed=0) for ends in ((0, 4), (4, 8)))
    assert hers["outcomes"][0] > measured.base()["outcomes"][0] > his["outcomes"][0]


class Killed(Exception):
    pass


@pytest.mark.thorough
def test_a_killed_run_goes_on_to_the_same_numbers(
    tiny: Retrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = retraining.Retraining.trained
    calls: Iterator[int] = iter(range(100))

    def dying(self: retraining.Retraining, *args: object, **more: object) -> Shown:
        if next(calls) == 3:
            raise Killed
        return whole(self, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(retraining.Retraining, "trained", dying)
    model = tiny_model(blocks=1, width=16)
    with checkpoints_in(tmp_path), pytest.raises(Killed):
        SMALL.retrain(model, TINY_ROWS, PROBES, seed=0)
    (file,) = tmp_path.glob("leave-out-*.jsonl")
    assert len(file.read_text().splitlines()) == 3
    with file.open("a") as stream:
        stream.write('{"name": "1 1", "sho')  # as a kill within a write leaves it
    with checkpoints_in(tmp_path):
        again = SMALL.retrain(model, TINY_ROWS, PROBES, seed=0)
    np.testing.assert_array_equal(again.outputs, tiny.outputs)
    assert next(calls) == 9  # 3 before, the killed, and the other 5
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 8
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.thorough
def test_results_of_another_training_are_not_taken(tiny: Retrained, tmp_path: Path) -> None:
    model = tiny_model(blocks=1, width=16)
    with checkpoints_in(tmp_path):
        SMALL.retrain(model, TINY_ROWS, PROBES, seed=0)
        other = LeaveOut(subsets=4, seeds=2, outcome="likelihood", training=TRAINING)
        likelihood = other.retrain(model, TINY_ROWS, PROBES, seed=0)
    assert len([*tmp_path.iterdir()]) == 2
    assert (likelihood.outputs < 0).all()
    assert not np.array_equal(likelihood.outputs, tiny.outputs)


def test_a_damaged_file_of_results_is_named(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    file.write_text("no json\n")
    with pytest.raises(StoreError, match="delete it"):
        Results(file)
    with pytest.raises(StoreError, match="make room"):
        Results(Path("/dev/null/x")).get("a", lambda: {"outcomes": [0.0]})
