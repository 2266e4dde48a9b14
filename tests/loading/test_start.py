"""A model opened with another start token, an edit with that of its training."""

from dataclasses import replace
from pathlib import Path

import pytest
from chat_forms import chat_model

from equipoise.edits.prompts import PromptEdit
from equipoise.errors import ModelError
from equipoise.loading.load import load
from equipoise.records import Continuation, NextToken
from equipoise.testing import tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """SmolLM2's form: the BOS is a turn marker, the unknown token separates documents."""
    model = chat_model("smollm")
    model.module.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.thorough
def test_every_choice_is_opened_scored_and_recorded(folder: Path) -> None:
    request = Continuation(context="", continuation="The clerk")
    scores = {}
    for choice, token in (
        ("auto", "<|endoftext|>"), ("<|endoftext|>", "<|endoftext|>"), ("bos", "<|im_start|>"),
        ("<|im_end|>", "<|im_end|>"), ("none", None),
    ):  # fmt: skip
        model = load(str(folder), start=choice)
        assert (model.info["start_token"], model.start) == (token, choice)
        (scores[choice],) = model.score([request])
        (bare,) = model.score([replace(request, prefix="none")])
        assert bare.tokens == len("The clerk") - 1
    assert scores["auto"] == scores["<|endoftext|>"]
    assert len({scored.logprob for scored in scores.values()}) == 4
    assert [scored.tokens for scored in scores.values()] == [9, 9, 9, 9, 8]


@pytest.mark.thorough
def test_a_text_that_begins_with_the_start_token_does_not_get_two(folder: Path) -> None:
    model = load(str(folder), start="<|im_end|>")
    asked = [NextToken(context=context, words=(" a",)) for context in ("It", "<|im_end|>It")]
    first, second = model.next_token(asked)
    assert first == second


@pytest.mark.thorough
def test_what_cannot_be_opened_is_refused_at_once(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"did you mean '<\|endoftext\|>'"):
        load(str(folder), start="<|endoftxt|>")
    masked = tiny_model("bert")
    masked.module.save_pretrained(tmp_path / "masked")
    masked.tokenizer.save_pretrained(tmp_path / "masked")
    with pytest.raises(ModelError, match="must be auto for a masked model"):
        load(str(tmp_path / "masked"), start="none")


@pytest.mark.thorough
def test_an_edit_is_opened_as_it_was_learnt(folder: Path, tmp_path: Path) -> None:
    from equipoise import api
    from equipoise.records import Supply

    base = load(str(folder), start="none")
    edit = api.mitigate(base, "prompt_prefix", supply=Supply(origin="test"))
    assert isinstance(edit, PromptEdit)
    edit.save(tmp_path / "edit")
    assert load(str(tmp_path / "edit")).start == "none"
    assert load(str(tmp_path / "edit"), start="bos").info["start_token"] == "<|im_start|>"
    assert load(str(tmp_path / "edit"), base=load(str(folder))).start == "auto"
