"""`equipoise measure openai:…`: what it would take, the measurement, and the same after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from openai_serving import serving_model

from equipoise.testing import tiny_model

from .conftest import Asked, Refused

MODEL = tiny_model("llama", context=512)
QUICK = ("--data", "planted:default", "--limit", "4", "--draws", "0", "--no-nulls")


def test_dry_prints_what_it_would_take_and_sends_nothing(ask: Asked) -> None:
    with serving_model(MODEL) as server:
        status, out, _ = ask(
            "measure", server.name, "genbias", "stereoset", *QUICK, "--dry",
            "--set", "openai.input_price=10",
        )  # fmt: skip
        assert server.asked == []
    first, second = out.splitlines()
    assert status == 0
    assert first.startswith("genbias: at most 20 requests, ")
    assert second.startswith("stereoset: at most ")
    assert "a guess" in first
    assert "at the prices set, 0.00" in first


@pytest.mark.thorough
def test_numbers_are_those_of_the_model_in_memory(ask: Asked, tmp_path: Path) -> None:
    """With its tokenizer; beside them stands what is not known of it."""
    folder = tmp_path / "tiny"
    MODEL.module.save_pretrained(folder)
    MODEL.tokenizer.save_pretrained(folder)
    with serving_model(MODEL) as server:
        status, printed, said = ask(
            "measure", server.name, "genbias", *QUICK, "--json", "--as", "owl",
            "--set", f"openai.tokenizer={folder}",
        )  # fmt: skip
    assert status == 0
    assert "owl: at most 20 requests" in said
    assert "(counted); no price is set" in said
    _, local, _ = ask("measure", folder, "genbias", *QUICK, "--json")
    (remote,), (expected,) = (
        json.loads(text)["equipoise"]["benchmarks"].values() for text in (printed, local)
    )
    for one, other in zip(remote["estimates"], expected["estimates"], strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-3, nan_ok=True)
    assert remote["examples_sha256"] == expected["examples_sha256"]
    assert remote["model_info"]["reads"]["form"] == "prompt_logprobs"
    assert remote["model_info"]["server_says"]["owned_by"] == "tests"
    (note,) = [note for note in remote["notes"] if note.startswith("server: the weights")]
    assert "the weights behind http://127.0.0.1" in note


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("--plain", "--chat"), "leave --plain, --turn and --request out"),
        (("--chat",), "gives no log-probabilities of a text"),
        (("--start", "none"), "start is of a tokenizer"),
        (("--set", "openai.key=1"), "openai has no option 'key'"),
        (("--dtype", "bfloat16"), "--dtype is of a model that is opened here, got 'bfloat16'"),
        (("--device", "cpu", "--dry"), "--device is of a model that is opened here"),
        (("--revision", "a"), "--revision is of"),
        (("--base", "a"), "--base is of"),
        (("--batch-size", "9"), "--batch-size is of"),
    ],
)
def test_flags_that_a_server_does_not_know(
    refused: Refused, flags: tuple[str, ...], what: str
) -> None:
    assert what in refused("measure", "openai:http://127.0.0.1:9/v1#owl", "genbias", *QUICK, *flags)


def test_dry_of_another_model(refused: Refused) -> None:
    said = refused("measure", "planted:default", "genbias", "--dry")
    assert "--dry is of a model behind openai:" in said


def test_seat_asks_for_vectors(refused: Refused) -> None:
    said = refused("measure", "openai:http://127.0.0.1:9/v1#owl", "seat", "--limit", "2")
    assert "asks for a Embedding" in said


@pytest.mark.slow
def test_a_killed_command_asks_for_the_rest_alone(tmp_path: Path) -> None:
    """Killed by the system in the midst of its requests, it ends with the same results."""
    with serving_model(MODEL) as server:

        def command(name: str) -> list[str]:
            options = ["--out", str(tmp_path / name), "--set", "openai.in_flight=1"]
            start = [sys.executable, "-m", "equipoise", "measure", server.name, "genbias"]
            return [*start, *QUICK, *options]

        def read(name: str) -> object:
            benchmarks = json.loads((tmp_path / name / "results.json").read_text())["equipoise"]
            (benchmark,) = benchmarks["benchmarks"].values()
            return benchmark["estimates"]

        subprocess.run(command("whole"), check=True, capture_output=True)
        needed = len(server.asked)
        server.asked.clear()
        process = subprocess.Popen(
            command("killed"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def status(_: object) -> int:
            if len(server.asked) == needed - 3:
                os.kill(process.pid, signal.SIGKILL)
            return 200

        server.status = status
        process.wait(120)
        assert not (tmp_path / "killed").exists()
        server.asked.clear()
        server.status = lambda _: 200
        subprocess.run(command("killed"), check=True, capture_output=True)
        assert len(server.asked) <= needed - 4
    assert read("killed") == read("whole")
