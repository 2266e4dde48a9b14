"""A command that a launcher started several times, before its processes are joined."""

import pytest

from equipoise import cli


def test_a_verb_of_a_single_process_is_refused_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert cli.run(["compare", "before", "after"]) == 2
    sentence = "several processes can do measure, locate, attribute, mitigate, inject, run, demo"
    assert sentence in capsys.readouterr().err
    monkeypatch.setenv("RANK", "1")
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == ""


def test_a_launcher_that_starts_one_process_of_many_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert cli.run(["list", "--json"]) == 0
    assert "warning" not in capsys.readouterr().err
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    assert cli.run(["list", "--json"]) == 0
    assert "torchrun --nproc-per-node starts several" in capsys.readouterr().err
