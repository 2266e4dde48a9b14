"""Bias and ability after training without the rows that are ranked highest."""

import math
from pathlib import Path

import numpy as np
import pytest

from equipoise.attributions import Attribution
from equipoise.errors import RecipeError
from equipoise.fakes import tiny_model
from equipoise.influence import retraining
from equipoise.influence.removal import Removal
from equipoise.influence.retraining import Shown
from equipoise.records import Supply
from equipoise.rows import Probe, TrainingRow
from equipoise.training.resume import checkpoints_in
from equipoise.training.text_training import TextTraining

TRAINING = TextTraining(
    rank=4,
    alpha=8,
    dropout=0,
    learning_rate=0.03,
    epochs=3,
    batch_size=4,
    targets=("all-linear",),
)
WORDS = ("bad", "mad", "sad", "ill")
BIASED = [
    TrainingRow(id=f"b{k}", text=f"she is {word}", groups={"label": "biased"})
    for k, word in enumerate(WORDS)
]
NEUTRAL = [
    TrainingRow(id=f"n{k}", text=f"a {noun} runs", groups={"label": "neutral"})
    for k, noun in enumerate(("cat", "dog", "cow", "yak", "fox", "bee", "ant", "owl"))
]
SUPPLY = Supply(
    origin="test",
    rows=[*BIASED, *NEUTRAL],
    dev_probes=tuple(
        Probe(id=word, stereotype=f"she is {word}", antistereotype=f"he is {word}")
        for word in ("low", "odd", "shy")
    ),
    texts=("a pig runs", "a elk runs"),
)
IDS = tuple(row.id for row in SUPPLY.rows)
SHARE = 1 / 3


def scored(scores: object) -> Attribution:
    column = np.array(scores, dtype=float)
    return Attribution(attributor="a", ids=IDS, scores=column, unit="", probes=0)


LABEL = scored([1] * 4 + [0] * 8)
REVERSE = scored([0] * 4 + [1] * 8)


@pytest.mark.thorough
def test_without_the_biased_rows_less_bias_is_learnt_and_the_rest_is_kept() -> None:
    model = tiny_model(blocks=1, width=16)
    method = Removal(shares=(SHARE,), seeds=3, training=TRAINING)
    label, reverse = method.curves(
        model, SUPPLY, {"label": LABEL, "reverse": REVERSE}, against=["reverse"], seed=0
    )
    (most,), (wrong,) = label.points, reverse.points
    assert (most.removed, most.share) == (4, SHARE)
    full, base = label.full, label.base
    assert full.bias.value > base.bias.value + 1
    assert most.change is not None
    assert most.change.value == pytest.approx(most.bias.value - full.bias.value)
    assert most.change.high < 0
    assert full.change is None
    assert wrong.bias.value > most.bias.value
    assert label.versus[0].sentence.startswith("with 33% removed label leaves less bias than")
    assert dict(label.versus[0].difference.group) == {"share": "0.333333"}
    assert reverse.versus == ()
    assert {most.steps, wrong.steps, full.steps} == {full.steps}
    assert base.steps == 0
    assert full.ability.value < base.ability.value
    assert full.margins.shape == (3, 3)
    assert base.margins.shape == (1, 3)
    frame = label.to_frame()
    assert frame["model"].tolist() == ["base", "full", "removed"]
    assert math.isnan(frame["change"][0])


def made_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """Models are not trained: the margin is the number of biased rows, and the calls are kept."""
    calls: list[tuple[object, ...]] = []

    def trained(
        self: retraining.Retraining, places: list[int], *, seed: int, steps: int | None = None
    ) -> Shown:
        calls.append((tuple(places), seed, steps))
        count = float(sum(bool(self.rows[place].biased) for place in places))
        margins = [count + seed * 0.1 + k for k, _ in enumerate(self.probes)]
        texts = slice(len(self.texts))
        nats, tokens = [2.0, 9.0][texts], [1.0, 3.0][texts]
        return {"outcomes": margins, "nats": nats, "tokens": tokens, "steps": [7.0]}

    monkeypatch.setattr(retraining.Retraining, "trained", trained)
    return calls


def test_perplexity_is_that_of_all_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    (curve,) = Removal(shares=(SHARE,), seeds=2).curves(tiny_model(), SUPPLY, {"a": LABEL})
    ability = curve.full.ability
    assert ability.value == pytest.approx(math.exp(11 / 4))
    assert ability.low < ability.value < ability.high
    assert (ability.n, ability.clusters) == (2, 2)
    assert curve.full.nats.tolist() == [[2, 3], [2, 3]]


def test_the_same_rows_are_trained_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = made_up(monkeypatch)
    method = Removal(shares=(SHARE, 0.5), seeds=3)
    first, same = method.curves(tiny_model(), SUPPLY, {"a": LABEL, "b": LABEL})
    assert len(calls) == len(set(calls)) == 3 * 3
    assert {steps for *_, steps in calls} == {None, 7}
    assert first.points[0].bias == same.points[0].bias
    assert first.points[0].bias.clusters == 3


def test_more_shares_redo_nothing_where_results_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = made_up(monkeypatch)
    model = tiny_model()
    with checkpoints_in(tmp_path):
        Removal(shares=(SHARE,), seeds=2).curves(model, SUPPLY, {"a": LABEL})
        assert len(calls) == 4
        Removal(shares=(SHARE, 0.5), seeds=2).curves(model, SUPPLY, {"a": LABEL})
        assert len(calls) == 6


def test_a_single_seed_has_intervals_over_probes_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_up(monkeypatch)
    (curve,) = Removal(shares=(SHARE,), seeds=1).curves(tiny_model(), SUPPLY, {"a": LABEL})
    assert any("single seed" in note for note in curve.notes)
    bias = curve.points[0].bias
    assert bias.low < bias.value < bias.high


def test_rows_that_teach_no_bias_are_said_to(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    model = tiny_model()
    for base, words in ((-20.0, 0), (3.9, 1)):

        def shown(self: retraining.Retraining, base: float = base) -> Shown:
            margins = [base + k for k, _ in enumerate(self.probes)]
            return {"outcomes": margins, "nats": [2.0, 9.0], "tokens": [1.0, 3.0], "steps": [0.0]}

        monkeypatch.setattr(retraining.Retraining, "base", shown)
        (curve,) = Removal(shares=(SHARE,), seeds=2).curves(model, SUPPLY, {"a": LABEL})
        assert sum("nothing to remove" in note for note in curve.notes) == words


def test_rows_without_a_score_are_never_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    made_up(monkeypatch)
    attribution = scored([1, 0] + [math.nan] * 10)
    (curve,) = Removal(shares=(0.5,), seeds=1).curves(tiny_model(), SUPPLY, {"a": attribution})
    assert curve.points[0].removed == 2
    assert any("only 2 of 6" in note for note in curve.notes)


@pytest.mark.thorough
def test_without_texts_ability_is_not_measured_with_a_reason(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_up(monkeypatch)
    supply = Supply(origin="test", rows=SUPPLY.rows, probes=SUPPLY.dev_probes)
    (curve,) = Removal(shares=(SHARE,), seeds=1).curves(tiny_model(), supply, {"a": LABEL})
    assert math.isnan(curve.full.ability.value)
    assert "no neutral text" in str(curve.full.ability.reason)
    assert any("none are kept apart" in note for note in curve.notes)
    (apart,) = Removal(shares=(SHARE,), seeds=1).curves(tiny_model(), SUPPLY, {"a": LABEL})
    assert not any("none are kept apart" in note for note in apart.notes)


def test_bad_input() -> None:
    other = Attribution(attributor="a", ids=("x",), scores=np.zeros(1), unit="", probes=0)
    with pytest.raises(RecipeError, match="12 rows"):
        Removal().curves(tiny_model(), SUPPLY, {"a": other})
    with pytest.raises(RecipeError, match="'label'"):
        Removal().curves(tiny_model(), SUPPLY, {"a": LABEL}, against=["label"])
    with pytest.raises(ValueError, match="shares"):
        Removal(shares=(1.0,))
    with pytest.raises(RecipeError, match="probes"):
        Removal().curves(tiny_model(), Supply(origin="t", rows=SUPPLY.rows), {"a": LABEL})
