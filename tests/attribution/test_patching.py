"""Patching: against whole forward passes with a plain hook, estimates against small steps."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from equipoise.attribution.logit_attribution import HeadAttributor
from equipoise.attribution.patching import HeadPatcher, Side
from equipoise.fakes import CAUSAL_FAMILIES, tiny_model
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import attention_output

FIRST, SECOND = (10, 11, 12), (20, 21, 22)
TEXTS = ((1, 50, 60, 70, 80), (1, 50, 61, 71, 81, 91, 101), (1, 52, 62))
OTHERS = ((1, 55, 60, 70, 80), (1, 50, 56, 81, 91, 101), (1, 57, 58, 62))
SIDE = Side(texts=TEXTS, first=FIRST, second=SECOND)
SIZE = 8  # features of a head


@contextmanager
def hooked(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    handle = module.register_forward_pre_hook(lambda _, args: (change(args[0].clone()),))
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def difference(model: LanguageModel, ids: tuple[int, ...], row: int) -> float:
    logits = model.module(input_ids=torch.tensor([ids])).logits[0, -1].double()
    cap = model.module.config.to_dict().get("final_logit_softcapping")
    if cap:
        logits = cap * torch.atanh(logits / cap)
    return float(logits[FIRST[row]] - logits[SECOND[row]])


def patcher(model: LanguageModel, positions: str = "all") -> HeadPatcher:
    return HeadPatcher(HeadAttributor(model), positions=positions)  # type: ignore[arg-type]


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_a_head_that_is_cut_is_cut_in_a_whole_forward_pass(family: str) -> None:
    model = tiny_model(family, blocks=3)
    runs = patcher(model)
    effects = runs.changed(SIDE, [1, 6, 11], runs.zeros)
    assert np.isnan(effects).sum() == 3 * (12 - 3)
    for head in (1, 6, 11):

        def cut(states: Tensor, head: int = head) -> Tensor:
            states[..., SIZE * (head % 4) : SIZE * (head % 4 + 1)] = 0.0
            return states

        with hooked(attention_output(model.module, head // 4), cut):
            expected = [difference(model, ids, row) for row, ids in enumerate(TEXTS)]
        np.testing.assert_allclose(effects[:, head], expected, atol=1e-5)
    plain = [difference(model, ids, row) for row, ids in enumerate(TEXTS)]
    np.testing.assert_allclose(runs.difference(SIDE), plain, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("positions", ["all", "last"])
def test_outputs_of_another_text_are_aligned_at_the_end(positions: str) -> None:
    model = tiny_model("llama", blocks=2)
    runs = patcher(model, positions)
    effects = runs.changed(SIDE, [2], runs.outputs_on(OTHERS))
    projection = attention_output(model.module, 0)
    for row, (ids, other) in enumerate(zip(TEXTS, OTHERS, strict=True)):
        seen: list[Tensor] = []
        handle = projection.register_forward_pre_hook(
            lambda _, args, seen=seen: seen.append(args[0])
        )
        with torch.no_grad():
            model.module(input_ids=torch.tensor([other]))
        handle.remove()
        shared = 1 if positions == "last" else min(len(ids), len(other))

        def put(states: Tensor, elsewhere: Tensor = seen[0], shared: int = shared) -> Tensor:
            part = slice(2 * SIZE, 3 * SIZE)
            states[0, -shared:, part] = elsewhere[0, -shared:, part]
            return states

        with hooked(projection, put):
            assert effects[row, 2] == pytest.approx(difference(model, ids, row), abs=1e-5)


@pytest.mark.thorough
def test_the_mean_is_over_places_that_count() -> None:
    model = tiny_model("llama", blocks=2)
    runs = patcher(model)
    seen: list[Tensor] = []
    projection = attention_output(model.module, 1)
    handle = projection.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    with torch.no_grad():
        for ids in OTHERS:
            model.module(input_ids=torch.tensor([ids]))
    handle.remove()
    mean = runs.mean_of(OTHERS)(runs._batch(SIDE, [0, 1, 2]))[1]
    torch.testing.assert_close(mean, torch.cat(seen).mean(0), atol=1e-5, rtol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma2"])
def test_estimates_are_the_slope_of_a_small_change(family: str) -> None:
    model = tiny_model(family, blocks=2)
    runs = patcher(model)
    estimates = runs.estimate(SIDE, runs.zeros)
    step = 5e-3
    for head in range(8):
        sides = []
        for factor in (1 + step, 1 - step):

            def scale(states: Tensor, head: int = head, factor: float = factor) -> Tensor:
                states[..., SIZE * (head % 4) : SIZE * (head % 4 + 1)] *= factor
                return states

            with hooked(attention_output(model.module, head // 4), scale):
                sides.append([difference(model, ids, row) for row, ids in enumerate(TEXTS)])
        slope = (np.array(sides[0]) - np.array(sides[1])) / (2 * step)
        np.testing.assert_allclose(estimates[:, head], slope, atol=2e-3)


@pytest.mark.thorough
def test_memory_does_not_matter_and_nothing_stays_behind() -> None:
    model = tiny_model("llama", blocks=2)
    whole = patcher(model)
    expected = whole.changed(SIDE, range(8), whole.zeros)
    small = patcher(dataclasses.replace(model, batch_tokens=8))
    np.testing.assert_allclose(small.changed(SIDE, range(8), small.zeros), expected, atol=1e-5)
    np.testing.assert_allclose(
        small.estimate(SIDE, small.outputs_on(OTHERS)),
        whole.estimate(SIDE, whole.outputs_on(OTHERS)),
        atol=1e-5,
    )
    assert not any(
        part._forward_hooks or part._forward_pre_hooks for part in model.module.modules()
    )
    assert all(parameter.requires_grad for parameter in model.module.parameters())
