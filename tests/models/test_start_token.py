"""Which token texts begin with, of tokenizers whose chat templates have several forms."""

import pytest
from chat_forms import FORMS, chat_tokenizer

from equipoise.errors import ModelError
from equipoise.models.start_token import start_token
from equipoise.testing import tiny_tokenizer

CHOSEN = {
    "smollm": "<|endoftext|>",
    "qwen": "<|endoftext|>",
    "dolphin": "<s>",
    "markers alone": None,
    "base": "<|endoftext|>",
    "llama2": "<s>",
    "llama3": "<|begin_of_text|>",
    "gemma": "<bos>",
    "vicuna": "<s>",
    "thinking": "<|endoftext|>",
    "in parts": "<s>",
    "dated": "<|endoftext|>",
    "broken": "<s>",
    "no grammar": "<s>",
    "deaf": "<s>",
    "none": "<s>",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_turn_marker_is_passed_over_for_what_separates_documents(form: str) -> None:
    tokenizer = chat_tokenizer(form)
    start, token = start_token(tokenizer), CHOSEN[form]
    assert start.id == (None if token is None else tokenizer.convert_tokens_to_ids(token))
    assert start.reason.startswith("auto: ")
    passed_over = tokenizer.bos_token == "<|im_start|>" or tokenizer.bos_token is None
    assert ("for every turn" in start.reason) == passed_over
    cannot_be_tried = form in ("broken", "no grammar", "deaf")
    assert ("cannot be tried" in start.reason) == cannot_be_tried


def test_a_tokenizer_that_is_changed_is_asked_anew() -> None:
    tokenizer = chat_tokenizer("smollm")
    before = start_token(tokenizer)
    tokenizer.chat_template = None
    after = start_token(tokenizer)
    assert (before.rule, after.rule) == ("token", "bos")
    assert after.id == tokenizer.bos_token_id


def test_a_token_without_a_row_is_not_chosen() -> None:
    tokenizer = chat_tokenizer("qwen")
    number = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    assert start_token(tokenizer, rows=number + 1).id == number
    assert start_token(tokenizer, rows=number).id is None
    with pytest.raises(ModelError, match=f"which has number {number} of {number}"):
        start_token(tokenizer, "<|endoftext|>", rows=number)


def test_what_is_asked_for_is_taken() -> None:
    tokenizer = chat_tokenizer("smollm")
    for choice, token in (("bos", "<|im_start|>"), ("<|im_end|>", "<|im_end|>"), ("none", None)):
        start = start_token(tokenizer, choice)
        assert start.id == (None if token is None else tokenizer.convert_tokens_to_ids(token))
        assert start.reason == "as chosen"


def test_what_cannot_be_taken_is_refused_with_the_nearest() -> None:
    with pytest.raises(ModelError, match=r"got '<\|endoftxt\|>'; did you mean '<\|endoftext\|>'"):
        start_token(chat_tokenizer("smollm"), "<|endoftxt|>")
    with pytest.raises(ModelError, match="did you mean 'none'"):
        start_token(chat_tokenizer("smollm"), "non")
    with pytest.raises(ModelError, match="start=bos needs a tokenizer with a BOS, got None"):
        start_token(tiny_tokenizer(bos="eos"), "bos")
