"""The client of a server: three wire forms, recording, replay, and failures that are said."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from decision_serving import answered, serving

from equipoise.errors import ModelError, StoreError
from equipoise.judging.endpoint_client import (
    CHAT,
    DECISIONS,
    SYSTEMONE,
    EndpointClient,
    UnansweredError,
)
from equipoise.records import Decision
from equipoise.transport import KEY

SECRET = "sk-55aa"
ASKED = Decision(text="An oak stood by an elm.", question="Which fell?", options=("oak", "elm"))
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    monkeypatch.delenv(KEY, raising=False)
    return waited


def said(content: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": content}}]}


def decided(body: Any) -> dict[str, Any]:
    """As openai 3.57 reads it: `openai.types.Decision`."""
    (question,) = body["questions"]
    shares = [0.25, 0.75]
    values = [choice["value"] for choice in question["choices"]]
    return {
        "model": body["model"],
        "answers": [
            {
                "type": "choice",
                "name": question["name"],
                "choice": values[1],
                "confidence": 0.5,
                "probabilities": [
                    {"value": value, "probability": share}
                    for value, share in zip(values, shares, strict=True)
                ],
            }
        ],
        "usage": {},
    }


def test_what_a_chat_sends_and_reads() -> None:
    with serving(lambda _: said("Good day"), CHAT) as server:
        client = EndpointClient(address=f"{server.address}/v1/", model="owl")
        assert client.chat(HELLO, 0.5, 7) == "Good day"
        client.chat(HELLO, 0.0, 0, max_tokens=9, schema={"type": "object"})
    plain, formed = (body for body, _ in server.asked)
    assert plain == {
        "model": "owl",
        "messages": HELLO,
        "temperature": 0.5,
        "seed": 7,
        "max_tokens": 4096,
        "stream": False,
    }
    assert formed["response_format"]["json_schema"]["schema"] == {"type": "object"}


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, ""), ("", ""), ([{"type": "text", "text": "a"}, {"type": "image"}], "a")],
)
def test_contents_of_a_reply(content: Any, text: str) -> None:
    with serving(lambda _: said(content), CHAT) as server:
        assert EndpointClient(address=server.address, model="owl").chat(HELLO, 0.0, 0) == text


def test_typed_questions_of_both_forms() -> None:
    with serving(lambda body: answered(body, lambda *_: [0.25, 0.75])) as server:
        answer = EndpointClient(address=server.address, model="owl").decide(ASKED, SYSTEMONE)
    assert answer.probabilities == (0.25, 0.75)
    with serving(decided, DECISIONS) as server:
        answer = EndpointClient(address=server.address, model="owl").decide(ASKED, DECISIONS)
    assert answer.probabilities == (0.25, 0.75)
    assert server.asked[0][0] == {
        "model": "owl",
        "input": ASKED.text,
        "questions": [
            {
                "name": "question",
                "type": "choice",
                "instructions": "Which fell?",
                "choices": [{"value": "oak"}, {"value": "elm"}],
            }
        ],
    }


@pytest.mark.parametrize(
    "answer",
    [
        (200, b"<html>"),
        (200, b""),
        (200, b"[" * 100_000),
        {"choices": []},
        {"choices": [{"message": {"content": 3}}]},
        {"choices": [{"message": None}]},
        {"error": "no"},
        [1],
    ],
)
def test_what_is_no_chat_answer(answer: Any) -> None:
    with (
        serving(lambda _: answer, CHAT) as server,
        pytest.raises(UnansweredError, match="in the form it was asked"),
    ):
        EndpointClient(address=server.address, model="owl").chat(HELLO, 0.0, 0)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "answers",
    [
        [{"type": "refusal", "name": "question"}],
        [],
        [{"type": "choice", "probabilities": [{"value": "oak", "probability": 1.0}]}],
        [{"type": "choice", "probabilities": [{"value": "oak", "probability": "1"}]}],
    ],
)
def test_what_is_no_decision(answers: Any) -> None:
    with (
        serving(lambda _: {"answers": answers}, DECISIONS) as server,
        pytest.raises(UnansweredError, match="in the form it was asked"),
    ):
        EndpointClient(address=server.address, model="owl").decide(ASKED, DECISIONS)


@pytest.mark.parametrize(
    ("status", "error"), [(500, UnansweredError), (400, UnansweredError), (401, ModelError)]
)
def test_statuses(status: int, error: type[Exception]) -> None:
    with serving(lambda _: (status, b"sorry"), CHAT) as server:
        client = EndpointClient(address=server.address, model="owl", tries=2)
        with pytest.raises(
            error, match=rf"status {status}, sorry; see that it serves 'owl'"
        ) as got:
            client.chat(HELLO, 0.0, 0)
    assert type(got.value) is error
    assert len(server.asked) == (2 if status == 500 else 1)


def test_a_dead_server_is_given_up(waits: list[float]) -> None:
    with serving(lambda _: (500, b"sorry"), CHAT) as server:
        client = EndpointClient(address=server.address, model="owl", tries=1, in_flight=1)
        with pytest.raises(ModelError, match="status 500"):
            client.ask_all(lambda seed: client.chat(HELLO, 0.0, seed), range(100))
    assert len(server.asked) == 8
    assert waits == []


def test_all_refused_is_an_error_and_some_refused_are_reasons() -> None:
    def answerer(body: Any) -> Any:
        return (400, b"too long") if body["seed"] in refused else said("a")

    refused = {1}
    with serving(answerer, CHAT) as server:
        client = EndpointClient(address=server.address, model="owl")
        answers, reasons = client.ask_all(lambda seed: client.chat(HELLO, 0.0, seed), range(3))
        assert (answers, list(reasons)) == ({0: "a", 2: "a"}, [1])
        assert "too long" in reasons[1]
        refused.update(range(3))
        with pytest.raises(ModelError, match="all of 3 requests"):
            client.ask_all(lambda seed: client.chat(HELLO, 0.0, seed), range(3))


# --- recording ----------------------------------------------------------------------------------


def test_recorded_replies_are_replayed_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, SECRET)
    file = tmp_path / "replies" / "judge.jsonl"
    numbers = iter(range(9))
    with serving(lambda _: said(f"reply {next(numbers)} {SECRET}"), CHAT) as server:
        client = EndpointClient(address=server.address, model="owl", record=file)
        first, other, kept = (client.chat(HELLO, 0.0, seed) for seed in (0, 1, 0))
        again = client.chat(HELLO, 0.0, 0, repeat=1)
    assert [first, other, kept] == ["reply 0 ***", "reply 1 ***", "reply 0 ***"]
    assert again == "reply 2 ***"
    content = file.read_text()
    assert SECRET not in content
    assert server.address not in content

    replay = EndpointClient(address=server.address, model="owl", record=file, replay=True)
    replies = [replay.chat(HELLO, 0.0, seed) for seed in (1, 0, 0)]
    assert replies == ["reply 1 ***", "reply 0 ***", "reply 0 ***"]
    repeats = [replay.chat(HELLO, 0.0, 0, repeat=number) for number in (1, 2)]
    assert repeats == ["reply 2 ***", "reply 2 ***"]
    with pytest.raises(UnansweredError, match="must be among the replies"):
        replay.chat(HELLO, 0.5, 0)
    assert len(server.asked) == 3


def test_what_is_recorded_is_not_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    with serving(lambda body: said(str(body["seed"])), CHAT) as server:
        for _ in range(2):
            client = EndpointClient(address=server.address, model="owl", record=file)
            client.chat(HELLO, 0.0, 0)
            client.chat(HELLO, 0.0, 0)  # in the same process
        client.chat(HELLO, 0.0, 1)
    assert [body["seed"] for body, _ in server.asked] == [0, 1]
    assert len(file.read_text().splitlines()) == 2


def test_what_one_server_replied_is_no_reply_of_another(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    for reply in ("one", "other"):
        with serving(lambda _, reply=reply: said(reply), CHAT) as server:
            client = EndpointClient(address=server.address, model="owl", record=file)
            assert client.chat(HELLO, 0.0, 0) == reply
    elsewhere = EndpointClient(address="http://127.0.0.1:1", model="owl", record=file, replay=True)
    with pytest.raises(UnansweredError, match="must be among the replies"):
        elsewhere.chat(HELLO, 0.0, 0)


def test_what_cannot_be_read_is_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    answers = iter([{"error": "busy"}, said("a")])
    with serving(lambda _: next(answers), CHAT) as server:
        client = EndpointClient(address=server.address, model="owl", record=file)
        with pytest.raises(UnansweredError, match="in the form it was asked"):
            client.chat(HELLO, 0.0, 0)
        assert not file.exists()
        assert client.chat(HELLO, 0.0, 0) == "a"
    assert len(file.read_text().splitlines()) == 1


def test_a_line_that_was_cut_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    with serving(lambda body: said(str(body["seed"])), CHAT) as server:
        client = EndpointClient(address=server.address, model="owl", record=file)
        client.chat(HELLO, 0.0, 0)
        client.chat(HELLO, 0.0, 1)
        file.write_bytes(file.read_bytes()[:-20])
        client = EndpointClient(address=server.address, model="owl", record=file)
        assert [client.chat(HELLO, 0.0, seed) for seed in (0, 1)] == ["0", "1"]
    replay = EndpointClient(address=server.address, model="owl", record=file, replay=True)
    assert [replay.chat(HELLO, 0.0, seed) for seed in (0, 1)] == ["0", "1"]


def test_a_reply_that_was_moved_to_another_request_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "judge.jsonl"
    with serving(lambda _: said("a"), CHAT) as server:
        EndpointClient(address=server.address, model="owl", record=file).chat(HELLO, 0.0, 0)
    row = json.loads(file.read_text())
    row["request"]["messages"][0]["content"] = "Goodbye"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(StoreError, match="line 1: a recorded reply must stand beside"):
        EndpointClient(address=server.address, model="owl", record=file)


def test_a_replay_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="must have a file of recorded replies"):
        EndpointClient(
            address="http://127.0.0.1:1", model="owl", record=tmp_path / "none", replay=True
        )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:80",
        f"http://me:{SECRET}@127.0.0.1",
        f"http://a?k=a@{SECRET}",
        f"{SECRET}@a",
        "ftp://a",
    ],
)
def test_addresses_that_are_refused(address: str) -> None:
    with pytest.raises(ModelError, match=r"named by http\(s\)://HOST:PORT") as caught:
        EndpointClient(address=address, model="owl")
    assert SECRET not in str(caught.value)
