"""`equipoise measure --exchange`."""

import json
from pathlib import Path

import pytest

from equipoise import cli


@pytest.mark.thorough
def test_exchange_is_the_option_of_every_benchmark_that_has_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise import api
    from equipoise.commands import flags
    from equipoise.measure import measure
    from equipoise.testing import FakeScorer

    monkeypatch.setattr(flags, "load_model", lambda *_, **__: FakeScorer())
    monkeypatch.setattr(api, "measure", measure)
    command = ["measure", "fake", "stereoset", "crows_pairs", "--exchange", "2", "--limit", "6"]
    assert cli.run([*command, "--draws", "0", "--data", "planted:default", "--json"]) == 0
    benchmarks = json.loads(capsys.readouterr().out)["equipoise"]["benchmarks"]
    assert [each["options"]["exchange"] for each in benchmarks.values()] == [2, 2]


@pytest.mark.thorough
def test_benchmarks_without_targets_are_measured_as_they_are_and_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise import api
    from equipoise.commands import flags
    from equipoise.measure import measure
    from equipoise.testing import FakeScorer

    monkeypatch.setattr(flags, "load_model", lambda *_, **__: FakeScorer())
    monkeypatch.setattr(api, "measure", measure)
    command = ["measure", "fake", "stereoset", "genbias", "--exchange", "2", "--limit", "6"]
    assert cli.run([*command, "--draws", "0", "--data", "planted:default", "--json"]) == 0
    said = capsys.readouterr()
    sentence = "exchange: items of genbias name no target and are measured as they are"
    assert " ".join(said.err.split()).count(sentence) == 1
    benchmarks = json.loads(said.out)["equipoise"]["benchmarks"]
    named = {name: sentence in each["notes"] for name, each in benchmarks.items()}
    assert [named[name] for name in sorted(named)] == [True, False]
    assert "exchange" not in benchmarks[min(benchmarks)]["options"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["genbias", "pairs"],
            "--exchange needs a benchmark whose items name their target (bbq, crows_pairs, "
            "stereoset), got genbias, pairs; leave it out, or measure another",
        ),
        (
            ["stereoset", "--set", "stereoset.exchange=3"],
            "exchange must be given once, got --exchange 2 and --set stereoset.exchange=3; drop",
        ),
    ],
)
def test_exchange_is_refused_in_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["measure", "planted:default", *arguments, "--exchange", "2"]) != 0
    said = capsys.readouterr().err
    assert message in " ".join(said.split())


@pytest.mark.parametrize("count", ["0", "17", "x"])
def test_number_of_others(count: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.run(["measure", str(tmp_path), "stereoset", "--exchange", count]) != 0
    assert cli.run(["measure", str(tmp_path), "bbq", "--set", f"bbq.exchange={count}"]) != 0
    assert "exchange" in capsys.readouterr().err
