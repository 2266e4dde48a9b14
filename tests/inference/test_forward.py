"""What the output layer reads at chosen places: its values, its gradients, in every layout."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import TokenizedText
from equipoise.errors import ModelError
from equipoise.inference import forward
from equipoise.inference.forward import Layout, hidden_at, logits_at, probe_layout
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prefix_sharing import pack, single
from equipoise.models import anatomy
from equipoise.records import JSON, Continuation, Embedding, Generation, Infill
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

TEXTS = ((1, 70, 80, 90, 75), (1, 70, 80, 60), (5, 9))
FAMILIES = ("gpt2", "llama", "opt", "gpt_neox")


def places(rows: list) -> Tensor:  # type: ignore[type-arg]
    """Of the last token of each text, in the order of the texts."""
    length = max(map(len, rows))
    positions = {
        number: index * length + path[-1]
        for index, row in enumerate(rows)
        for number, path in row.paths.items()
    }
    return torch.tensor([positions[number] for number in sorted(positions)])


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packed", [True, False])
def test_hidden_states_make_the_logits(family: str, packed: bool) -> None:
    module = tiny_model(family).module
    layout = probe_layout(module)
    rows = pack(TEXTS, range(3)) if packed else single(TEXTS, range(3))
    if not packed:
        layout = type(layout)(pack=False, gather=layout.gather)
    chosen = places(rows)
    hidden = hidden_at(module, rows, chosen, layout)
    logits = logits_at(module, rows, chosen, layout)
    torch.testing.assert_close(module.get_output_embeddings()(hidden), logits)
    alone = torch.stack([module(torch.tensor([ids])).logits[0, -1] for ids in TEXTS])
    torch.testing.assert_close(logits, alone, rtol=1e-5, atol=1e-5)


def test_gradients_reach_the_weights_through_hidden_states() -> None:
    module = tiny_model("llama").module
    layout = probe_layout(module)
    weight = module.model.layers[0].mlp.up_proj.weight
    rows = pack(TEXTS, range(3))
    chosen = places(rows)
    (gradient,) = torch.autograd.grad(
        hidden_at(module, rows, chosen, layout).square().sum(), weight
    )
    states = [
        module.model(torch.tensor([ids])).last_hidden_state[0, -1].square().sum() for ids in TEXTS
    ]
    (truth,) = torch.autograd.grad(torch.stack(states).sum(), weight)
    torch.testing.assert_close(gradient, truth, rtol=1e-4, atol=1e-4)


def test_hooks_are_removed_after_an_error() -> None:
    module = tiny_model("llama").module
    layout = probe_layout(module)
    rows = single(TEXTS, range(3))
    with pytest.raises((IndexError, RuntimeError)):
        hidden_at(module, rows, torch.tensor([10**6]), layout)
    assert not module.get_output_embeddings()._forward_pre_hooks


@pytest.mark.thorough
def test_a_module_without_an_output_layer_is_refused() -> None:
    backbone = tiny_model("llama").module.model
    layout = probe_layout(tiny_model("llama").module)
    with pytest.raises(TypeError, match="LlamaModel has no output layer"):
        hidden_at(backbone, single(TEXTS, range(3)), torch.tensor([0]), layout)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_the_supported_families_pack_and_gather(family: str) -> None:
    layout = probe_layout(tiny_model(family).module)
    assert layout.pack
    assert layout.gather


def test_eager_attention_packs_too() -> None:
    module = tiny_model("llama").module
    module.set_attn_implementation("eager")
    assert probe_layout(module) == Layout(pack=True, gather=True)


def test_an_unknown_family_is_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward, "_PACKABLE", frozenset())
    module = tiny_model("llama", blocks=1, context=77).module  # that no other test has tried
    assert probe_layout(module) == Layout(pack=False, gather=True)


def test_a_module_that_ignores_positions_is_not_packed() -> None:
    module = tiny_model("gpt2", blocks=1, context=64).module

    def forget(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> object:
        return args, kwargs | {"position_ids": None}

    module.register_forward_pre_hook(forget, with_kwargs=True)
    assert probe_layout(module) == Layout(pack=False, gather=True)


def test_a_module_that_mixes_positions_after_its_output_layer_is_not_gathered() -> None:
    module = tiny_model("gpt2", blocks=1, context=48).module

    def mix(_: nn.Module, __: object, logits: Tensor) -> Tensor:
        return logits + logits.cumsum(1)

    module.lm_head.register_forward_hook(mix)
    assert probe_layout(module) == Layout(pack=False, gather=False)


@pytest.mark.parametrize(
    ("family", "sizes"),
    [("bert", {"intermediate_size": 24}), ("xlnet", {"d_inner": 24, "d_head": 8})],
)
def test_a_module_that_attends_to_later_tokens_is_refused(
    family: str, sizes: dict[str, int]
) -> None:
    config = CONFIG_MAPPING[family](
        vocab_size=40, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, **sizes
    )  # fmt: skip
    module = AutoModelForCausalLM.from_config(config).eval()
    with pytest.raises(ModelError, match=f"{type(module).__name__} .*later tokens"):
        probe_layout(module)


@pytest.mark.thorough
def test_texts_are_batched_by_length_where_padding_is_read() -> None:
    model = tiny_model("llama", blocks=1, context=61)

    def count(_: nn.Module, __: object, logits: Tensor) -> Tensor:
        return logits * logits.shape[1]

    model.module.lm_head.register_forward_hook(count)
    layout = probe_layout(model.module)
    assert (layout.pads, layout.pack) == (False, False)
    texts = ["he", "a nurse said", "she", "we are", "it is"]
    requests = [Continuation(context="", continuation=text) for text in texts]
    together = [scored.logprob for scored in model.score(requests)]
    assert together == pytest.approx([model.score([request])[0].logprob for request in requests])


def masked_model(family: str, **options: JSON) -> LanguageModel:
    bert = tiny_model("bert")
    config = CONFIG_MAPPING[family](
        **{
            **{"vocab_size": len(bert.tokenizer), "hidden_size": 32, "num_hidden_layers": 2},
            **{"num_attention_heads": 4, "intermediate_size": 48, "pad_token_id": 0},
            **{"max_position_embeddings": 48, "embedding_size": 16},
        }
        | options
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = AutoModelForMaskedLM.from_config(config).eval()
        for parameter in module.parameters():  # larger than a new model's, so that texts differ
            parameter.data += 0.2 * torch.randn_like(parameter)
    return replace(bert, module=module)


def long_rope_model() -> LanguageModel:
    """A model that turns the positions of all its rows otherwise beyond 8 tokens."""
    rope = {
        "rope_type": "longrope",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "original_max_position_embeddings": 8,
        "short_factor": [1.0] * 4,
        "long_factor": [9.0] * 4,
    }
    model = tiny_model("llama", context=62)
    config = model.module.config.to_dict() | {"rope_parameters": rope}
    module = type(model.module)(type(model.module.config)(**config)).eval()
    module.load_state_dict(model.module.state_dict())
    return replace(model, module=module)


@pytest.mark.thorough
def test_texts_on_either_side_of_a_rope_change_share_no_batch() -> None:
    model, texts = long_rope_model(), ("a nurse", "he is a nurse", "a")
    assert probe_layout(model.module).rope_change == 8
    scored = [Continuation(context="", continuation=text) for text in texts]
    alone = [model.score([request])[0].logprob for request in scored]
    assert [answer.logprob for answer in model.score(scored)] == pytest.approx(alone)
    embedded = [Embedding(text=text) for text in texts]
    each = np.concatenate([model.embed([request]) for request in embedded])
    np.testing.assert_allclose(model.embed(embedded), each, rtol=1e-4, atol=1e-5)
    written = [Generation(context=text, max_tokens=5) for text in texts]  # "a" stays below
    assert model.generate(written, seed=0) == [
        model.generate([request], seed=0)[0] for request in written
    ]
    ids = [model.tokenizer.bos_token_id, *model.tokenizer("a nurse")["input_ids"]]
    for _ in range(5):
        with torch.no_grad():
            logits = model.module(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1]
        ids.append(int(logits.argmax()))
    assert model.generate(written[:1], seed=0) == [model.tokenizer.decode(ids[8:])]


def test_a_step_of_training_takes_no_texts_that_change_each_other() -> None:
    texts = [
        TokenizedText(text="", ids=ids, target_positions=(1,), shared_suffix_positions=())
        for ids in ((1, 70, 80), (1, *range(70, 80)))
    ]
    with pytest.raises(ModelError, match="got 3 to 11 tokens"):
        PackedForward(long_rope_model()).read(texts, [[1], [1]])


def test_a_module_in_training_is_probed_without_dropout() -> None:
    module = tiny_model("gpt2", context=59).module
    module.train()
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
    assert probe_layout(module) == Layout(pack=True, gather=True)
    assert module.training
    assert len(anatomy.blocks(module)) == 2


def test_a_vocabulary_that_lacks_the_probe_s_tokens_is_read_plainly() -> None:
    config = CONFIG_MAPPING["llama"](
        vocab_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=24,
    )  # fmt: skip
    module = AutoModelForCausalLM.from_config(config)
    assert probe_layout(module) == Layout(pack=False, gather=False)


def test_a_rounding_of_half_precision_is_no_difference() -> None:
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).bfloat16()
    rounded = (logits.float() * 1.004).bfloat16()
    assert forward.is_close(rounded, logits)
    assert not forward.is_close(rounded.double(), logits.double())


def test_a_layout_probed_on_a_broken_module_is_not_kept() -> None:
    module = tiny_model("gpt2", blocks=1, context=40).module
    sound = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with torch.no_grad():
        module.transformer.wte.weight[5] = float("nan")  # a token of a text that is tried
    assert probe_layout(module) == Layout(pack=False, gather=False)
    with torch.no_grad():
        module.transformer.wte.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"finite outputs, got nan .*float32"):
        probe_layout(module)
    module.load_state_dict(sound)
    assert probe_layout(module) == Layout(pack=True, gather=True)


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["fnet", "convbert", "nystromformer", "mobilebert"])
def test_a_masked_model_that_reads_its_padding_is_run_on_texts_of_equal_length(family: str) -> None:
    model = masked_model(family)
    texts = ("a nurse", "a nurse and a doctor", "she", "a judge")
    requests = [Infill(text=text, start=0, end=3) for text in texts]
    alone = [model.infill([request])[0].logprob for request in requests]
    together = [answer.logprob for answer in model.infill(requests)]
    assert together == pytest.approx(alone, abs=1e-4)
    embedded = [Embedding(text=text, pooling="mean") for text in texts]
    each = np.concatenate([model.embed([request]) for request in embedded])
    np.testing.assert_allclose(model.embed(embedded), each, rtol=1e-3, atol=1e-4)
    assert model.info["layout"]["batches"] == "of texts of equal length only, others change them"
    assert "layout" not in masked_model("bert").info


def test_a_module_that_draws_at_random_is_refused() -> None:
    module = tiny_model("gpt2", context=58).module
    generator = torch.Generator().manual_seed(0)

    def add_noise(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        return output + torch.rand(output.shape, generator=generator)

    module.transformer.wte.register_forward_hook(add_noise)
    with pytest.raises(ModelError, match="the same logits each time"):
        probe_layout(module)


def test_tokens_that_are_never_written_do_not_hide_what_a_module_does() -> None:
    module = tiny_model("llama", context=57).module

    def forbid(_: nn.Module, __: object, output: torch.Tensor) -> torch.Tensor:
        return output.index_fill(-1, torch.tensor([2, 9]), float("-inf"))

    module.lm_head.register_forward_hook(forbid)
    assert probe_layout(module) == Layout(pack=True, gather=True)


@pytest.mark.parametrize(
    "family", ["data2vec-text", "xlm-roberta-xl", "mpnet", "roberta-prelayernorm", "ibert", "esm"]
)
def test_a_table_of_positions_that_begins_behind_the_padding_limits_the_text(family: str) -> None:
    model = masked_model(family, max_position_embeddings=20)
    limit = model.context_length
    rows = [torch.full((1, length), 9) for length in (limit, limit + 1)]
    model.module(input_ids=rows[0])
    with pytest.raises((IndexError, RuntimeError)):
        model.module(input_ids=rows[1])


@pytest.mark.thorough
def test_context_lengths_and_windows() -> None:
    for family in ("gpt2", "llama", "opt", "bert", "roberta"):
        assert tiny_model(family, context=40).context_length == 40
    config = CONFIG_MAPPING["mpt"](vocab_size=8, d_model=8, n_heads=1, n_layers=1, max_seq_len=48)
    module = AutoModelForCausalLM.from_config(config)
    assert replace(tiny_model(), module=module).context_length == 48
    assert probe_layout(tiny_model("gemma2").module).window == 16
    assert probe_layout(tiny_model("llama").module).window is None


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_a_usual_module_is_probed_in_two_passes(family: str) -> None:
    module = tiny_model(family, blocks=1, context=53).module
    passes = []
    module.register_forward_pre_hook(lambda *_: passes.append(1))
    assert probe_layout(module) == Layout(pack=True, gather=True)
    assert len(passes) == 2
