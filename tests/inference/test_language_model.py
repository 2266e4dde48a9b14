"""What a model tells of itself, and a family of prompts."""

from dataclasses import replace

import pytest

from equipoise.errors import ModelError
from equipoise.inference.scorer import Scorer
from equipoise.records import Continuation
from equipoise.testing import tiny_model


def test_info_holds_what_a_result_must_record() -> None:
    model = tiny_model("gpt2", bos="eos", context=64)
    info = model.info
    assert info["name"] == "tiny-gpt2"
    assert (info["kind"], info["dtype"], info["device"]) == ("causal", "float32", "cpu")
    assert (info["prefix"], info["start_token_id"]) == ("eos", model.tokenizer.eos_token_id)
    assert info["start_token"] == "<eos>"
    assert info["context_length"] == 64
    assert info["parameters"] == sum(parameter.numel() for parameter in model.module.parameters())
    assert info["tokenizer"] == type(model.tokenizer).__name__
    assert info["attention"] == "sdpa"
    assert info["matmul"] in ("default", "onednn")


def test_a_missing_start_token_is_recorded() -> None:
    info = tiny_model("gpt2", bos="none").info
    assert (info["prefix"], info["start_token_id"], info["start_token"]) == ("none", None, None)
    assert tiny_model("bert").info["prefix"] == "special tokens"


def test_several_prompts_are_scored_as_variants() -> None:
    model: Scorer = replace(tiny_model("llama"), prompts=("be fair: ", "be kind: "))
    requests = [Continuation(context="a", continuation="b")]
    with pytest.raises(ModelError, match=r"has 2: measure each of its variants\(\)"):
        model.score(requests)
    first, second = model.variants()
    assert len({model.identity, first.identity, second.identity}) == 3
    assert first.score(requests) != second.score(requests)
    assert list(first.variants()) == [first]
