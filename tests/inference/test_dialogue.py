"""Dialogues held turn by turn, against a plain loop that asks each turn alone."""

from dataclasses import replace

import pytest
from chat_forms import chat_model

from equipoise.dialogues import Dialogue
from equipoise.errors import ModelError, RequestError
from equipoise.inference import generation
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import answer
from equipoise.records import Generation
from equipoise.testing import FakeScorer

SHORT = Dialogue(turns=("Who left?",), max_tokens=6, temperature=0.8)
LONG = Dialogue(turns=("Who left?", "Are you sure?", "And then?"), max_tokens=6, temperature=0.8)
OTHER = replace(LONG, turns=("Where?", "Are you sure?", "And then?"))


def by_hand(model: LanguageModel, asked: Dialogue, seed: int) -> tuple[str, ...]:
    """Each turn rendered by transformers itself, and written alone."""
    messages: list[dict[str, str]] = []
    answers = []
    for turn in asked.turns:
        messages.append({"role": "user", "content": turn})
        context = model.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        request = Generation(
            context=str(context), max_tokens=asked.max_tokens, temperature=asked.temperature,
            top_p=asked.top_p, sample=asked.sample,
        )  # fmt: skip
        (text,) = generation.generate(replace(model, start="none"), [request], seed=seed)
        answers.append(text)
        messages.append({"role": "assistant", "content": text.strip()})
    return tuple(answers)


@pytest.mark.thorough
@pytest.mark.parametrize("form", ["smollm", "llama3", "gemma", "thinking"])
def test_each_turn_is_answered_after_the_models_own_answers(form: str) -> None:
    model = chat_model(form)
    held = model.in_chat().converse([LONG, SHORT, OTHER], seed=3)
    assert held == [by_hand(model, asked, 3) for asked in (LONG, SHORT, OTHER)]
    assert [len(answers) for answers in held] == [3, 1, 3]
    assert len(set(held[0])) > 1


@pytest.mark.thorough
def test_company_order_and_batches_change_nothing() -> None:
    chat = chat_model("smollm").in_chat()
    together = chat.converse([LONG, SHORT, OTHER, LONG], seed=1)
    assert together[0] == together[3]
    assert chat.converse([OTHER], seed=1) == [together[2]]
    small = replace(chat_model("smollm"), batch_tokens=1).in_chat()
    assert small.converse([SHORT, LONG], seed=1) == [together[1], together[0]]
    assert chat.converse([LONG], seed=2) != [together[0]]
    assert chat.converse([replace(LONG, sample=1)], seed=1) != [together[0]]


@pytest.mark.thorough
def test_system_prompt_and_a_models_own_prompt_stand_in_the_turns() -> None:
    model = chat_model("smollm")
    asked = replace(LONG, turns=LONG.turns[:2], max_tokens=3, temperature=0.0)
    (held,) = (
        model.prompted("Be fair. {input} Now.").in_chat("You are kind.").converse([asked], seed=0)
    )
    messages = [{"role": "system", "content": "You are kind."}]
    for turn, expected in zip(asked.turns, held, strict=True):
        messages.append({"role": "user", "content": f"Be fair. {turn} Now."})
        context = model.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True
        )
        plain = replace(model, start="none")
        (text,) = plain.generate([Generation(context=str(context), max_tokens=3)], seed=0)
        assert text == expected
        messages.append({"role": "assistant", "content": text.strip()})


def test_a_dialogue_that_may_not_fit_is_refused_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chat = chat_model("smollm").in_chat()  # 512 tokens
    monkeypatch.setattr(generation, "generate", lambda *_, **__: pytest.fail("wrote"))
    long = replace(LONG, max_tokens=200)
    with pytest.raises(RequestError, match=r"512 tokens, with all its answers, got \d+ .* 3 times"):
        chat.converse([SHORT, long], seed=0)
    with pytest.raises(RequestError) as caught:
        answer(chat, [SHORT, SHORT, long], seed=0)
    assert caught.value.number == 2


@pytest.mark.parametrize(
    ("turns", "got"), [((), "got 0 turns"), (("Who?", " \n"), "got turn 2 blank")]
)
def test_turns_must_have_words(turns: tuple[str, ...], got: str) -> None:
    with pytest.raises(RequestError, match=got):
        chat_model("smollm").in_chat().converse([replace(LONG, turns=turns)], seed=0)


def test_errors_of_a_later_turn_name_the_dialogue() -> None:
    """A turn that only one of two dialogues has."""
    model = chat_model("smollm")
    chat = model.in_chat()
    bad = replace(LONG, top_p=2.0)
    with pytest.raises(RequestError) as caught:
        chat.converse([SHORT, SHORT, bad], seed=0)
    assert caught.value.number == 2


def test_a_model_of_plain_text_is_refused() -> None:
    with pytest.raises(ModelError, match=r"dialogue needs a model that is asked in a chat.*--chat"):
        answer(chat_model("smollm"), [LONG], seed=0)
    with pytest.raises(ModelError, match="has none"):
        chat_model("none").in_chat()


def test_a_template_that_fails_at_a_second_turn_is_one_sentence() -> None:
    model = chat_model("smollm")
    single = "{% if messages|length > 1 %}{{ raise_exception('one turn') }}{% endif %}"
    model.tokenizer.chat_template = single + str(model.tokenizer.chat_template)
    chat = model.in_chat()
    assert len(chat.converse([SHORT], seed=0)[0]) == 1
    with pytest.raises(ModelError, match=r"cannot be asked in a chat.*one turn"):
        chat.converse([LONG], seed=0)


def test_the_fake_answers_each_turn() -> None:
    fake = FakeScorer(texts={"Who left?": "Ann."})
    assert answer(fake, [LONG, SHORT], seed=0) == [("Ann.", "", ""), ("Ann.",)]
