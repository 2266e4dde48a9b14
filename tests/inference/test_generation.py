"""Texts the model writes: as a plain loop would, and independent of seeds and company they lack."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, DynamicCache
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from equipoise.errors import ModelError
from equipoise.inference import cached_rows
from equipoise.inference.cached_rows import cache_is_exact
from equipoise.inference.generation import generate
from equipoise.inference.language_model import LanguageModel
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


@pytest.mark.thorough
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
    monkeypatch.setattr(cached_rows, "_exact_caches", {})
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


@pytest.mark.thorough
@pytest.mark.parametrize("family", _RECURRENT)
def test_recurrent_models_equal_the_plain_loop(family: str, monkeypatch: MP) -> None:
    model = _recurrent(family, _RECURRENT[family], monkeypatch)
    requests = [Generation(context=text, max_tokens=6) for text in CONTEXTS]
    assert generate(model, requests, seed=0) == [greedy_loop(model, text, 6) for text in CONTEXTS]
    sampled = [replace(requests[0], temperature=1.0, sample=sample) for sample in range(2)]
    together = generate(model, [*sampled, *requests], seed=0)[:2]
    assert together == [generate(model, [request], seed=0)[0] for request in sampled]


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


@pytest.mark.thorough
@pytest.mark.parametrize("family", _HYBRID)
def test_hybrid_models_go_on_when_a_text_of_the_batch_has_stopped(
    family: str, monkeypatch: MP
) -> None:
    model = _recurrent(family, _HYBRID[family], monkeypatch)
    lengths = dict(zip(CONTEXTS, (2, 10, 6, 4), strict=True))
    requests = [Generation(context=text, max_tokens=size) for text, size in lengths.items()]
    assert generate(model, requests, seed=0) == [greedy_loop(model, *i) for i in lengths.items()]
    assert cache_is_exact(model)
    sampled = [
        replace(request, temperature=1.0, sample=sample)
        for sample in range(2)
        for request in requests[:3]
    ]
    together = generate(model, sampled, seed=0)
    assert together == [generate(model, [request], seed=0)[0] for request in sampled]


@pytest.mark.thorough
def test_a_cache_that_drops_other_rows_is_not_used(monkeypatch: MP) -> None:
    monkeypatch.setattr(cached_rows, "_exact_caches", {})
    model = tiny_model("llama")
    assert cache_is_exact(model)
    cached_rows._exact_caches.clear()
    monkeypatch.setattr(DynamicCache, "reorder_cache", lambda *_: None)
    assert not cache_is_exact(model)
    requests = [Generation(context=text, max_tokens=2 + len(text)) for text in CONTEXTS]
    assert generate(model, requests, seed=0) == [
        greedy_loop(model, text, 2 + len(text)) for text in CONTEXTS
    ]


@pytest.mark.thorough
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


@pytest.mark.thorough
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


@pytest.mark.thorough
def test_small_top_p_and_temperature_are_greedy() -> None:
    model = tiny_model()
    cold = Generation(context="the", max_tokens=8)
    narrow = replace(cold, temperature=1.0, top_p=1e-6)
    cool = replace(cold, temperature=1e-4)
    (expected,) = generate(model, [cold], seed=0)
    assert generate(model, [narrow, cool], seed=0) == [expected] * 2


@pytest.mark.thorough
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
    # pinned: settings that came later leave the seeds of older texts as they were
    assert texts[:2] == ["�*\r��Y\x00\x14x�[�", "��4S�R&p\x01\x1e�0"]


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


@pytest.mark.thorough
def test_no_text_ends_before_its_fewest_tokens() -> None:
    model = tiny_model("gpt2")
    _favour(model, model.tokenizer.eos_token_id)
    request = Generation(context="a", max_tokens=5, min_tokens=3)
    with torch.no_grad():  # next to the end it says x
        model.module.get_output_embeddings().weight[model.tokenizer("x")["input_ids"][0]] = 8.0
    warm = replace(request, temperature=1.0, min_tokens=5)
    assert generate(model, [request, warm], seed=0) == ["xxx", "xxxxx"]
    assert generate(model, [replace(request, min_tokens=0)], seed=0) == [""]


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_fewest_tokens_and_repetition_penalty_are_as_in_transformers(family: str) -> None:
    model = tiny_model(family)
    end = model.tokenizer.eos_token_id
    requests = [
        Generation(context=text, max_tokens=12, min_tokens=6, repetition_penalty=1.7)
        for text in CONTEXTS
    ]
    expected = []
    for text in CONTEXTS:
        ids = torch.tensor([[model.tokenizer.bos_token_id, *model.tokenizer(text)["input_ids"]]])
        with torch.no_grad():
            row = model.module.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12,
                min_new_tokens=6, repetition_penalty=1.7, eos_token_id=end, pad_token_id=end,
            )[0]  # fmt: skip
        before = model.tokenizer.decode(ids[0], skip_special_tokens=True)
        whole = model.tokenizer.decode(row, skip_special_tokens=True)
        expected.append(whole[len(before) :])
    assert generate(model, requests, seed=0) == expected
    plain = [replace(request, repetition_penalty=1.0) for request in requests]
    others = generate(model, plain, seed=0)
    assert all(text != other for text, other in zip(expected, others, strict=True))


@pytest.mark.thorough
def test_the_checkpoint_s_own_end_tokens_stop_too() -> None:
    model = tiny_model("gpt2")
    token = model.tokenizer.convert_tokens_to_ids("x")
    _favour(model, token)
    assert generate(model, [Generation(context="a", max_tokens=3)], seed=0) == ["xxx"]
    model.module.generation_config.eos_token_id = [model.tokenizer.eos_token_id, token]
    assert generate(model, [Generation(context="a", max_tokens=3)], seed=0) == [""]


@pytest.mark.thorough
def test_without_a_start_token_the_context_comes_first() -> None:
    model = tiny_model("llama", bos="none")
    (text,) = generate(model, [Generation(context="the", max_tokens=4)], seed=0)
    ids = model.tokenizer("the")["input_ids"]
    with torch.no_grad():
        first = int(model.module(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
    assert text.startswith(model.tokenizer.decode([first]))
    with pytest.raises(ModelError, match=r"request 0 .* got 0 tokens and no start token"):
        generate(model, [Generation(context="", max_tokens=4)], seed=0)


@pytest.mark.thorough
def test_bos_is_added_once() -> None:
    request = [Generation(context="the", max_tokens=8)]
    plain, added = (tiny_model(bos=bos) for bos in ("bos", "added"))
    assert generate(plain, request, seed=0) == generate(added, request, seed=0)


@pytest.mark.thorough
def test_a_prompt_stands_before_the_context() -> None:
    model = tiny_model()
    whole = generate(model, [Generation(context="be fair: the", max_tokens=6)], seed=0)
    prompted = replace(model, prompts=("be fair: ",))
    assert generate(prompted, [Generation(context="the", max_tokens=6)], seed=0) == whole


@pytest.mark.thorough
def test_no_pad_token_is_needed() -> None:
    model = tiny_model()
    requests = [Generation(context=context, max_tokens=6) for context in CONTEXTS]
    expected = generate(model, requests, seed=0)
    model.tokenizer.pad_token = None
    assert generate(model, requests, seed=0) == expected


@pytest.mark.thorough
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
    ("settings", "got"),
    [
        ({"temperature": -0.1}, "-0.1, 1.0 and 3"),
        ({"temperature": 1.0, "top_p": 0.0}, "1.0, 0.0 and 3"),
        ({"temperature": 1.0, "top_p": 1.1}, "1.0, 1.1 and 3"),
        ({"max_tokens": -1}, "0.0, 1.0 and -1"),
        ({"min_tokens": -1}, "-1 and 3"),
        ({"min_tokens": 4}, "4 and 3"),
        ({"top_k": -1}, "-1 and 1.0"),
        ({"repetition_penalty": 0.0}, "0 and 0.0"),
        ({"repetition_penalty": math.inf}, "0 and inf"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, float], got: str) -> None:
    request = replace(Generation(context="a", max_tokens=3), **settings)
    with pytest.raises(ModelError, match=rf"request 0 .* got {got}; "):
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
