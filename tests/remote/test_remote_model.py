"""A model behind a server answers as the same model in memory; what it cannot answer is refused."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openai_serving import OpenaiServing, serving_model

from equipoise.dialogues import Dialogue
from equipoise.errors import EquipoiseError, ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.connect import connect
from equipoise.loading.load import load
from equipoise.records import (
    Continuation,
    Decision,
    Embedding,
    Generation,
    Infill,
    NextToken,
    Prefix,
    Request,
    Scored,
    TextPair,
)
from equipoise.testing import tiny_model

MODEL = tiny_model("llama", context=512)
TEXTS = [
    Continuation(context="The nurse", continuation=" said", greedy=True),
    Continuation(context="", continuation="A café’s"),
]
PAIRS = [
    TextPair(first="The man’s cat", second="The woman’s cat", tokens=tokens, view="left")
    for tokens in ("modified", "unmodified", "unmodified_after")
]


@pytest.fixture(scope="module")
def server() -> Iterator[OpenaiServing]:
    with serving_model(MODEL) as server:
        yield server


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tokenizer")
    MODEL.tokenizer.save_pretrained(folder)
    return str(folder)


def check_alike(scored: Scored, expected: Scored) -> None:
    assert scored.token_logprobs == pytest.approx(expected.token_logprobs, abs=1e-4)
    assert (scored.bytes, scored.greedy) == (expected.bytes, expected.greedy)


@pytest.mark.parametrize("form", ["prompt_logprobs", "echo"])
@pytest.mark.parametrize("start", [False, True])
def test_texts_score_as_in_memory(form: str, start: bool) -> None:
    """What stands before a text is the server's start token, or none."""
    local: LanguageModel = MODEL if start else replace(MODEL, start="none")
    with serving_model(MODEL, prompt_logprobs=form == "prompt_logprobs") as server:
        server.adds_start = start
        model = connect(server.name).checked_for(TEXTS)
        assert model.reading is not None
        assert (model.reading.form, model.info["start"]) == (form, "server" if start else "none")
        for scored, expected in zip(model.score(TEXTS), local.score(TEXTS), strict=True):
            check_alike(scored, expected)
        for pair, same in zip(model.score_pairs(PAIRS), local.score_pairs(PAIRS), strict=True):
            check_alike(pair.first, same.first)
            check_alike(pair.second, same.second)


@pytest.mark.parametrize("prefix", ["bos", "ref_gpt2", "none", "own"])
def test_token_ids_score_as_in_memory(
    prefix: Prefix, server: OpenaiServing, tokenizer: str
) -> None:
    texts = [replace(request, prefix=prefix) for request in TEXTS]
    model = connect(server.name, tokenizer=tokenizer)
    for scored, expected in zip(model.score(texts), MODEL.score(texts), strict=True):
        check_alike(scored, expected)
    assert all(isinstance(id, int) for id in server.asked[-1]["prompt"])


def test_words_score_as_in_memory(server: OpenaiServing, tokenizer: str) -> None:
    asked = [NextToken(context="The nurse said that", words=(" he", " she"))]
    (scored,), (expected,) = (
        connect(server.name, tokenizer=tokenizer).next_token(asked),
        MODEL.next_token(asked),
    )
    assert scored.logprobs == pytest.approx(expected.logprobs, abs=1e-4)
    assert scored.tokens == expected.tokens


def test_the_likeliest_word_is_greedy(server: OpenaiServing) -> None:
    context = "The nurse said"
    with serving_model(MODEL, prompt_logprobs=False) as echoing:
        for each in (server, echoing):
            ids = list(MODEL.tokenizer(context, add_special_tokens=False)["input_ids"])
            (best,) = each._write(ids, {"max_tokens": 1, "temperature": 0})
            asked = [
                Continuation(context=context, continuation=text, greedy=True)
                for text in (MODEL.tokenizer.decode([best]), "zz")
            ]
            assert [scored.greedy for scored in connect(each.name).score(asked)] == [True, False]


def test_likeliest_tokens_that_are_not_told() -> None:
    def drop(_: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        answer["choices"][0].get("logprobs", {}).pop("top_logprobs", None)
        return answer

    with serving_model(MODEL, prompt_logprobs=False) as server:
        server.fault = drop
        model = connect(server.name).checked_for(TEXTS)
        assert len(model.score(TEXTS[1:])) == 1
        with pytest.raises(ModelError, match=r"request 0 .* likeliest token in each place, which"):
            model.score(TEXTS)


def test_a_policy_without_the_servers_start_token() -> None:
    texts = [replace(TEXTS[0], prefix="none")]
    with serving_model(MODEL) as server:
        server.adds_start = True
        with pytest.raises(ModelError, match=r"policy none, while .* puts a start.* set tokenizer"):
            connect(server.name).score(texts)


def test_texts_are_written_as_in_memory(server: OpenaiServing) -> None:
    asked = [Generation(context="The cat", max_tokens=4) for _ in range(2)]
    before = len(server.asked)
    texts = connect(server.name).generate(asked, seed=0)
    assert len(texts[0]) > 0
    assert texts == [texts[0]] * 2
    assert sum(body["prompt"] == "The cat" for body in server.asked[before:]) == 1


def test_token_ids_are_written_on_as_in_memory(server: OpenaiServing, tokenizer: str) -> None:
    asked = [Generation(context="The cat", max_tokens=4)]
    assert connect(server.name, tokenizer=tokenizer).generate(asked, seed=0) == MODEL.generate(
        asked, seed=0
    )


def test_samples_have_seeds_of_their_own(server: OpenaiServing) -> None:
    asked = [
        Generation(context="The cat", max_tokens=4, temperature=1.0, sample=sample)
        for sample in (0, 1)
    ]
    model = connect(server.name).checked_for(asked)
    texts = model.generate(asked, seed=0)
    assert texts[0] != texts[1]
    assert model.generate(asked, seed=0) == texts
    assert model.generate(asked, seed=1) != texts
    assert {body["top_k"] for body in server.asked[-4:]} == {0}  # not the server's own


def test_a_dialogue_is_held_in_a_chat(server: OpenaiServing) -> None:
    asked = [Dialogue(turns=("Hello", "Why?"), max_tokens=3)]
    model = connect(server.name, chat=True, system="Be brief.").checked_for(asked)
    (answers,) = model.converse(asked, seed=0)
    roles = [message["role"] for message in server.asked[-1]["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    assert server.asked[-1]["messages"][2]["content"] == answers[0].strip()
    with pytest.raises(ModelError, match="as plain text; set chat"):
        connect(server.name).converse(asked, seed=0)


def test_a_question_is_asked_in_a_chat(server: OpenaiServing) -> None:
    model = connect(server.name, chat=True).reading_as("question")
    assert model.generate([Generation(context="Why?", max_tokens=3)], seed=0)
    assert server.asked[-1]["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("request_", "chat", "what"),
    [
        (Embedding(text="a"), False, "asks for a Embedding"),
        (Infill(text="a b", start=0, end=1), False, "asks for a Infill"),
        (Decision(text="a", question="b?"), False, "asks for a Decision"),
        (TEXTS[0], True, "gives no log-probabilities of a text"),
        (Generation(context="a", max_tokens=1), True, "closes each turn"),
    ],
)
def test_what_no_server_answers(request_: Request, chat: bool, what: str) -> None:
    """Refused before anything is sent: nobody listens there."""
    with pytest.raises(RecipeError, match=what):
        connect("openai:http://127.0.0.1:9/v1#owl", chat=chat).checked_for([request_])


def test_a_pair_for_masked_models(server: OpenaiServing) -> None:
    with pytest.raises(ModelError, match="needs a masked model"):
        connect(server.name).score_pairs([replace(PAIRS[0], view="both")])


def test_the_most_tokens_are_kept_to(server: OpenaiServing) -> None:
    before = len(server.asked)
    with pytest.raises(RecipeError, match=r"at most 3 tokens may be .* this may take 8"):
        connect(server.name, most_tokens=3).checked_for(TEXTS)
    assert len(server.asked) == before


def test_what_was_answered_is_not_asked_again(tmp_path: Path) -> None:
    """As after a kill: the last line is cut, and the request of that line alone is sent again."""
    file = tmp_path / "replies.jsonl"
    asked = [Continuation(context="The nurse", continuation=f" {word}") for word in "abcd"]
    with serving_model(MODEL) as server:
        model = connect(server.name).checked_for(asked).keeping_in(file)
        first = model.score(asked)
        file.write_bytes(file.read_bytes()[:-9])
        before = len(server.asked)
        assert model.score(asked) == first
        assert len(server.asked) == before + 1
        server.status = lambda _: 500
        assert model.score(asked) == first


def test_an_interrupted_batch_keeps_what_came(tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    asked = [Continuation(context="The nurse", continuation=f" {word}") for word in "abcd"]
    with serving_model(MODEL) as server:
        model = connect(server.name, in_flight=1, tries=1).checked_for(asked).keeping_in(file)
        server.status = lambda body: 500 if body["prompt"].endswith("c") else 200
        with pytest.raises(ModelError, match=r"request 2 .*in 1 tries: status 500"):
            model.score(asked)
        kept = [json.loads(line)["request"]["prompt"][-1] for line in file.read_text().splitlines()]
    assert kept[:2] == ["a", "b"]
    assert "c" not in kept


def test_a_text_that_is_too_long_names_its_request(server: OpenaiServing) -> None:
    def refuse(body: dict[str, object]) -> int:
        return 400 if "too long" in str(body["prompt"]) else 200

    asked = [TEXTS[0], replace(TEXTS[0], context="too long")]
    model = connect(server.name).checked_for(asked)
    server.status = refuse
    try:
        with pytest.raises(ModelError, match=r"request 1 .*status 400"):
            model.score(asked)
    finally:
        server.status = lambda _: 200


def test_a_start_token_that_comes_and_goes() -> None:
    with serving_model(MODEL) as server:
        model = connect(server.name).checked_for(TEXTS)
        server.adds_start = True
        with pytest.raises(ModelError, match="puts 1 tokens before a text, elsewhere 0"):
            model.score(TEXTS[:1])


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("openai:http://HOST#", {}, "is named openai:http://HOST:PORT/v1#NAME"),
        ("openai:http://key@host/v1#owl", {}, "is named openai:"),
        ("openai:ftp://host/v1#owl", {}, "is named openai:"),
        ("openai:http://host/v1#owl", {"in_flights": 2}, "did you mean 'in_flight'"),
        ("openai:http://host/v1#owl", {"in_flight": 0}, "in_flight"),
        ("openai:http://host/v1#owl", {"system": "Hi"}, "system is of a chat"),
        ("openai:http://host/v1#owl", {"start": "none"}, "start is of a tokenizer"),
        ("openai:http://host/v1#owl", {"tokenizer": "/no/such"}, "a tokenizer must load from"),
    ],
)
def test_names_and_options_that_are_none(name: str, options: dict[str, object], what: str) -> None:
    with pytest.raises(EquipoiseError, match=what) as caught:
        connect(name, **options)  # type: ignore[arg-type]  # wrong on purpose
    assert "key" not in str(caught.value).partition("got")[2].partition(";")[0]


def test_it_is_not_opened() -> None:
    with pytest.raises(ModelError, match=r"it can be measured \(equipoise.connect"):
        load("openai:http://127.0.0.1:9/v1#owl")


def test_the_identity_has_what_answers_depend_on(tokenizer: str) -> None:
    name = "openai:http://127.0.0.1:9/v1#owl"
    assert connect(name, in_flight=9, input_price=2.0).identity == name
    model = connect(name, tokenizer=tokenizer, start="none")
    assert json.loads(model.identity.removeprefix(f"{name}+")) == {
        "start": "none", "tokenizer": tokenizer,
    }  # fmt: skip
    assert model.info["start_token_id"] is None
