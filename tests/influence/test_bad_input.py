"""What cannot be scored is said, and why."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from equipoise.attribute.base import Attributor
from equipoise.attribute.influence import Influence
from equipoise.attributions import Attribution
from equipoise.errors import DataError, EquipoiseError, ModelError, OptionError, RecipeError
from equipoise.influence import text_scores
from equipoise.influence.once import attribute_once
from equipoise.influence.probe_directions import prepare_probes
from equipoise.influence.text_scores import ScoreSettings
from equipoise.influence.warm_up import warm_up_of
from equipoise.plugins import build
from equipoise.rows import Probe, TrainingRow
from equipoise.testing import tiny_model

from .conftest import Learnt
from .making import PROBES, TRAINING, make_rows, small


def attribute(probes: Any = PROBES, *, rows: Any = None, **options: Any) -> Attribution:
    attributor = Influence(**({"training": TRAINING} | options))
    return attributor.attribute(small(), make_rows(24) if rows is None else rows, probes, seed=0)


@pytest.mark.parametrize(
    ("probe", "options", "words"),
    [
        (Probe(id="p", stereotype="A b"), {}, "'p' has no anti-stereotype"),
        (Probe(id="p", stereotype="A b"), {"probe": "stereotype", "loss_on": "span"}, "'p' has no"),
        (Probe(id="p", stereotype="A b", antistereotype="A b"), {}, "'p' are equal"),
    ],
)
def test_probes_that_a_setting_cannot_use(
    probe: Probe, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(RecipeError, match=words):
        attribute([*PROBES, probe], **options)


@pytest.mark.thorough
def test_the_remedies_for_probes_without_a_counterpart_work() -> None:
    probes = [Probe(id="p", stereotype="A b")]
    attribution = attribute(probes, probe="stereotype", loss_on="all")
    assert np.isfinite(attribution.scores).all()


def test_no_probes_and_no_rows() -> None:
    with pytest.raises(RecipeError, match="got 0 probes"):
        attribute([])
    with pytest.raises(RecipeError, match="got 0"):
        attribute(rows=[])


def test_probes_that_are_empty_or_too_long() -> None:
    for text in (" ", "far too long " * 9):
        with pytest.raises(DataError, match=r"a probe must be .*, 'p'"):
            attribute([*PROBES, Probe(id="p", stereotype=text, antistereotype="A b")])


@pytest.mark.thorough
def test_probes_that_are_all_the_same_and_groups_of_a_single_probe_are_said() -> None:
    same = [replace(PROBES[0], id=str(number)) for number in range(3)]
    assert any("all 3 probes are the same" in note for note in attribute(same).notes)
    notes = attribute(PROBES).notes
    assert any("a single probe stands for each of age" in note for note in notes)
    assert not any("are the same" in note for note in notes)


@pytest.mark.thorough
def test_rows_that_cannot_be_learnt_have_no_score_or_are_refused() -> None:
    rows = [*make_rows(20), TrainingRow(id="empty"), TrainingRow(id="long", text="abc " * 30)]
    attribution = attribute(rows=rows)
    assert np.isnan(attribution.scores).tolist() == [False] * 20 + [True] * 2
    assert list(attribution.skipped) == ["empty", "long"]
    assert {20, 21}.isdisjoint(attribution.select(1.0))
    with pytest.raises(DataError, match="empty"):
        attribute(rows=rows, training=replace(TRAINING, strict=True))


@pytest.mark.thorough
def test_an_adapter_that_did_not_move_is_said_with_its_norms() -> None:
    attribution = attribute(training=replace(TRAINING, learning_rate=1e-7))
    assert attribution.facts["norm_b"] < 1e-4
    assert attribution.facts["gradient_ratio"] < 1e-3
    assert any("hardly moved the adapter (norm of B" in note for note in attribution.notes)
    assert not any("hardly moved the adapter" in note for note in attribute().notes)


@pytest.mark.thorough
def test_checkpoints_without_adam_s_moments_are_refused_and_sgd_needs_none(learnt: Learnt) -> None:
    texts = prepare_probes(
        learnt.model, learnt.probes, form="contrastive", loss="all", max_tokens=40
    )
    warm_up = warm_up_of(learnt.model, learnt.trained, last=True)
    bare = replace(
        warm_up,
        checkpoints=[replace(warm_up.checkpoints[0], exp_avg={}, exp_avg_sq={}, updates={})],
    )
    with (
        pytest.raises(ModelError, match=r"Adam's moments.*moments of 0 parameters.*sgd"),
        text_scores.text_scores(learnt.model, bare, texts, ScoreSettings()),
    ):
        pass
    with text_scores.text_scores(
        learnt.model, bare, texts, ScoreSettings(features="sgd")
    ) as scorer:
        assert scorer.b_norm > 0
    with (
        pytest.raises(ModelError, match="got 0"),
        text_scores.text_scores(
            learnt.model, replace(warm_up, checkpoints=[], weights=[]), texts, ScoreSettings()
        ),
    ):
        pass


def test_checkpoints_of_another_adapter_are_refused(learnt: Learnt) -> None:
    texts = prepare_probes(
        learnt.model, learnt.probes, form="contrastive", loss="all", max_tokens=40
    )
    warm_up = warm_up_of(learnt.model, learnt.trained, last=True)
    other = replace(warm_up, config={**warm_up.config, "target_modules": ["q_proj"]})
    with (
        pytest.raises(ModelError, match="more names are not in both"),
        text_scores.text_scores(learnt.model, other, texts, ScoreSettings()),
    ):
        pass


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="causal"):
        Influence(training=TRAINING).attribute(tiny_model("bert"), make_rows(4), PROBES, seed=0)


@pytest.mark.parametrize(
    "options",
    [
        {"features": "adamw"},
        {"batch": 0},
        {"projection": -1},
        {"checkpoints": 2},
        {"training": {"learning_rate": -1}},
        {"probes": "stereotype"},
    ],
)
def test_options_that_are_none(options: Any) -> None:
    with pytest.raises(EquipoiseError):
        build(Attributor, "influence", options)


def test_options_are_given_as_a_recipe_has_them() -> None:
    attributor = build(
        Attributor, "influence", {"training": {"name": "lora", "epochs": 1}, "features": "frozen"}
    )
    assert isinstance(attributor, Influence)
    assert (attributor.training.epochs, attributor.features) == (1, "frozen")
    assert not Influence.baseline


def test_an_attribution_is_made_once_for_the_same_question(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(
        _: Influence, __: object, rows: Sequence[TrainingRow], *___: Any, **____: Any
    ) -> Attribution:
        calls.append(1)
        ids = tuple(row.id for row in rows)
        return Attribution(attributor="a", ids=ids, scores=np.zeros(len(ids)), unit="", probes=0)

    monkeypatch.setattr(Influence, "attribute", counted)
    model, rows = small(), make_rows(16)
    first = attribute_once(Influence(training=TRAINING), model, rows, PROBES, seed=0)
    assert (
        attribute_once(Influence(training=TRAINING), small(), list(rows), PROBES, seed=0) is first
    )
    others: list[tuple[Influence, Any, Any, int]] = [
        (Influence(training=TRAINING, reduce="mean"), rows, PROBES, 0),
        (Influence(training=TRAINING), rows[:-1], PROBES, 0),
        (Influence(training=TRAINING), rows, PROBES[:-1], 0),
        (Influence(training=TRAINING), rows, PROBES, 1),
        (
            Influence(training=TRAINING),
            [replace(rows[0], groups={"label": "biased"}), *rows[1:]],
            PROBES,
            0,
        ),
    ]
    for attributor, these, probes, seed in others:
        assert attribute_once(attributor, model, these, probes, seed=seed) is not first
    assert len(calls) == 1 + len(others)


def test_the_class_of_an_option_s_error() -> None:
    with pytest.raises(OptionError, match="features"):
        build(Attributor, "influence", {"featurs": "adam"})
