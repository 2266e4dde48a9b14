"""One packed forward: what it reads equals plain passes over texts, alone and in company."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from contrast_items import SUPPLY, model
from torch import Tensor

from equipoise.contrast_training import packed_forward as reading
from equipoise.contrast_training.packed_forward import PackedForward, Readout, reference_outputs
from equipoise.contrast_training.steps import likelihood
from equipoise.contrast_training.tokenized import (
    TokenizedContrast,
    TokenizedText,
    tokenize_contrasts,
    tokenize_texts,
)
from equipoise.mitigate.bias_unlearn import npo
from equipoise.testing import tiny_model
from equipoise.training.lora import lora_config, lora_in_training

FAMILIES = ("gpt2", "llama", "gemma2", "opt")  # gemma2 caps its logits


@cache
def items(family: str = "llama") -> list[TokenizedContrast]:
    return tokenize_contrasts(model(family), SUPPLY.contrasts, longest=60)[4:8]


def texts_of(family: str = "llama") -> list[TokenizedText]:
    return [
        text
        for item in items(family)
        for text in (item.stereotype, item.antistereotype, item.unrelated)
        if text is not None
    ]


def read(
    forward: PackedForward,
    texts: Sequence[TokenizedText],
    positions: Sequence[Sequence[int]],
    way: str,
) -> Readout:
    if way == "packed":
        return forward.read(texts, positions)
    forward.layout = replace(forward.layout, pack=False)
    if way == "padded":
        return forward.read(texts, positions)
    readouts = [
        forward.read([text], [text_positions])
        for text, text_positions in zip(texts, positions, strict=True)
    ]
    return Readout(
        states=torch.cat([readout.states for readout in readouts]),
        tokens=torch.cat([readout.tokens for readout in readouts]),
        counts=tuple(readout.counts[0] for readout in readouts),
    )


def plain(family: str, text: TokenizedText) -> Tensor:
    """Log-probability of every token from place 1 on, by the module's own forward."""
    with torch.no_grad():
        logits = model(family).module(torch.tensor([text.ids])).logits[0]
    return logits.log_softmax(-1)[torch.arange(len(text.ids) - 1), torch.tensor(text.ids[1:])]


@pytest.mark.thorough
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("way", ["packed", "padded"])
def test_logprobs_match_plain_forwards(family: str, way: str) -> None:
    texts = texts_of(family)
    reader = PackedForward(model(family))
    assert reader.head is not None
    assert (reader.head.cap is None) == (family != "gemma2")
    readout = read(reader, texts, [text.target_positions for text in texts], way)
    for text, values in zip(texts, readout.split(reader.logprobs(readout)), strict=True):
        truth = plain(family, text)[[place - 1 for place in text.target_positions]]
        torch.testing.assert_close(values.detach(), truth, rtol=1e-5, atol=1e-5)


def losses(family: str, way: str) -> tuple[list[float], list[Tensor]]:
    """NPO, likelihood and both divergences of a batch, and what they do to an adapter."""
    of = model(family)
    texts = texts_of(family)
    reader = PackedForward(of)
    before = reference_outputs(reader, scored=texts, compared=texts)
    places = [text.target_positions for text in texts[:8]] + [text.positions for text in texts[8:]]
    config = lora_config(of.module, rank=2, alpha=4.0, dropout=0.0)
    with lora_in_training(of, config, seed=0) as parameters:
        for index, parameter in enumerate(parameters.values()):
            generator = torch.Generator().manual_seed(index)
            parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
            parameter.requires_grad_()
        readout = read(reader, texts, places, way)
        scored, rest = readout.cut(8)
        sums = torch.stack([logprobs.sum() for logprobs in scored.split(reader.logprobs(scored))])
        tokens = torch.tensor(scored.counts, dtype=torch.float32)
        was = before.target_logprobs(texts[:8])
        kept = torch.cat([before.states_at(text, text.positions) for text in texts[8:]])
        values = [
            npo(was - sums, tokens, beta=0.1),
            likelihood(sums, tokens),
            reader.divergence(rest, kept, "forward").mean(),
            reader.divergence(rest, kept, "reverse").mean(),
        ]
        grads = torch.autograd.grad(torch.stack(values).sum(), list(parameters.values()))
    return [float(value.detach()) for value in values], list(grads)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gemma2", "gpt2"])
def test_losses_and_gradients_do_not_depend_on_the_layout(family: str) -> None:
    values, grads = losses(family, "packed")
    assert min(values[2:]) > 1e-4  # the adapter does something
    for way in ("padded", "alone"):
        others, other_grads = losses(family, way)
        assert others == pytest.approx(values, rel=1e-5, abs=1e-5)
        for grad, other in zip(grads, other_grads, strict=True):
            torch.testing.assert_close(other, grad, rtol=1e-4, atol=1e-5)


@pytest.mark.thorough
@pytest.mark.parametrize(("family", "way"), [("llama", "padded"), ("gemma2", "packed")])
def test_full_logits_match_where_the_lm_head_is_unknown(
    family: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, grads = losses(family, way)
    monkeypatch.setattr(reading, "output_layer", lambda *_: None)
    assert PackedForward(model(family)).head is None
    others, other_grads = losses(family, way)
    assert others == pytest.approx(values, rel=1e-5, abs=1e-5)
    for grad, other in zip(grads, other_grads, strict=True):
        torch.testing.assert_close(other, grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("longest", "packs"), [(15, True), (30, False)])
def test_texts_longer_than_an_attention_window_are_not_packed(
    longest: int, packs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gemma2's window is 16 tokens here: in a packed row it would hold neighbours."""
    of = model("gemma2")
    texts = tokenize_texts(
        of, ["Tea is hot.", "Tea is cold.", "Tea is not hot, nor cold."], longest=longest
    )
    rows: list[int] = []
    plainly = reading.hidden_at

    def counted(module: Any, packed_rows: list[Any], *rest: Any) -> Tensor:
        rows.append(len(packed_rows))
        return plainly(module, packed_rows, *rest)

    reader = PackedForward(of)
    monkeypatch.setattr(reading, "hidden_at", counted)
    readout = reader.read(texts, [text.positions for text in texts])
    assert rows == [1 if packs else len(texts)]
    for text, values in zip(texts, readout.split(reader.logprobs(readout)), strict=True):
        torch.testing.assert_close(values.detach(), plain("gemma2", text), rtol=1e-5, atol=1e-5)


def test_same_text_at_different_positions() -> None:
    reader = PackedForward(model())
    first, second = texts_of()[:2]
    readout = reader.read(
        [first, second, first], [first.target_positions, second.positions, first.positions[:2]]
    )
    assert readout.counts == (len(first.target_positions), len(second.positions), 2)
    values = readout.split(reader.logprobs(readout))
    torch.testing.assert_close(
        values[0], plain("llama", first)[[position - 1 for position in first.target_positions]]
    )
    torch.testing.assert_close(values[2], plain("llama", first)[:2])


def test_readout_is_split_by_text() -> None:
    readout = Readout(states=torch.arange(6.0)[:, None], tokens=torch.arange(6), counts=(1, 3, 2))
    assert readout.cut(2)[0].counts == (1, 3)
    assert readout.cut(2)[0].tokens.tolist() == [0, 1, 2, 3]
    assert readout.cut(2)[1].states[:, 0].tolist() == [4.0, 5.0]
    assert readout.cut(3)[1].counts == ()
    assert [values.tolist() for values in readout.split(torch.arange(6.0))] == [
        [0],
        [1, 2, 3],
        [4, 5],
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["opt", "gemma2"])
def test_reference_outputs_are_of_the_model_before_training(family: str) -> None:
    texts = texts_of(family)
    reader = PackedForward(model(family))
    before = reference_outputs(reader, scored=texts, compared=texts[:2])
    assert set(before.logprobs) == {text.ids for text in texts}
    assert set(before.states) == {text.ids for text in texts[:2]}
    for text in texts:
        span = plain(family, text)[[place - 1 for place in text.target_positions]]
        assert float(before.target_logprobs([text])) == pytest.approx(float(span.sum()), abs=1e-4)
    text = texts[0]
    now = reader.read([text], [text.target_positions])
    for direction in ("forward", "reverse"):
        gap = reader.divergence(now, before.states_at(text, text.target_positions), direction)  # type: ignore[arg-type]
        assert float(gap.detach().abs().max()) < 1e-6


def test_reference_outputs_may_enter_a_gradient() -> None:
    reader = PackedForward(model())
    texts: Sequence[TokenizedText] = texts_of()[:2]
    before = reference_outputs(reader, scored=texts, compared=texts)
    states = before.states_at(texts[0], texts[0].target_positions)
    assert not states.is_inference()
    assert not states.requires_grad


def test_two_tokenizations_of_a_text_have_two_references() -> None:
    """A slow tokenizer codes by parts, so ids and not the text say what was read."""
    reader = PackedForward(tiny_model("llama"))
    text = texts_of()[0]
    recoded = replace(text, ids=(*text.ids[:-1], 9))
    before = reference_outputs(reader, scored=[text, recoded], compared=())
    assert len(before.logprobs) == 2
    assert float(before.target_logprobs([text])) != float(before.target_logprobs([recoded]))
