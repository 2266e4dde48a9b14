"""A model asked inside the turns of its chat template, against plain loops over its tokens."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from chat_forms import chat_model

from equipoise.benchmarks.base import Benchmark
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.measure import measure
from equipoise.records import (
    Continuation,
    Embedding,
    Generation,
    Metric,
    NextToken,
    Outcome,
    Prompt,
    Scored,
    TextPair,
)
from equipoise.testing import FakeScorer, tiny_model

#: Each writes its turns otherwise: with what comes between a question and its answer.
LEADS = {"smollm": "", "llama2": " ", "llama3": "", "gemma": "", "thinking": "", "in parts": ""}
FORMS = [*LEADS, "vicuna", "qwen", "dated"]
QUESTION = "Who left?"


@dataclass(frozen=True)
class Asked(Benchmark[Prompt, Scored]):
    """A question."""

    version = "1"
    paper = "none"
    metrics = (Metric(name="mean", of=lambda c: float(np.mean(c["nats"])), unit="", source="t"),)
    turn = "question"

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        return [Prompt(id="a", text=QUESTION)]

    def requests(self, example: Prompt) -> Sequence[Continuation]:
        return [Continuation(context=example.text, continuation=" Ann")]

    def outcome(self, example: Prompt, responses: Sequence[Scored]) -> Outcome:
        return Outcome(example=example.id, values={"nats": responses[0].logprob})


def ids_of(model: LanguageModel, *messages: tuple[str, str], answer: bool = False) -> list[int]:
    """What transformers itself makes of a conversation."""
    parts = model.tokenizer.chat_template is not None and "part[" in model.tokenizer.chat_template
    conversation = [
        {"role": role, "content": [{"type": "text", "text": text}] if parts else text}
        for role, text in messages
    ]
    return model.tokenizer.apply_chat_template(
        conversation,
        tokenize=True,
        add_generation_prompt=answer,
        return_dict=False,
        enable_thinking=False,
    )


@torch.no_grad()
def total(model: LanguageModel, ids: list[int], begin: int, end: int) -> float:
    """Sum of the log-probabilities of ids[begin:end], each after all before it."""
    table = model.module(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return sum(float(table[place - 1, ids[place]]) for place in range(begin, end))


@pytest.mark.parametrize("form", LEADS)
def test_an_answer_is_scored_in_the_models_turn(form: str) -> None:
    model = chat_model(form)
    chat = model.in_chat().reading_as("question")
    asked = [Continuation(context=QUESTION, continuation=f" {word}") for word in ("She", "Nobody")]
    for request, scored in zip(asked, chat.score(asked), strict=True):
        before = ids_of(model, ("user", QUESTION), answer=True)
        text = LEADS[form] + request.continuation.strip()
        ids = before + model.tokenizer.encode(text, add_special_tokens=False)
        assert scored.logprob == pytest.approx(total(model, ids, len(before), len(ids)), abs=1e-4)
        assert (scored.tokens, scored.bytes) == (len(text), len(text))
    (words,) = chat.next_token([NextToken(context=QUESTION, words=(" She", " Nobody"))])
    assert words.logprobs == pytest.approx([each.logprob for each in chat.score(asked)])


def test_a_template_that_knows_no_invitation_to_answer_shows_how_answers_begin() -> None:
    model = chat_model("vicuna")
    (scored,) = (
        model.in_chat()
        .reading_as("question")
        .score([Continuation(context=QUESTION, continuation=" Ann")])
    )
    before = model.tokenizer.encode(f"USER: {QUESTION} ASSISTANT:", add_special_tokens=False)
    ids = before + model.tokenizer.encode(" Ann", add_special_tokens=False)
    assert scored.logprob == pytest.approx(total(model, ids, len(before), len(ids)), abs=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_a_text_stands_in_an_open_turn_and_only_its_own_tokens_are_scored(form: str) -> None:
    model, text = chat_model(form), "The clerk said that"
    head = model.in_chat().form.head
    before = model.tokenizer.encode(head, add_special_tokens=False)
    ids = before + model.tokenizer.encode(text, add_special_tokens=False)
    if form != "dated":
        assert ids_of(model, ("user", text))[: len(ids)] == ids
    assert ids.count(model.tokenizer.bos_token_id) == head.count(model.tokenizer.bos_token or "\0")
    for reading in ("text", "question"):
        # a text that has no context is no question
        chat = model.in_chat().reading_as(reading)  # type: ignore[arg-type]
        (scored,) = chat.score([Continuation(context="", continuation=text)])
        assert scored.logprob == pytest.approx(total(model, ids, len(before), len(ids)), abs=1e-4)
        assert scored.tokens == len(text)
    (word,) = model.in_chat().next_token([NextToken(context=text, words=(" he",))])
    ids += model.tokenizer.encode(" he", add_special_tokens=False)
    expected = total(model, ids, len(ids) - 3, len(ids))
    assert word.logprobs == pytest.approx([expected], abs=1e-4)


@pytest.mark.thorough
def test_a_text_in_the_models_turn_follows_a_request() -> None:
    for form, lead in LEADS.items():
        model = chat_model(form)
        chat = model.in_chat(turn="assistant", request="Tell me.")
        before = ids_of(model, ("user", "Tell me."), answer=True)
        before += model.tokenizer.encode(lead, add_special_tokens=False)
        ids = before + model.tokenizer.encode("It is", add_special_tokens=False)
        (scored,) = chat.score([Continuation(context="", continuation="It is")])
        assert scored.logprob == pytest.approx(total(model, ids, len(before), len(ids)), abs=1e-4)
        assert (chat.form.record["turn"], chat.form.record["request"]) == ("assistant", "Tell me.")


@pytest.mark.parametrize("form", ["smollm", "llama2", "llama3"])
def test_a_system_prompt_and_debiasing_prompts_stand_inside(form: str) -> None:
    model = replace(chat_model(form), prompts=("Be fair. ", "Be kind. "))
    variants = model.in_chat("You are brief.").reading_as("question").variants()
    assert len({variant.identity for variant in variants}) == 2
    for variant, prompt in zip(variants, model.prompts, strict=True):
        (scored,) = variant.score([Continuation(context=QUESTION, continuation=" Ann")])
        system, user = ("system", "You are brief."), ("user", prompt + QUESTION)
        before = ids_of(model, system, user, answer=True)
        text = LEADS[form] + "Ann"
        ids = before + model.tokenizer.encode(text, add_special_tokens=False)
        assert scored.logprob == pytest.approx(total(model, ids, len(before), len(ids)), abs=1e-4)


def test_pairs_and_embeddings_leave_the_template_out() -> None:
    model, first, second = chat_model("smollm"), "a man left", "a cat left"
    chat = model.in_chat()
    (pair,) = chat.score_pairs(
        [TextPair(first=first, second=second, tokens="unmodified", view="left")]
    )
    before = ids_of(model, ("user", first))[: -len(first) - 2]
    ids = before + model.tokenizer.encode(first, add_special_tokens=False)
    assert (pair.first.tokens, pair.second.tokens) == (len("a a left"), len("a a left"))
    wanted = [place for place, letter in enumerate(first) if letter not in "mn"]
    each = [total(model, ids, len(before) + place, len(before) + place + 1) for place in wanted]
    assert pair.first.token_logprobs == pytest.approx(each, abs=1e-4)
    vector = chat.embed([Embedding(text=first)])[0]
    hidden = model.module.base_model(torch.tensor([ids])).last_hidden_state[0, len(before) :]
    assert torch.allclose(torch.tensor(vector), hidden.mean(0), atol=1e-5)


def test_what_is_written_is_the_models_turn() -> None:
    model = chat_model("smollm")
    chat = model.in_chat().reading_as("question")
    (written,) = chat.generate([Generation(context=QUESTION, max_tokens=6)], seed=0)
    ids = ids_of(model, ("user", QUESTION), answer=True)
    for _ in range(6):
        with torch.no_grad():
            token = int(model.module(torch.tensor([ids])).logits[0, -1].argmax())
        if token == model.tokenizer.eos_token_id:
            break
        ids.append(token)
    assert written == model.tokenizer.decode(ids, skip_special_tokens=True)[-len(written) :]
    assert written


def test_what_was_asked_is_recorded() -> None:
    model = chat_model("thinking")
    info = model.in_chat("Be brief.").reading_as("question").info
    chat = info["chat"]
    assert isinstance(chat, dict)
    assert (chat["system"], chat["reading"], chat["thinking"]) == ("Be brief.", "question", "off")
    assert chat["template_sha256"] == model.info["chat_template"]
    assert (info["start_token_id"], info["start_token"], model.info["chat"]) == (None, None, None)
    other = model.in_chat()
    assert len({model.identity, other.identity, model.in_chat("Be brief.").identity}) == 3
    assert other.identity == model.in_chat().identity
    assert chat_model("dated").in_chat().form.head.startswith("On 26 Jul 2024, 2024-07-26: ")
    assert chat_model("dated").in_chat().form.date == "26 Jul 2024"


@pytest.mark.thorough
def test_a_benchmark_says_how_it_is_read_and_both_forms_ask_the_same_examples() -> None:
    model = chat_model("smollm")
    plain = measure(model, Asked(), draws=0)
    asked = measure(model.in_chat(), Asked(), draws=0)
    chat = asked.model_info["chat"]
    assert isinstance(chat, dict)
    assert chat["reading"] == "question"
    assert plain.examples_sha256 == asked.examples_sha256
    assert plain.outcomes != asked.outcomes
    assert [note for note in plain.notes if note.startswith("form: measured as plain text")]
    assert not [note for note in asked.notes if note.startswith("form: ")]
    for without in (tiny_model("llama"), tiny_model("bert"), FakeScorer()):
        notes = measure(without, Asked(), draws=0).notes
        assert not [note for note in notes if note.startswith("form: ")]


def test_a_thought_that_cannot_be_left_out_is_noted() -> None:
    model = chat_model("qwen")
    tokenizer = model.tokenizer
    tokenizer.chat_template = str(tokenizer.chat_template).replace(
        "assistant\n{% endif", "assistant\n<think>\n{% endif"
    )
    measured = measure(model.in_chat(), Asked(), draws=0)
    assert [note for note in measured.notes if note.startswith("form: the chat template opens")]


@pytest.mark.parametrize(
    ("form", "system", "why"),
    [
        ("gemma", "Be fair.", "no system role; leave the system prompt out"),
        ("vicuna", None, None),
        ("none", None, "has none; measure it as plain text"),
        ("broken", None, "out of order; mend its chat_template, or measure it as plain text"),
        ("no grammar", None, "TemplateSyntaxError"),
        ("deaf", None, "a conversation with a message left out"),
    ],
)
def test_what_cannot_be_asked_in_a_chat_is_refused(
    form: str, system: str | None, why: str | None
) -> None:
    model = chat_model(form)
    if why is None:
        assert model.in_chat(system).form.system is None
        return
    with pytest.raises(ModelError, match=why):
        model.in_chat(system)


def test_other_kinds_are_refused() -> None:
    rule = SelfDebiasing(prefixes=("This text is unfair:",))
    with pytest.raises(ModelError, match="must have no 'self_debias'"):
        replace(chat_model("smollm"), decoding_rule=rule).in_chat()
    with pytest.raises(ModelError, match="is masked; measure it as plain text"):
        tiny_model("bert").in_chat()
    with pytest.raises(ModelError, match="turn must be user or assistant, got 'system'"):
        chat_model("smollm").in_chat(turn="system")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="a request must have words"):
        chat_model("smollm").in_chat(turn="assistant", request=" ")
    with pytest.raises(ModelError, match=r"got 'Tell me\.' and turn user; leave it out"):
        chat_model("smollm").in_chat(request="Tell me.")
