"""`equipoise describe` and `equipoise list`."""

import json
from typing import Any

import pytest

from equipoise import cli
from equipoise.describe import KINDS
from equipoise.plugins import names_in

NAMES = sorted({name for group in KINDS.values() for name in names_in(group)})


@pytest.mark.thorough
def test_a_plug_in_is_described_with_its_options_metrics_and_faults(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["describe", "stereoset"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("stereoset (benchmark): ")
    assert "\nstereoset (supply): " in text
    for part in ("options", "metrics", "known faults"):
        assert f"\n  {part}:\n    " in text
    assert cli.run(["describe", "harness"]) == 0  # no metrics before a task is named
    assert "\n  metrics:" not in capsys.readouterr().out


def described(name: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert cli.run(["describe", name, "--json"]) == 0
    kinds: dict[str, Any] = json.loads(capsys.readouterr().out)
    return kinds


def test_a_benchmark_has_metrics_and_faults(capsys: pytest.CaptureFixture[str]) -> None:
    facts = described("crows_pairs", capsys)["benchmark"]
    preference = facts["metrics"][0]
    assert (preference["name"], preference["ideal"]) == ("stereotype_preference", 50)
    assert facts["faults"]
    assert facts["licence"].startswith("CC BY-SA 4.0")


@pytest.mark.thorough
def test_a_mitigation_has_its_paper_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    facts = described("dpo", capsys)["mitigation"]
    assert "Rafailov" in facts["paper"]
    beta = next(option for option in facts["options"] if option["name"] == "loss.beta")
    assert (beta["default"], beta["choices"]) == ("0.1", ["dpo"])


def test_an_unknown_name_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["describe", "bias_unlern"]) == 2
    assert "bias_unlearn" in capsys.readouterr().err


@pytest.mark.thorough
def test_list_has_a_line_for_each_plug_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "benchmark:"
    assert {line.split()[0] for line in lines if line.startswith("  ")} == set(NAMES)
