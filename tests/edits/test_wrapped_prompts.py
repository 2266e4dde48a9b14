"""Prompts around a text: what each kind of request is asked, plain and in a chat, and storage."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chat_forms import chat_model
from tiny_adapters import INFO

from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import before_text, nested, prompted
from equipoise.records import Continuation, Embedding, Generation, NextToken, TextPair
from equipoise.testing import tiny_model

AROUND = "Task: {input}\nBe fair. "
CONTEXT = "The clerk said that"
WHOLE = f"Task: {CONTEXT}\nBe fair. "
BEFORE = "Task: \nBe fair. "  # a text that has no context


def edit(*prompts: str) -> PromptEdit:
    return PromptEdit(info=INFO, prompts=prompts)


def words(context: str) -> list[Continuation]:
    return [Continuation(context=context, continuation=word) for word in (" he", " they")]


def test_a_prompt_stands_before_a_text_or_around_it() -> None:
    assert prompted("Be fair. ", "{input} {x}") == "Be fair. {input} {x}"
    assert prompted(AROUND, "{input}") == "Task: {input}\nBe fair. "
    assert (before_text(AROUND), before_text("Be fair. ")) == (BEFORE, "Be fair. ")


@pytest.mark.parametrize(
    ("outer", "inner", "whole"),
    [
        ("", "", "T"),
        ("A ", "B ", "A B T"),
        ("A {input} Z", "B ", "A B T Z"),
        ("A ", "B {input} Y", "A B T Y"),
        ("A {input} Z", "B {input} Y", "A B T Y Z"),
        ("A {input} Z", "", "A T Z"),
    ],
)
def test_the_prompt_of_a_later_edit_is_inside(outer: str, inner: str, whole: str) -> None:
    assert prompted(nested(outer, inner), "T") == whole
    with edit(outer or "").attached(tiny_model()) as once, edit(inner).attached(once) as twice:
        assert [prompted(prompt, "T") for prompt in twice.prompts] == [whole]


@pytest.mark.thorough
def test_a_plain_model_reads_the_whole_prompt_before_what_is_scored_or_written() -> None:
    model = tiny_model(context=512)
    with edit(AROUND).attached(model) as edited:
        assert edited.score(words(CONTEXT)) == model.score(words(WHOLE))
        ask = [NextToken(context=CONTEXT, words=(" he", " she"))]
        asked_whole = [NextToken(context=WHOLE, words=(" he", " she"))]
        assert edited.next_token(ask) == model.next_token(asked_whole)
        drawn = {"max_tokens": 8, "temperature": 0.0}
        written = edited.generate([Generation(context=CONTEXT, **drawn)], seed=0)
        assert written == model.generate([Generation(context=WHOLE, **drawn)], seed=0)
        assert edited.info["prompts"] == [AROUND]
    assert model.score(words(CONTEXT)) != model.score(words(WHOLE))


@pytest.mark.thorough
def test_a_text_without_a_context_stands_behind_the_prompt() -> None:
    model = tiny_model(context=512)
    pair = TextPair(first="a man left", second="a cat left", tokens="unmodified", view="left")
    with edit(AROUND).attached(model) as edited, edit(BEFORE).attached(model) as before:
        assert edited.score(words("")) == before.score(words(""))
        assert edited.score_pairs([pair]) == before.score_pairs([pair])
        vectors = [each.embed([Embedding(text="a man left")]) for each in (edited, before)]
        assert (vectors[0] == vectors[1]).all()


def asked(model: LanguageModel, *, reading: str, context: str) -> Sequence[object]:
    chat = model.in_chat().reading_as(reading)  # type: ignore[arg-type]
    return [
        *chat.score(words(context)),
        *chat.next_token([NextToken(context=context, words=(" he", " they"))]),
        *chat.generate([Generation(context=context, max_tokens=4)], seed=0),
    ]


@pytest.mark.thorough
@pytest.mark.parametrize("form", ["smollm", "llama2", "gemma"])
@pytest.mark.parametrize("reading", ["question", "text"])
def test_in_a_chat_all_of_it_is_the_users_turn_and_the_model_answers(
    form: str, reading: str
) -> None:
    model = chat_model(form)
    with edit(AROUND).attached(model) as edited:
        wrapped = asked(edited, reading=reading, context=CONTEXT)
        bare = edited.in_chat().reading_as(reading).score(words(""))  # type: ignore[arg-type]
    assert wrapped == asked(model, reading="question", context=WHOLE)
    assert bare == replace(model, prompts=(BEFORE,)).in_chat().score(words(""))


@pytest.mark.parametrize(
    "asking", [{"system": "{input}"}, {"turn": "assistant", "request": "{input}?"}]
)
def test_a_chat_has_no_slot_of_its_own(asking: dict[str, str]) -> None:
    with pytest.raises(ModelError, match=r"must not hold \{input\}"):
        chat_model("smollm").in_chat(**asking)  # type: ignore[arg-type]


def test_a_family_is_saved_and_each_member_is_a_variant(tmp_path: Path) -> None:
    family = edit(AROUND, "Be kind. ", "{input} Why?")
    family.save(tmp_path / "edit")
    again = load_edit(tmp_path / "edit")
    assert (again, again.content) == (family, family.content)
    with again.attached(tiny_model()) as edited:
        variants = edited.variants()
    assert [variant.prompts for variant in variants] == [(prompt,) for prompt in family.prompts]
    assert len({variant.identity for variant in variants}) == 3


def test_a_prompt_has_one_input() -> None:
    with pytest.raises(ModelError, match=r"at most once, got 'a \{input\} b"):
        edit("a {input} b {input}")


@pytest.mark.parametrize(
    ("only", "instruction", "chosen"),
    [(None, None, ("a", "b")), (1, None, ("b",)), (None, "c {input}", ("c {input}",))],
)
def test_a_member_the_family_or_ones_own(
    only: int | None, instruction: str | None, chosen: tuple[str, ...]
) -> None:
    assert choose_prompts(("a", "b"), only=only, instruction=instruction) == chosen


@pytest.mark.parametrize(
    ("only", "instruction", "message"),
    [
        (2, None, "only must be 0 to 1"),
        (1, "c {input}", "leave one of the two out"),
        (0, " {input} ", "must have words"),
        (0, "{input} c {input}", "at most once"),
    ],
)
def test_what_cannot_be_chosen(only: int | None, instruction: str | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        choose_prompts(("a", "b"), only=only, instruction=instruction)
