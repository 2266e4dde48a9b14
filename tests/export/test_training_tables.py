"""Curves of training and costs of edits, as tables."""

from dataclasses import replace

from report.test_costs import COST
from report.test_training_curves import edit, with_edits

from equipoise.export.export import export
from equipoise.export.training_tables import costs, curves


def test_every_point_is_a_row() -> None:
    frame = curves(with_edits(edit()))
    gender = frame[frame.quantity == "SS, gender"]
    assert gender[["place", "value", "low", "high", "n"]].to_numpy().tolist() == [
        [0.0, 70.0, 65.0, 75.0, 40], [25.0, 55.0, 50.0, 60.0, 40],
    ]  # fmt: skip
    assert set(gender.band) == {"95 % interval over the contrasts' target terms"}
    losses = frame[frame.quantity == "loss, kl"]
    assert losses.value.isna().tolist() == [True, False, False]
    assert losses.n.isna().all()
    text = export(with_edits(edit()), "curves", "markdown")
    assert "55.0 [50.0, 60.0]" in text


def test_every_edit_has_its_costs() -> None:
    study = replace(with_edits(edit()), costs=(COST, replace(COST, seed=1, reason="why")))
    frame = costs(study)
    assert frame.seed.tolist() == [0, 1]
    assert frame.trained_parameters.tolist() == [1e6, 1e6]
    assert frame.reason.fillna("").tolist() == ["", "why"]
    assert "peak_bytes" in export(study, "costs", "csv").splitlines()[0]
