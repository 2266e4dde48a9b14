"""The engine's promises: memory, length, finiteness, one position a question."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference import engine as reading
from equipoise.inference.engine import read
from equipoise.inference.prefix_sharing import PackedRow
from equipoise.inference.queries import Query
from equipoise.testing import tiny_model

PLANS = [(Query(tuple(range(10, 10 + size)), ((size - 1, 50),)),) for size in range(3, 120, 4)]


def spread(plans: Sequence[Any]) -> list[Any]:
    """The same plans with texts that share nothing."""
    return [
        (Query(tuple(10 + (index * 7 + token) % 200 for token in query.ids), query.reads),)
        for index, (query,) in enumerate(plans)
    ]


@pytest.mark.thorough
@pytest.mark.parametrize(
    "message", [None, "[enforce fail] DefaultCPUAllocator: can't allocate memory"]
)
def test_out_of_memory_halves_the_batch(
    message: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, plans = tiny_model("llama"), spread(PLANS)
    expected = read(model, plans, task="test")
    sizes: list[int] = []
    honest = reading.logits_at

    def cramped(module: Any, rows: list[PackedRow], *rest: Any) -> Tensor:
        tokens = len(rows) * max(map(len, rows))
        if tokens > 300:
            raise RuntimeError(message) if message else torch.OutOfMemoryError("no room")
        sizes.append(tokens)
        return honest(module, rows, *rest)

    monkeypatch.setattr(reading, "logits_at", cramped)
    answers = read(model, plans, task="test")
    assert max(sizes) <= 300
    assert torch.allclose(torch.tensor(answers), torch.tensor(expected), atol=1e-5)


def test_out_of_memory_on_one_row_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(reading, "logits_at", full)
    with pytest.raises(ModelError, match="ran out of it on a row of 5 tokens"):
        read(tiny_model("llama"), [(Query((5, 6, 7, 8, 9), ((4, 5),)),)], task="test")


def test_other_errors_are_not_taken_for_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Tensor:
        raise RuntimeError("shapes do not fit")

    monkeypatch.setattr(reading, "logits_at", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        read(tiny_model("llama"), PLANS, task="test")


def test_a_text_longer_than_the_context_is_an_error() -> None:
    model = tiny_model("llama", context=16)
    with pytest.raises(
        ModelError, match=r"request 1 \(counted from 0\) must fit .* 16 tokens, got 17"
    ):
        read(model, [PLANS[0], (Query(tuple(range(20, 37)), ((16, 5),)),)], task="test")
    assert len(read(model, [(Query(tuple(range(20, 36)), ((15, 5),)),)], task="test")[0]) == 1


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_logprob_that_is_not_finite_is_an_error(value: float) -> None:
    model = tiny_model("llama", blocks=1, context=64)
    with torch.no_grad():
        model.module.model.embed_tokens.weight[60] = value
    sound, broken = (Query((5, 6), ((1, 7),)),), (Query((60, 6), ((1, 7),)),)
    with pytest.raises(
        ModelError, match=r"request 1 \(counted from 0\) must have finite .* got nan"
    ):
        read(model, [sound, broken], task="test")


@pytest.mark.thorough
@pytest.mark.parametrize("batch_tokens", [1, 40, 10_000])
def test_batching_and_order_do_not_matter(batch_tokens: int) -> None:
    model, plans = tiny_model("qwen3"), spread(PLANS)
    alone = [read(model, [plan], task="test")[0] for plan in plans]
    together = read(replace(model, batch_tokens=batch_tokens), plans[::-1], task="test")[::-1]
    assert torch.allclose(torch.tensor(together), torch.tensor(alone), rtol=0, atol=1e-5)


def test_logits_are_computed_once_and_where_read() -> None:
    model = tiny_model("llama")
    read(model, PLANS[:1], task="learn what the module can do")
    places: list[int] = []
    fed: list[int] = []

    def at_output(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        places.append(args[0].shape[:-1].numel())

    def at_input(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        fed.append(args[0].numel())

    query = Query((5, 6, 7, 8), ((3, 9), (3, 10)))
    other = Query((5, 6, 7, 8), ((3, 10),))
    hooks = [
        model.module.model.norm.register_forward_hook(lambda *_: None),
        model.module.model.embed_tokens.register_forward_pre_hook(at_input),
        model.module.lm_head.register_forward_hook(lambda m, args, _: at_output(m, args)),
    ]
    answers = read(model, [(query,), (other,), (query, other)], task="test")
    for hook in hooks:
        hook.remove()
    assert (fed, places) == ([4], [1])
    assert answers[1] == answers[0][1:]
    assert answers[2] == answers[0] + answers[1]


def test_dropout_is_off_and_training_modes_are_restored() -> None:
    model = tiny_model("gpt2", blocks=1)
    for part in model.module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
    calm = read(model, PLANS[:3], task="test")
    model.module.train()
    model.module.transformer.ln_f.eval()
    assert read(model, PLANS[:3], task="test") == calm
    assert model.module.training
    assert not model.module.transformer.ln_f.training
    assert model.module.transformer.h[0].training


def test_no_queries_give_no_logprobs() -> None:
    assert read(tiny_model("llama"), [], task="test") == []
    assert read(tiny_model("llama"), [()], task="test") == [[]]


def test_no_progress_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    read(tiny_model("llama"), PLANS, task="test")
    assert capsys.readouterr() == ("", "")
