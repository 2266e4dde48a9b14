"""Rows as tokens: the start token is read, what the assistant says is learnt, nothing is cut."""

from dataclasses import replace
from typing import Any

import pytest
from chat_forms import chat_model
from transformers import PreTrainedTokenizerFast

from equipoise.errors import DataError, ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.chat_template import render
from equipoise.rows import TrainingRow
from equipoise.testing import tiny_model
from equipoise.training.row_tokens import TokenizedRows, tokenize_rows

ASKED = (("user", "Who is it? user"), ("assistant", "A nurse."), ("user", "And?"))
TALK = TrainingRow(id="talk", messages=(*ASKED, ("assistant", "She is kind.")))


def text(words: str, name: str = "plain") -> TrainingRow:
    return TrainingRow(id=name, text=words)


def tokenized(model: LanguageModel, *rows: TrainingRow, **options: Any) -> TokenizedRows:
    return tokenize_rows(model, rows, **{"max_tokens": 128, **options})


def learnt(model: LanguageModel, rows: TokenizedRows, row: int = 0) -> str:
    ids = [rows.ids[row][place] for place in rows.positions(row)]
    return str(model.tokenizer.decode(ids, skip_special_tokens=False))


@pytest.mark.parametrize("bos", ["bos", "added", "eos"])
def test_a_text_begins_with_the_start_token_and_is_learnt_whole(bos: Any) -> None:
    model = tiny_model(bos=bos)
    rows = tokenized(model, text("A nurse."))
    assert rows.ids[0][0] == model.start_token_id
    assert rows.scored[0] == [False, *[True] * 8]
    assert learnt(model, rows) == "A nurse."


def test_without_a_start_token_the_first_token_is_not_learnt() -> None:
    model = tiny_model(bos="none")
    assert learnt(model, tokenized(model, text("A nurse."))) == " nurse."


def test_a_text_may_end_with_eos() -> None:
    model = tiny_model()
    rows = tokenized(model, text("A nurse."), eos=True)
    assert rows.ids[0][-1] == model.tokenizer.eos_token_id
    assert rows.scored[0][-1]


@pytest.mark.parametrize("eos", [False, True])
def test_what_follows_a_context_can_be_learnt_alone(eos: bool) -> None:
    model = tiny_model()
    row = replace(text("She ran. It rained."), context="She ran.")
    rows = tokenized(model, row, text("A nurse.", "whole"), loss_on="ending", eos=eos)
    end = str(model.tokenizer.eos_token) if eos else ""
    assert [learnt(model, rows, number) for number in (0, 1)] == [
        f" It rained.{end}",
        f"A nurse.{end}",
    ]
    assert rows.ids == tokenized(model, row, text("A nurse.", "whole"), eos=eos).ids
    assert learnt(model, tokenized(model, row)) == row.text


def test_a_blank_ending_is_left_out_or_refused() -> None:
    model = tiny_model()
    row = replace(text("She ran. "), context="She ran.")
    assert tokenized(model, row, loss_on="ending").skipped == {
        "plain": "has no words after its context"
    }
    assert tokenized(model, row).index == [0]
    with pytest.raises(DataError, match="row 'plain' has no words after its context"):
        tokenized(model, row, loss_on="ending", strict=True)


def test_eos_needs_an_eos() -> None:
    with pytest.raises(ModelError, match="has None; set eos to false"):
        tokenized(tiny_model(bos="none"), text("A nurse."), eos=True)


@pytest.mark.parametrize(
    ("form", "end"),
    [
        ("qwen", "<|im_end|>"),
        ("smollm", "<|im_end|>"),
        ("llama2", " </s>"),
        ("llama3", "<|eot|>"),
        ("gemma", "</turn>"),
        ("vicuna", "</s>"),
        ("thinking", "<|im_end|>"),
        ("in parts", "</t>"),
    ],
)
def test_of_a_conversation_the_assistants_turns_are_learnt_with_their_ends(
    form: str, end: str
) -> None:
    model = chat_model(form)
    rows = tokenized(model, TALK, max_tokens=512)
    assert learnt(model, rows) == f"A nurse.{end}She is kind.{end}"
    whole = render(
        model.tokenizer, [{"role": role, "content": said} for role, said in TALK.messages]
    )
    assert model.tokenizer.decode(rows.ids[0], skip_special_tokens=False) == whole


def test_a_template_that_trims_what_is_said_is_followed() -> None:
    model = chat_model("llama3")
    row = TrainingRow(id="spaces", messages=(("user", " Who? "), ("assistant", " A nurse. ")))
    assert learnt(model, tokenized(model, row)) == "A nurse.<|eot|>"


def test_a_conversation_may_end_with_the_user() -> None:
    model = chat_model("qwen")
    row = TrainingRow(id="open", messages=ASKED)
    assert learnt(model, tokenized(model, row, max_tokens=512)) == "A nurse.<|im_end|>"


class _Slow:
    """As a tokenizer of Python code: it reports no characters."""

    def __init__(self, fast: PreTrainedTokenizerFast) -> None:
        self.fast = fast

    def __len__(self) -> int:
        return len(self.fast)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fast, name)


def test_a_slow_tokenizer_learns_the_same_turns() -> None:
    model = chat_model("qwen")
    slow = replace(model, tokenizer=_Slow(model.tokenizer))  # type: ignore[arg-type]
    rows = [tokenized(chosen, TALK, max_tokens=512) for chosen in (model, slow)]
    assert rows[0].ids == rows[1].ids
    assert rows[0].scored == rows[1].scored


def test_what_cannot_be_learnt_is_left_out_and_says_why() -> None:
    model = chat_model("qwen")
    rows = tokenized(
        model,
        text("", "empty"),
        text(" \n", "blank"),
        text("A nurse.", "good"),
        text("A very kind nurse.", "long"),
        TrainingRow(id="silent", messages=(("user", "Who?"),)),
        TrainingRow(id="said nothing", messages=(("user", " "), ("assistant", ""))),
        TrainingRow(id="nothing"),
        max_tokens=17,
    )
    assert rows.index == [2]
    assert rows.skipped.pop("long").startswith("has 19 tokens, more than 17")
    assert rows.skipped.pop("silent").startswith("has ")
    assert rows.skipped == dict.fromkeys(
        ("empty", "blank", "said nothing", "nothing"), "has no text"
    )


def test_a_conversation_without_the_assistant_is_left_out() -> None:
    row = TrainingRow(id="silent", messages=(("user", "Who?"),))
    assert tokenized(chat_model("qwen"), row).skipped == {"silent": "has no turn of the assistant"}


def test_a_single_token_without_a_start_predicts_nothing() -> None:
    rows = tokenized(tiny_model(bos="none"), text("A"), text("An", "two"))
    assert (rows.index, rows.skipped) == ([1], {"plain": "has no token to be predicted"})


def test_the_models_context_is_a_limit_too() -> None:
    rows = tokenized(tiny_model(context=32), text("A nurse." * 4), max_tokens=4096)
    assert rows.skipped == {"plain": "has 33 tokens, more than 32"}


def test_strict_refuses_and_names_the_row() -> None:
    with pytest.raises(DataError, match="row 'long' has 9 tokens, more than 4"):
        tokenized(tiny_model(), text("A nurse.", "long"), max_tokens=4, strict=True)


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("none", "needs a chat template"),
        ("broken", "row 'talk' cannot be written as a conversation"),
        ("deaf", "row 'talk' cannot be written as a conversation"),
    ],
)
def test_conversations_need_a_template_that_works(form: str, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        tokenized(chat_model(form), TALK)


def test_a_template_that_writes_otherwise_for_some_words_is_refused() -> None:
    model = chat_model("qwen")
    model.tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}"
        "{{ '!' if 'nurse' in m['content'] else '' }}\n{% endfor %}"
    )
    with pytest.raises(ModelError, match="the same whatever is said"):
        tokenized(model, TALK)


def test_a_masked_model_is_refused() -> None:
    with pytest.raises(ModelError, match="is masked; use a causal model"):
        tokenized(tiny_model("bert"), text("A nurse."))
