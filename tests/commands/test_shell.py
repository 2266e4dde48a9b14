"""What a shell expects: completion, -h and -o, and JSON of every command that has an answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from equipoise import cli
from equipoise.data import sources
from equipoise.plugins import available
from equipoise.supply.base import Supplier

from .conftest import STEPS, Asked, Refused


def completed(words: str) -> list[str]:
    """What bash is offered for the last word."""
    asked = {
        "_EQUIPOISE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    command = [sys.executable, "-m", "equipoise"]
    done = subprocess.run(
        command, env={**os.environ, **asked}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.thorough
def test_names_of_commands_options_and_plug_ins_are_completed() -> None:
    assert completed("equipoise meas") == ["measure"]
    assert completed("equipoise mitigate gpt2 bias_t") == ["bias_token"]
    assert set(completed("equipoise measure gpt2 genbias gen")) == {"genbias", "genhint"}
    assert "--supply" in completed("equipoise mitigate gpt2 lftf --su")
    assert completed("equipoise mitigate gpt2 lftf --supply ster") == ["stereoset"]
    assert "stereoset" in available(Supplier)


def test_completion_is_installed_on_demand(
    ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    # the shell is named, for a test may have none above it
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    status, out, _ = ask("--install-completion", "bash")
    assert (status, "bash completion installed" in out) == (0, True)
    assert "_EQUIPOISE_COMPLETE" in next(tmp_path.rglob("equipoise.sh")).read_text()


@pytest.mark.thorough
def test_short_flags(ask: Asked, copied: Path, tmp_path: Path) -> None:
    assert ask("-h") == ask("--help")
    assert ask("mitigate", "-h") == ask("mitigate", "--help")
    page = tmp_path / "page.html"
    assert ask("report", copied, "-o", page, "-q") == (0, "", "")
    assert page.is_file()


@pytest.mark.thorough
def test_every_command_has_the_flags_that_all_have(ask: Asked) -> None:
    for verb in cli.app.registered_commands:
        name = verb.name or (verb.callback.__name__ if verb.callback else "")
        status, out, _ = ask(name.replace("_", "-"), "--help")
        assert status == 0
        assert all(flag in out for flag in ("--quiet", "--log", "-h, --help", "--json")), name
        assert ("--out <path>" in out) == ("-o, --out <path>" in out), name


@pytest.mark.thorough
def test_run_and_report_answer_in_json(
    ask: Asked, recipe: Path, copied: Path, tmp_path: Path
) -> None:
    status, out, _ = ask("run", recipe, "--out", copied, "--json")
    ran = json.loads(out)
    assert (status, ran["done"], ran["skipped"], ran["failed"]) == (0, 0, STEPS, [])
    assert ran["folder"] == str(copied)
    (verdict,) = ran["verdicts"]
    assert (verdict["model"], verdict["mitigation"]) == ("tiny", "parity")
    assert verdict["sentence"]
    reported = json.loads(ask("report", copied, "--json")[1])
    assert reported["verdicts"] == ran["verdicts"]
    assert Path(reported["report"]).is_file()
    planned = json.loads(ask("run", recipe, "--dry", "--json", "--out", copied)[1])
    assert [step["done"] for step in planned["steps"]] == [True] * STEPS
    assert all(step["seconds"] >= 0 for step in planned["steps"])
    fresh = json.loads(ask("run", recipe, "--dry", "--json", "--out", tmp_path / "new")[1])
    assert {(step["done"], step["seconds"]) for step in fresh["steps"]} == {(False, None)}


@pytest.mark.thorough
def test_export_in_json_is_the_csv(ask: Asked, finished: Path) -> None:
    rows = json.loads(ask("export", finished, "--json")[1])
    header, *lines = ask("export", finished, "--csv")[1].splitlines()
    assert [*rows[0]] == header.split(",")
    assert len(rows) == len(lines)
    assert {row["mitigation"] for row in rows} == {"parity"}
    assert all(row["before"] is None or isinstance(row["before"], float) for row in rows)


@pytest.mark.thorough
def test_data_says_what_is_here_missing_and_official(
    ask: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("listing must fetch nothing")

    monkeypatch.setattr(sources.urllib.request, "urlopen", refuse)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "crows_pairs").mkdir()
    (tmp_path / "crows_pairs" / "crows_pairs_anonymized.csv").write_text("mine")
    by_name = {each["benchmark"]: each for each in json.loads(ask("data", "--json")[1])}
    assert by_name["stereoset"]["state"] == "missing"
    assert by_name["crows_pairs"]["state"] == "other"
    assert by_name["crows_pairs"]["others"] == ["crows_pairs/crows_pairs_anonymized.csv"]
    assert by_name["scenarios"]["state"] == "official"  # ours, in the package
    status, out, err = ask("data")
    assert (status, err) == (0, "")
    assert "crows_pairs_anonymized.csv" in out


@pytest.mark.thorough
def test_data_fetches_what_is_named(
    ask: Asked, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    assert "forbids downloading" in refused("data", "crows_pairs")
    assert "leave it out" in refused("data", "crows_pairs", "--out", tmp_path)
    assert "name bbq" in refused("data", "--out", tmp_path)
    status, out, _ = ask("data", "scenarios")  # nothing to fetch
    assert (status, "official" in out) == (0, True)
