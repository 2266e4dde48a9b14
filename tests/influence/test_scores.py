"""Scores are those of explicit vectors, whatever the options; the model is left as it was."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from equipoise.attribute.gradient_norm import GradientNorm
from equipoise.attribute.influence import Influence
from equipoise.attribute.loss import Loss
from equipoise.attributions import Attribution
from equipoise.edits.edit import fingerprint
from equipoise.influence.adam_features import AdamFeatures
from equipoise.influence.adapter_gradients import AdapterGradients, TextGradients
from equipoise.influence.learnt_texts import LearntText
from equipoise.influence.warm_up import warm_up_of
from equipoise.rows import Probe, TrainingRow
from equipoise.training.lora import lora_in_training

from . import plain
from .conftest import Learnt

TOLERANCE = 2e-5  # of cosines in float32 against float64

#: Of `learnt`, which is made once: the gradients at its checkpoints, and attributions by options.
_gradients: list[plain.Gradients] = []
_attributed: dict[str, Attribution] = {}


def texts_of(learnt: Learnt, texts: list[str]) -> list[plain.Text]:
    rows = [TrainingRow(id=str(number), text=text) for number, text in enumerate(texts)]
    tokens = learnt.training.tokenize(learnt.model, rows)
    return [(tokens.ids[row], tokens.positions(row)) for row in range(len(rows))]


def expected(learnt: Learnt, *, last: bool = False, **settings: Any) -> NDArray[np.float64]:
    """[row, probe]"""
    warm_up = warm_up_of(learnt.model, learnt.trained, last=last)
    if not _gradients:
        pairs = [(probe.stereotype, str(probe.antistereotype)) for probe in learnt.probes]
        rows = texts_of(learnt, [row.text for row in learnt.rows])
        probes = [tuple(texts_of(learnt, list(pair))) for pair in pairs]
        for checkpoint in warm_up_of(learnt.model, learnt.trained, last=False).checkpoints:
            gradients = plain.gradients(
                learnt.model, learnt.trained.config, checkpoint, rows, probes
            )  # type: ignore[arg-type]
            _gradients.append(gradients)
    return plain.scores(_gradients[-1:] if last else _gradients, warm_up.weights, **settings)


def attributed(learnt: Learnt, **options: Any) -> Attribution:
    """By Adam's step and the mean over probes, unless said otherwise."""
    given = {"features": "adam", "reduce": "mean"} | options
    asked = repr(sorted(given.items()))
    if asked not in _attributed:
        attributor = Influence(training=learnt.training, **given)
        attribution = attributor.attribute(learnt.model, learnt.rows, learnt.probes, seed=0)
        _attributed[asked] = attribution
    return _attributed[asked]


def is_gender(learnt: Learnt) -> NDArray[np.bool_]:
    return np.array([probe.groups["axis"] == "gender" for probe in learnt.probes])


@pytest.mark.thorough
def test_by_default_it_is_what_a_row_adds_and_the_most_over_kinds_of_probes(learnt: Learnt) -> None:
    """Kinds are types of bias, and directions where probes name them."""
    by_probe = expected(learnt, features="scaled")
    ways = ("stereo", "antistereo", "")
    probes = [
        replace(probe, groups={**probe.groups, **({"direction": way} if way else {})})
        for probe, way in zip(learnt.probes, ways, strict=True)
    ]
    method = Influence(training=learnt.training)
    attribution = method.attribute(learnt.model, learnt.rows, probes, seed=0)
    assert attribution.scores == pytest.approx(by_probe.max(axis=1), abs=TOLERANCE)
    assert attribution.by_group.keys() == {"age", "gender"}
    assert not any("direction" in note for note in attribution.notes)
    same = method.attribute(learnt.model, learnt.rows, learnt.probes, seed=0)
    gender = is_gender(learnt)
    means = [by_probe[:, chosen].mean(axis=1) for chosen in (gender, ~gender)]
    assert same.scores == pytest.approx(np.max(means, axis=0), abs=TOLERANCE)
    assert any("direction" in note for note in same.notes)


@pytest.mark.thorough
def test_the_mean_is_over_probes_and_checkpoints(learnt: Learnt) -> None:
    by_probe = expected(learnt)
    attribution = attributed(learnt)
    assert attribution.scores == pytest.approx(by_probe.mean(axis=1), abs=TOLERANCE)
    gender = is_gender(learnt)
    assert attribution.by_group.keys() == {"age", "gender"}
    for name, chosen in (("gender", gender), ("age", ~gender)):
        mean = by_probe[:, chosen].mean(axis=1)
        assert attribution.by_group[name] == pytest.approx(mean, abs=TOLERANCE)
    assert attribution.ids == tuple(row.id for row in learnt.rows)
    assert (attribution.probes, attribution.unit) == (3, "cosine")
    assert attribution.scores.std() > 0.01


@pytest.mark.thorough
@pytest.mark.parametrize("features", ["scaled", "frozen", "sgd", "less-code"])
def test_features_are_as_their_formulas(learnt: Learnt, features: str) -> None:
    by_probe = expected(learnt, features=features)
    attribution = attributed(learnt, features=features)
    assert attribution.scores == pytest.approx(by_probe.mean(axis=1), abs=TOLERANCE)


@pytest.mark.thorough
def test_the_last_checkpoint_and_the_paper_s_probe(learnt: Learnt) -> None:
    by_probe = expected(learnt, last=True, contrastive=False)
    attribution = attributed(learnt, checkpoints="last", probe="stereotype")
    assert attribution.scores == pytest.approx(by_probe.mean(axis=1), abs=TOLERANCE)


@pytest.mark.thorough
def test_inner_products_are_not_normalized(learnt: Learnt) -> None:
    by_probe = expected(learnt, cosine=False)
    attribution = attributed(learnt, similarity="dot")
    mean = by_probe.mean(axis=1)
    assert attribution.scores == pytest.approx(mean, abs=1e-4 * np.abs(mean).max())
    assert attribution.unit == "inner product"


@pytest.mark.thorough
def test_max_is_over_the_means_of_bias_types(learnt: Learnt) -> None:
    by_probe, gender = expected(learnt), is_gender(learnt)
    means = np.stack([by_probe[:, gender].mean(axis=1), by_probe[:, ~gender].mean(axis=1)])
    attribution = attributed(learnt, reduce="max")
    assert attribution.scores == pytest.approx(means.max(axis=0), abs=TOLERANCE)


@pytest.mark.thorough
def test_loss_on_the_changed_span_leaves_the_other_tokens_out(learnt: Learnt) -> None:
    """Up to the token before "she" and "he" both read the same: its loss alone counts there."""
    warm_up = warm_up_of(learnt.model, learnt.trained, last=True)
    pairs = []
    for probe in learnt.probes:
        first, second = texts_of(learnt, [probe.stereotype, str(probe.antistereotype)])
        begin = next(i for i, (a, b) in enumerate(zip(first[0], second[0], strict=False)) if a != b)
        # a token is a byte: " ran" and the "he" of both stand at the end; "s" is one byte more
        assert (len(first[0]), len(second[0])) == (begin + 7, begin + 6)
        pairs.append(((first[0], [begin]), (second[0], [begin])))
    rows = texts_of(learnt, [row.text for row in learnt.rows])
    (last,) = warm_up.checkpoints
    gradients = plain.gradients(learnt.model, learnt.trained.config, last, rows, pairs)
    by_probe = plain.scores([gradients], warm_up.weights)
    attribution = attributed(learnt, checkpoints="last", loss_on="span")
    assert attribution.scores == pytest.approx(by_probe.mean(axis=1), abs=TOLERANCE)


@pytest.mark.thorough
def test_a_projection_keeps_the_order_about(learnt: Learnt) -> None:
    exact = attributed(learnt)
    projected = attributed(learnt, projection=8192)
    assert np.abs(projected.scores - exact.scores).max() < 4 / 8192**0.5
    assert spearmanr(projected.scores, exact.scores).statistic > 0.9
    assert any("8192" in note for note in projected.notes)


@pytest.mark.thorough
def test_less_s_code_keeps_the_order_about(learnt: Learnt) -> None:
    exact, code = attributed(learnt), attributed(learnt, features="less-code")
    assert spearmanr(code.scores, exact.scores).statistic > 0.8
    assert not np.allclose(code.scores, exact.scores, atol=1e-3)
    half = attributed(learnt, features="less-code", projection=8192)
    assert spearmanr(half.scores, code.scores).statistic > 0.9


@pytest.mark.thorough
def test_a_batch_shares_a_score_that_is_of_its_mean_loss(learnt: Learnt) -> None:
    attribution = attributed(learnt, batch=8, features="sgd", checkpoints="last")
    assert len(set(attribution.scores.tolist())) == 2
    rows = texts_of(learnt, [row.text for row in learnt.rows[:8]])
    pairs = [
        texts_of(learnt, [probe.stereotype, str(probe.antistereotype)]) for probe in learnt.probes
    ]
    checkpoint = learnt.trained.checkpoints[-1]
    with lora_in_training(learnt.model, learnt.trained.config, seed=0) as parameters:
        for name, parameter in parameters.items():
            parameter.data = checkpoint.values[name].clone()

        def vector(text: plain.Text) -> NDArray[np.float64]:
            return plain.flat(plain.gradient(learnt.model, parameters, text))

        tokens = [len(positions) for _, positions in rows]
        feature = np.average([vector(row) for row in rows], axis=0, weights=tokens)
        cosines = []
        for first, second in pairs:
            phi = vector(first) - vector(second)
            cosines.append(feature @ phi / np.linalg.norm(feature) / np.linalg.norm(phi))
    assert attribution.scores[0] == pytest.approx(np.mean(cosines), abs=TOLERANCE)
    assert any("share a score" in note for note in attribution.notes)


def test_a_frozen_second_moment_differs_by_what_the_identity_says(learnt: Learnt) -> None:
    """v' = vhat (1 + alpha (u - 1)), u = g^2 / vhat, alpha = (1 - b2) / (1 - b2^(t+1))."""
    checkpoint = learnt.trained.checkpoints[-1]
    name = next(iter(checkpoint.values))
    sizes = {name: checkpoint.values[name].numel()}
    m, v = (group[name].double().flatten() for group in (checkpoint.exp_avg, checkpoint.exp_avg_sq))
    t = float(checkpoint.updates[name])
    g = torch.randn(1, sizes[name], generator=torch.Generator().manual_seed(0)).double()
    g = g * v.sqrt()
    hat, alpha = v / (1 - 0.999**t), 0.001 / (1 - 0.999 ** (t + 1))
    ratio = (1 + alpha * (g * g / hat - 1)).sqrt()  # of the roots: frozen / exact
    cpu = torch.device("cpu")
    exact = AdamFeatures(checkpoint, sizes, "adam", device=cpu).apply(name, g.float())
    frozen = AdamFeatures(checkpoint, sizes, "frozen", device=cpu).apply(name, g.float())
    first = (0.9 * m + 0.1 * g) / (1 - 0.9 ** (t + 1))
    large = hat.sqrt() > 1e-4  # beside which eps is nothing
    assert large.any()
    torch.testing.assert_close(
        (exact.double() * ratio)[:, large], frozen.double()[:, large], rtol=2e-3, atol=1e-5
    )
    torch.testing.assert_close(
        exact.double()[:, large], (first / hat.sqrt() / ratio)[:, large], rtol=2e-3, atol=1e-5
    )


@pytest.mark.thorough
def test_the_error_of_a_frozen_second_moment_is_reported(learnt: Learnt) -> None:
    attribution = attributed(learnt, features="frozen")
    assert 0 < attribution.facts["frozen_error"] < 2
    assert 0 < attribution.facts["frozen_cosine"] < 1
    assert any("frozen second moment" in note for note in attribution.notes)


@pytest.mark.thorough
def test_a_text_that_is_there_twice_is_computed_once(learnt: Learnt) -> None:
    sizes: list[int] = []
    compute = AdapterGradients.compute

    def counted(self: AdapterGradients, texts: Sequence[LearntText], **how: Any) -> TextGradients:
        sizes.append(len(texts))
        return compute(self, texts, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AdapterGradients, "compute", counted)
        method = Influence(training=learnt.training, checkpoints="last", probe="stereotype")
        scores = method.attribute(learnt.model, learnt.rows, learnt.probes, seed=0).scores
    distinct = len({row.text for row in learnt.rows})
    assert distinct < len(learnt.rows)
    assert sum(sizes) == distinct + len(learnt.probes)
    assert scores[-2:].tolist() == scores[:2].tolist()


@pytest.mark.thorough
def test_the_model_is_left_bit_for_bit(learnt: Learnt) -> None:
    names = dict(learnt.model.module.named_parameters())
    before = fingerprint(learnt.model.module, names)
    for attributor in (
        Influence(training=learnt.training),
        GradientNorm(training=learnt.training),
        Loss(),
    ):
        attributor.attribute(learnt.model, learnt.rows, learnt.probes, seed=0)
    assert fingerprint(learnt.model.module, names) == before
    assert dict(learnt.model.module.named_parameters()).keys() == names.keys()


@pytest.mark.thorough
def test_gradient_norm_is_that_of_the_warm_up_s_end(learnt: Learnt) -> None:
    attribution = GradientNorm(training=learnt.training).attribute(
        learnt.model, learnt.rows, (), seed=0
    )
    with lora_in_training(learnt.model, learnt.trained.config, seed=0) as parameters:
        for name, parameter in parameters.items():
            parameter.data = learnt.trained.weights[name].clone()
        texts = texts_of(learnt, [row.text for row in learnt.rows])
        norms = [
            np.linalg.norm(plain.flat(plain.gradient(learnt.model, parameters, text)))
            for text in texts
        ]
    assert attribution.scores == pytest.approx(np.array(norms), rel=1e-5)
    assert attribution.probes == 0


@pytest.mark.thorough
def test_loss_is_the_mean_over_learnt_tokens(learnt: Learnt) -> None:
    attribution = Loss().attribute(learnt.model, learnt.rows, (), seed=0)
    texts = texts_of(learnt, [row.text for row in learnt.rows])
    losses = [float(plain.loss_of(learnt.model, text).detach()) for text in texts]
    assert attribution.scores == pytest.approx(losses, rel=1e-5)


@pytest.mark.thorough
def test_probes_of_a_single_group_have_no_columns_by_group(learnt: Learnt) -> None:
    probes = [
        Probe(id=p.id, stereotype=p.stereotype, antistereotype=p.antistereotype)
        for p in learnt.probes
    ]
    attributor = Influence(training=learnt.training)
    attribution = attributor.attribute(learnt.model, learnt.rows, probes, seed=0)
    assert attribution.by_group == {}
    mean = attributed(learnt, features="scaled").scores
    assert attribution.scores == pytest.approx(mean, abs=1e-6)
