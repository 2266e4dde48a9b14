"""Judges at a real server, `transformers serve` of the extra `serving`, with a tiny real model."""

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
from decision_folder import save_deciding

from equipoise.errors import ModelError
from equipoise.judge.endpoint import Endpoint
from equipoise.judge.model_judge import ModelJudge
from equipoise.judging.endpoint_client import EndpointClient
from equipoise.judging.texts import read_calibration
from equipoise.loading.connect import connect
from equipoise.records import Continuation, Generation

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

_MOST_SECONDS = 120.0  # until it answers
TEXTS = [row.judged for row in read_calibration()[:3]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_deciding(tmp_path_factory.mktemp("served") / "tiny")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """Of a server with this model, which ends with the tests."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    try:
        until = time.monotonic() + _MOST_SECONDS
        while not _is_up(port):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _is_up(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def test_typed_decisions_are_those_of_the_model_in_memory(address: str, folder: Path) -> None:
    served = Endpoint(address=address, model=str(folder), form="systemone").judge(TEXTS)
    local = ModelJudge(model=str(folder)).judge(TEXTS)
    for one, other in zip(served, local, strict=True):
        assert one.strength == pytest.approx(other.strength, abs=1e-3)
        assert one.flip_rate == other.flip_rate
        assert math.isnan(one.label_mass)


def test_written_replies_of_a_model_that_babbles_are_missing(
    address: str, folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "replies.jsonl"
    judge = Endpoint(
        address=address, model=str(folder), max_tokens=8, record=file, in_flight=2, tries=1
    )
    judgements = judge.judge(TEXTS[:2])
    assert [math.isnan(judgement.strength) for judgement in judgements] == [True, True]
    asked = [json.loads(line)["request"] for line in file.read_text().splitlines()]
    assert len(asked) == 6  # each three times
    replayed = Endpoint(address=address, model=str(folder), max_tokens=8, record=file, replay=True)
    assert [j.reason for j in replayed.judge(TEXTS[:2])] == [j.reason for j in judgements]


def test_a_chat_writes_text(address: str, folder: Path) -> None:
    client = EndpointClient(address=address, model=str(folder))
    asked = [{"role": "user", "content": "Hello"}]
    text = client.chat(asked, 0.0, 0, max_tokens=5)
    assert isinstance(text, str)
    assert client.chat(asked, 0.0, 0, max_tokens=5) == text


def test_it_writes_texts_and_its_dropped_log_probabilities_are_refused(
    address: str, folder: Path
) -> None:
    name = f"openai:{address}/v1#{folder}"
    asked = [Generation(context="An oak", max_tokens=4)]
    model = connect(name).checked_for(asked)
    assert model.writing is not None
    assert not model.writing.extras  # it refuses what is not OpenAI's
    assert isinstance(model.generate(asked, seed=0)[0], str)
    with pytest.raises(ModelError, match="with echo it drops logprobs without a word"):
        connect(name).checked_for([Continuation(context="An oak", continuation=" fell")])


def test_what_it_does_not_serve_is_said(address: str, folder: Path) -> None:
    """transformers 5.24 has no /v1/decisions."""
    with pytest.raises(ModelError, match="status 404"):
        Endpoint(address=address, model=str(folder), form="decisions").judge(TEXTS[:1])
