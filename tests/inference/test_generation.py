"""Texts the model writes: as a plain loop would, and independent of seeds and company they lack."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from equipoise.errors import ModelError
from equipoise.inference import generation
from equipoise.inference.generation import (
    _draw,
    _draw_likely,
    _Writer,
    cache_is_exact,
    generate,
)
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Tokens
from equipoise.records import Generation
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

MP: TypeAlias = pytest.MonkeyPatch
CONTEXTS = ("the nurse said that", "", "a", "an engineer is somebody who")


def greedy_loop(model: LanguageModel, context: str, tokens: int) -> str:
    """One forward a token, no cache, no padding."""
    ids = [model.tokenizer.bos_token_id, *model.tokenizer(context)["input_ids"]]
    start = len(ids)
    with torch.no_grad():
        for _ in range(tokens):
            logits = model.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
            token = int(logits.argmax())
            if token == model.tokenizer.eos_token_id:
                break
            ids.append(token)
    before = model.tokenizer.decode(ids[:start], skip_special_tokens=True)
    whole = model.tokenizer.decode(ids, skip_special_tokens=True)
    return str(whole[len(before) :])


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_greedy_decoding_equals_the_plain_loop(family: str) -> None:
    model = tiny_model(family)
    requests = [Generation(context=context, max_tokens=12) for context in CONTEXTS]
    assert generate(model, requests, seed=0) == [
        greedy_loop(model, context, 12) for context in CONTEXTS
    ]


_RECURRENT: dict[str, dict[str, int]] = {
    "mamba": {"state_size": 8},
    "rwkv": {"attention_hidden_size": 32, "context_length": 256},
    "recurrent_gemma": {"lru_width": 32, "attention_window_size": 64, "head_dim": 8},
    "xlstm": {"hidden_size": 64, "num_blocks": 2, "num_heads": 2},
    "minimax": {"num_local_experts": 2, "head_dim": 8, "block_size": 16},
    "openai-gpt": {},
}


def _recurrent(family: str, settings: Mapping[str, object], monkeypatch: MP) -> LanguageModel:
    """A small random model of a family, whose cache nobody has tried yet."""
    # every module of one class has one entry, whatever its settings
    monkeypatch.setattr(generation, "_exact_caches", {})
    model = tiny_model()
    sizes = {
        "vocab_size": len(model.tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "intermediate_size": 64,
        "pad_token_id": None,
        "bos_token_id": model.tokenizer.bos_token_id,
        "eos_token_id": model.tokenizer.eos_token_id,
    }
    config = CONFIG_MAPPING[family](**{**sizes, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(3)  # else it says the same after everything
    return replace(model, module=module)


@pytest.mark.parametrize("family", _RECURRENT)
def test_recurrent_models_equal_the_plain_loop(family: str, monkeypatch: MP) -> None:
    model = _recurrent(family, _RECURRENT[family], monkeypatch)
    requests = [Generation(context=text, max_tokens=6) for text in CONTEXTS]
    assert generate(model, requests, seed=0) == [greedy_loop(model, text, 6) for text in CONTEXTS]


#: Layers of linear attention or convolutions between others, or with attention in one layer.
_HYBRID: dict[str, dict[str, object]] = {
    "lfm2": {"layer_types": ["conv", "full_attention", "conv"]},
    "qwen3_next": {
        "head_dim": 8,
        "layer_types": ["linear_attention", "full_attention", "linear_attention"],
        "num_experts": 0,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
    },
    "granitemoehybrid": {
        "layer_types": ["mamba", "attention", "mamba"],
        "mamba_n_heads": 4,
        "mamba_d_head": 16,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
        "num_local_experts": 2,
        "shared_intermediate_size": 32,
        "position_embedding_type": "rope",
    },
    "falcon_h1": {
        "head_dim": 8,
        "mamba_d_ssm": 32,
        "mamba_n_heads": 4,
        "mamba_d_head": 8,
        "mamba_d_state": 8,
        "mamba_n_groups": 1,
    },
}


@pytest.mark.parametrize("family", _HYBRID)
def test_hybrid_models_go_on_when_a_text_of_the_batch_has_stopped(
    family: str, monkeypatch: MP
) -> None:
    model = _recurrent(family, _HYBRID[family], monkeypatch)
    lengths = dict(zip(CONTEXTS, (2, 10, 6, 4), strict=True))
    requests = [Generation(context=text, max_tokens=size) for text, size in lengths.items()]
    assert generate(model, requests, seed=0) == [greedy_loop(model, *i) for i in lengths.items()]


def test_a_cache_that_drops_other_rows_is_not_used(monkeypatch: MP) -> None:
    monkeypatch.setattr(generation, "_exact_caches", {})
    model = tiny_model("llama")
    assert cache_is_exact(model)
    generation._exact_caches.clear()
    monkeypatch.setattr(DynamicCache, "reorder_cache", lambda *_: None)
    assert not cache_is_exact(model)
    requests = [Generation(context=text, max_tokens=2 + len(text)) for text in CONTEXTS]
    assert generate(model, requests, seed=0) == [
        greedy_loop(model, text, 2 + len(text)) for text in CONTEXTS
    ]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3"])
def test_batching_and_order_do_not_matter(family: str, temperature: float) -> None:
    model = tiny_model(family)
    requests = [
        Generation(context=context, max_tokens=5 + number, temperature=temperature, top_p=0.9)
        for number, context in enumerate(CONTEXTS)
    ]
    together = generate(model, requests, seed=3)
    assert together == [generate(model, [request], seed=3)[0] for request in requests]
    assert together == generate(replace(model, batch_tokens=1), requests[::-1], seed=3)[::-1]


def test_the_seed_matters_only_when_sampling() -> None:
    model = tiny_model()
    warm = [Generation(context="the", max_tokens=12, temperature=1.0)]
    cold = [Generation(context="the", max_tokens=12)]
    torch.manual_seed(0)
    state = torch.get_rng_state()
    assert generate(model, warm, seed=1) == generate(model, warm, seed=1)
    assert generate(model, warm, seed=1) != generate(model, warm, seed=2)
    assert generate(model, cold, seed=1) == generate(model, cold, seed=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_small_top_p_and_temperature_are_greedy() -> None:
    model = tiny_model()
    cold = Generation(context="the", max_tokens=8)
    narrow = replace(cold, temperature=1.0, top_p=1e-6)
    cool = replace(cold, temperature=1e-4)
    (expected,) = generate(model, [cold], seed=0)
    assert generate(model, [narrow, cool], seed=0) == [expected] * 2


def _draws(shares: list[float], top_p: float, count: int) -> Counter[int]:
    logits = torch.tensor(shares, dtype=torch.float64).log()
    request = Generation(context="", max_tokens=1, temperature=1.0, top_p=top_p)
    writer = _Writer(0, request, (), Tokens("", (), (), ()), 0)
    return Counter(_draw(logits, writer) for _ in range(count))


def test_tokens_are_drawn_at_their_probabilities() -> None:
    drawn = _draws([0.1, 0.6, 0.0, 0.3], 1.0, 2000)
    assert drawn[2] == 0
    for token, share in enumerate((0.1, 0.6, 0.0, 0.3)):  # 5 standard errors
        assert abs(drawn[token] / 2000 - share) < 5 * (0.25 / 2000) ** 0.5


def test_the_nucleus_is_the_smallest_set_that_reaches_top_p() -> None:
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.5, 300)) == {1}
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.51, 300)) == {1, 3}
    assert set(_draws([0.1, 0.5, 0.15, 0.25], 0.76, 300)) == {1, 2, 3}


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=9), st.floats(0.01, 1.0))
def test_drawn_tokens_are_in_the_nucleus(weights: list[float], top_p: float) -> None:
    shares = torch.tensor(weights, dtype=torch.float64).softmax(0)
    for token in _draws(shares.tolist(), top_p, 5):
        likelier = float(shares[shares > shares[token]].sum())
        assert likelier < top_p + 1e-9


@pytest.mark.parametrize("top_p", [1.0, 0.97, 0.5])
@pytest.mark.parametrize("spread", [0.3, 3.0, 9.0])
def test_the_likeliest_tokens_give_what_all_of_them_sorted_give(
    top_p: float, spread: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    settled = 0
    for _ in range(40):
        logits = torch.randn(5000, generator=generator, dtype=torch.float64) * spread
        shares = logits.round(decimals=1).softmax(0)  # rounded: many are as likely as others
        ordered, order = shares.sort(descending=True, stable=True)
        nucleus = ordered.cumsum(0) - ordered < top_p
        edges = (ordered * nucleus).cumsum(0)
        for number in torch.rand(5, 1, generator=generator, dtype=torch.float64):
            place = int(torch.searchsorted(edges, number * edges[-1], right=True))
            expected = int(order[min(place, int(nucleus.sum()) - 1)])
            token = _draw_likely(shares, number, top_p)
            assert token in (None, expected)
            settled += token is not None
    assert settled >= {0.3: 0, 3.0: 20, 9.0: 190}[spread]  # of 200


def test_samples_of_a_request_differ_and_repeat() -> None:
    model = tiny_model()
    requests = [
        Generation(context="the", max_tokens=12, temperature=1.0, sample=sample)
        for sample in range(4)
    ]
    texts = generate(model, requests, seed=0)
    assert len(set(texts)) == 4
    assert generate(model, requests[::-1], seed=0)[::-1] == texts
    plain = Generation(context="the", max_tokens=12, temperature=1.0)
    assert generate(model, [plain], seed=0) == texts[:1]


def _favour(model: LanguageModel, token: int) -> None:
    """Make the model say one token, whatever came before, by way of its last norm and head."""
    with torch.no_grad():
        head: Tensor = model.module.get_output_embeddings().weight
        model.module.transformer.ln_f.weight.zero_()
        model.module.transformer.ln_f.bias.fill_(1.0)
        head[token].fill_(9.0)


def test_end_of_text_stops_and_is_not_returned() -> None:
    model = tiny_model("gpt2")
    _favour(model, model.tokenizer.eos_token_id)
    assert generate(model, [Generation(context="a", max_tokens=5)], seed=0) == [""]


def test_the_checkpoint_s_own_end_tokens_stop_too() -> None:
    model = tiny_model("gpt2")
    token = model.tokenizer.convert_tokens_to_ids("x")
    _favour(model, token)
    assert generate(model, [Generation(context="a", max_tokens=3)], seed=0) == ["xxx"]
    model.module.generation_config.eos_token_id = [model.tokenizer.eos_token_id, token]
    assert generate(model, [Generation(context="a", max_tokens=3)], seed=0) == [""]


def test_without_a_start_token_the_context_comes_first() -> None:
    model = tiny_model("llama", bos="none")
    (text,) = generate(model, [Generation(context="the", max_tokens=4)], seed=0)
    ids = model.tokenizer("the")["input_ids"]
    with torch.no_grad():
        first = int(model.module(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    assert text.startswith(model.tokenizer.decode([first]))
    with pytest.raises(ModelError, match=r"request 0 .* got 0 tokens and no start token"):
        generate(model, [Generation(context="", max_tokens=4)], seed=0)


def test_bos_is_added_once() -> None:
    request = [Generation(context="the", max_tokens=8)]
    plain, added = (tiny_model(bos=bos) for bos in ("bos", "added"))
    assert generate(plain, request, seed=0) == generate(added, request, seed=0)


def test_a_prompt_stands_before_the_context() -> None:
    model = tiny_model()
    whole = generate(model, [Generation(context="be fair: the", max_tokens=6)], seed=0)
    prompted = replace(model, prompts=("be fair: ",))
    assert generate(prompted, [Generation(context="the", max_tokens=6)], seed=0) == whole


def test_no_pad_token_is_needed() -> None:
    model = tiny_model()
    requests = [Generation(context=context, max_tokens=6) for context in CONTEXTS]
    expected = generate(model, requests, seed=0)
    model.tokenizer.pad_token = None
    assert generate(model, requests, seed=0) == expected


def test_a_text_longer_than_the_context_is_an_error() -> None:
    model = tiny_model(context=8)
    generate(model, [Generation(context="1234", max_tokens=3)], seed=0)
    with pytest.raises(ModelError, match=r"request 1 .* 8 tokens, got 5 and 4 to write"):
        generate(
            model,
            [
                Generation(context="a", max_tokens=3),
                Generation(context="1234", max_tokens=4),
            ],
            seed=0,
        )


def test_zero_max_tokens_give_an_empty_text() -> None:
    assert generate(tiny_model(), [Generation(context="a", max_tokens=0)], seed=0) == [""]
    assert generate(tiny_model(), [], seed=0) == []


@pytest.mark.parametrize(
    ("temperature", "top_p", "tokens"), [(-0.1, 1.0, 1), (1.0, 0.0, 1), (1.0, 1.1, 1), (0.0, 1, -1)]
)
def test_settings_out_of_range_are_refused(temperature: float, top_p: float, tokens: int) -> None:
    request = Generation(context="a", max_tokens=tokens, temperature=temperature, top_p=top_p)
    with pytest.raises(ModelError, match=rf"request 0 .* got {temperature}, {top_p} and {tokens}"):
        generate(tiny_model(), [request], seed=0)


def test_masked_models_do_not_generate() -> None:
    with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
        generate(tiny_model("bert"), [Generation(context="a", max_tokens=1)], seed=0)


def test_a_logit_that_is_not_finite_is_an_error() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.module.get_output_embeddings().weight[7] = float("nan")
    with pytest.raises(ModelError, match=r"request 0 .* got nan after 0 tokens"):
        generate(model, [Generation(context="a", max_tokens=1)], seed=0)
