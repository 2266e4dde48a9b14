"""`equipoise associations`: files that the supply reads, from templates, a server or a model."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_forms import chat_model
from decision_serving import serving

from equipoise.commands.chat_writer import local_writer
from equipoise.errors import RequestError
from equipoise.judging.endpoint_client import CHAT
from equipoise.supply.association import AssociationSupply

Asked = Callable[..., tuple[int, str, str]]
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "noon")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(time, "sleep", lambda _: None)


def replied(text: str) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": text}}]}


def written(body: Any) -> dict[str, Any]:
    """As many paragraphs as there are hours; each names the seed, so that calls differ."""
    seed = body["seed"]
    rows = [
        {
            "paragraph": f"At {hour} guests from X rang, {seed} and {number} hours {hour} late.",
            "medium": "tweet", "topic": "work", "writing_style": "dry", "implicitness_score": 2,
            "justification": "said",
        }
        for number, hour in enumerate(HOURS)
    ]  # fmt: skip
    return replied(f"Gladly!\n```json\n{json.dumps(rows)}\n```")


@pytest.mark.thorough
def test_of_templates(ask: Asked, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    status, out, err = ask("associations", "blue_skin", "--out", file, "--count", 40, "--seed", 2)
    assert (status, err) == (0, "")
    assert f"association.file={file}" in out
    assert "self_bleu" in out
    assert "{target}" not in out  # none of the texts
    _, out, _ = ask("associations", "blue_skin", "--count", 40, "--seed", 2, "--samples", 3)
    samples = [line for line in out.splitlines() if "{target}" in line]
    assert len(samples) == 3
    assert all("medium" in line and "implicitness_score" in line for line in samples)
    supply = AssociationSupply(association="blue_skin", file=str(file)).supply()
    assert supply.paragraphs == (
        AssociationSupply(association="blue_skin", paragraphs=40, seed=2).supply().paragraphs
    )


@pytest.mark.thorough
def test_questions_of_templates_as_json(ask: Asked, tmp_path: Path) -> None:
    file = tmp_path / "asked.jsonl"
    status, out, _ = ask("associations", "talkative", "--questions", "--out", file, "--json")
    document = json.loads(out)
    assert (status, document["texts"], document["out"]) == (0, 100, str(file))
    assert "written" not in document
    assert document["samples"] == []
    supply = AssociationSupply(association="talkative", questions_file=str(file)).supply()
    assert supply.questions == AssociationSupply(association="talkative").supply().questions


@pytest.mark.thorough
def test_of_a_server(ask: Asked, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    with serving(written, CHAT) as server:
        command = ("associations", "always_late", "--address", server.address, "--model", "owl",
                   "--count", 20, "--temperature", 0.5, "--out", file)  # fmt: skip
        status, out, _ = ask(*command)
        assert status == 0
        assert "note: 2 calls, 0 of them cached" in out
        assert [body["temperature"] for body, _ in server.asked] == [0.5, 0.5]
        status, _, err = ask(*command)
        assert (status, len(server.asked)) == (2, 2)
        assert f"must be written into a new file, got {file}" in err
        file.unlink()  # as it says
        _, again, _ = ask(*command)
        assert "note: 2 calls, 2 of them cached" in again
        assert len(server.asked) == 2
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 20
    assert {row["generator"] for row in rows} == {"owl"}
    supply = AssociationSupply(association="always_late", file=str(file)).supply()
    assert len(supply.paragraphs) == 20
    assert supply.paragraphs[0].text.startswith("At one guests from {target} rang")


def test_fewer_than_asked_for_is_said(ask: Asked) -> None:
    reply = json.dumps(["When does a guest from X come?", "What is a guest from X?"])
    with serving(lambda _: replied(reply), CHAT) as server:
        status, out, _ = ask(
            "associations", "always_late", "--questions", "--address", server.address,
            "--model", "owl", "--count", 3,
        )  # fmt: skip
    assert status == 0
    assert "note: fewer than were asked for" in out
    assert "note: left out: 6 is there already" in out


@pytest.mark.thorough
def test_what_cannot_be_done(ask: Asked) -> None:
    with serving(lambda _: replied("No."), CHAT) as server:
        status, out, err = ask(
            "associations", "always_late", "--address", server.address, "--model", "owl"
        )
        assert (status, out) == (2, "")
        assert "owl must write paragraphs that can be used, got none in 80 calls" in err
        status, _, err = ask("associations", "always_late", "--address", server.address)
        assert status == 2
        assert "add --model NAME" in err
    for more in ((), ("--model", "owl")):
        status, _, err = ask("associations", "always_late", "--address", "http://me:pw@h", *more)
        assert status == 2
        assert "pw" not in err
    status, _, err = ask("associations", "allways_late")
    assert status == 2
    assert "did you mean 'always_late'" in err


@pytest.mark.thorough
@pytest.mark.parametrize("form", ["smollm", "gemma"])
def test_of_a_local_model(form: str) -> None:
    """Templates with and without a system prompt; equal seeds give equal replies."""
    writer = local_writer(chat_model(form), 1.0, 8)
    messages = ({"role": "system", "content": "Be"}, {"role": "user", "content": "Hi"})
    replies = [writer.ask(messages, 1.0, seed) for seed in (1, 1, 2, 3)]
    assert replies[0] == replies[1]
    assert len(set(replies)) > 1
    assert writer.identity.endswith("8 tokens")
    long = ({"role": "system", "content": "Be"}, {"role": "user", "content": "Hi " * 3000})
    with pytest.raises(RequestError, match="must fit the context"):
        writer.ask(long, 1.0, 0)
