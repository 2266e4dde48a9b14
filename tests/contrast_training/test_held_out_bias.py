"""Where a model stands: the margin is the benchmark's, and SS counts its sign."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from contrast_items import SUPPLY, contrasts, model, type_biases
from worlds import in_world

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.contrast_training.evaluation import margin_spreads, margins_of
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import TokenizedText, tokenize_contrasts
from equipoise.inference.scoring import score
from equipoise.measure import measure
from equipoise.records import Continuation
from equipoise.testing import tiny_model


def test_margins_are_those_of_the_benchmark() -> None:
    of = tiny_model("llama", context=512)
    with in_world():
        labelled = StereoSet().labelled()
        found = measure(of, StereoSet(), limit=30, draws=20)
    items = tokenize_contrasts(of, labelled, longest=512)
    measured = {outcome.example: outcome.values["margin"] for outcome in found.outcomes}
    chosen = [item for item in items if item.id in measured]
    assert len(chosen) == 30
    margins = margins_of(PackedForward(of), chosen)
    assert margins.tolist() == pytest.approx([measured[item.id] for item in chosen], abs=1e-5)


def test_of_two_sentences_the_second_is_compared_given_the_first() -> None:
    of = model()
    pairs = [
        replace(contrast, groups={**contrast.groups, "task": "intersentence"})
        for contrast in (*SUPPLY.contrasts, *SUPPLY.dev_contrasts)
    ]
    margins = margins_of(PackedForward(of), tokenize_contrasts(of, pairs, longest=60))
    for pair, margin in zip(pairs, margins.tolist(), strict=True):
        texts = (pair.stereotype, pair.antistereotype)
        first, second = score(
            of, [Continuation(context=pair.context, continuation=t) for t in texts]
        )
        assert margin == pytest.approx(first.mean - second.mean, abs=1e-5)
    whole = margins_of(PackedForward(of), tokenize_contrasts(of, SUPPLY.contrasts, longest=60))
    assert np.abs(whole - margins[: len(whole)]).max() > 0.01


def mean(text: TokenizedText) -> float:
    ids = torch.tensor([text.ids])
    with torch.no_grad():
        logprobs = model().module(ids).logits[0].log_softmax(-1)
    return float(logprobs[:-1].gather(1, ids[0, 1:, None]).mean())


def test_a_bias_by_hand() -> None:
    reader = PackedForward(model())
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    biases = type_biases(model(), items[::-1])
    assert list(biases) == ["color", "size"]
    for axis, bias in biases.items():
        of_type = [item for item in items if item.axis == axis]
        margins = np.array([mean(item.stereotype) - mean(item.antistereotype) for item in of_type])
        assert bias.margin.value == pytest.approx(margins.mean(), abs=1e-6)
        assert bias.ss.value == pytest.approx(100 * (margins > 0).mean())
        assert bias.spread == pytest.approx(margins.std(), abs=1e-6)
        assert margin_spreads(reader, items)[axis] == pytest.approx(margins.std(), abs=1e-6)
        assert (bias.margin.n, bias.margin.clusters) == (6, 6)
        assert bias.margin.low < bias.margin.value < bias.margin.high
        assert bias.half_band(5) == pytest.approx(0.1256613 * margins.std(), rel=1e-5)


def test_swapping_the_labels_turns_every_sign() -> None:
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    swapped = [
        type(item)(
            id=item.id,
            axis=item.axis,
            target=item.target,
            stereotype=item.antistereotype,
            antistereotype=item.stereotype,
            unrelated=item.unrelated,
        )
        for item in items
    ]
    one, other = (type_biases(model(), labelled)["color"] for labelled in (items, swapped))
    assert other.margin.value == pytest.approx(-one.margin.value, abs=1e-9)
    assert other.ss.value == pytest.approx(100 - one.ss.value)
    assert other.spread == pytest.approx(one.spread)


def test_items_of_one_target_are_one_unit() -> None:
    items = tokenize_contrasts(model(), contrasts(("nurse",), ("color",)) * 3, longest=60)
    bias = type_biases(model(), items)["color"]
    assert bias.margin.clusters == 1
    assert math.isnan(bias.margin.low)
    assert bias.as_json()["low"] is None
    json.dumps(bias.as_json(), allow_nan=False)


def test_margins_that_differ_by_rounding_have_no_spread() -> None:
    items = tokenize_contrasts(model(), contrasts(("nurse",), ("color",)) * 2, longest=60)
    assert margin_spreads(PackedForward(model()), items) == {"color": 1.0}
