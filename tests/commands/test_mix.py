"""`equipoise mix`: files of rows, probes and pairs, and nothing of their texts on the screen."""

import json
from pathlib import Path

import pytest

from equipoise.cli import run
from equipoise.mixes.pair_file import read_pair_file
from equipoise.own_data.probe_file import read_probes

SMALL = ("rows=60", "probe_count=9", "dev_count=9", "held_out=10", "measured=[]")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    neutral = tmp_path / "neutral.txt"
    neutral.write_text("".join(f"The lamp {i} is lit.\n" for i in range(80)))
    values = (*SMALL, f"neutral_file={neutral}")
    return [word for value in values for word in ("--set", f"mix.{value}")]


def test_a_mix_as_files(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    out, probes, dev, texts = (tmp_path / name for name in ("m.jsonl", "p.csv", "d.csv", "t.jsonl"))
    files = ["--out", out, "--probes", probes, "--dev", dev, "--texts", texts]
    assert run(["mix", "gen_mix", *map(str, files), "--seed", "3", *settings]) == 0
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(rows) == len({row["id"] for row in rows}) == 60
    biased = [row for row in rows if row["label"] == "biased"]
    assert len(biased) == 18
    assert all(row["axis"] for row in biased)
    assert not any("axis" in row for row in rows if row["label"] == "neutral")
    assert (len(read_probes(probes)), len(read_probes(dev))) == (9, 9)
    assert len(texts.read_text("utf-8").splitlines()) == 10
    said = capsys.readouterr().out
    assert f"influence --train {out} --probes {probes}" in said
    assert not any(row["text"] in said for row in rows)


def test_the_document_of_a_mix(
    tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["mix", "gen_mix", "--out", str(tmp_path / "m.jsonl"), "--json", *settings]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["probes"], document["dev_probes"], document["texts"]) == (9, 9, 10)
    assert {row["source"]: row["count"] for row in document["rows"]} == {
        "pairs": 18, "file neutral.txt": 42,
    }  # fmt: skip


@pytest.mark.thorough
def test_pairs_with_their_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "pairs.jsonl", tmp_path / "page.html"
    words = ["mix", "pairs", "--count", "27", "--out", str(out), "--review", str(page)]
    assert run(words) == 0
    pairs = read_pair_file(str(out)).pairs
    assert len(pairs) == 27
    assert pairs[0].sent_more in page.read_text("utf-8")
    said = capsys.readouterr().out
    assert not any(pair.sent_more in said for pair in pairs)
    assert "mix.accepted=accepted.json" in said


@pytest.mark.thorough
def test_pairs_that_a_model_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from equipoise.judging.endpoint_client import EndpointClient

    sides = [(f"On day {i} the old oak {i * i} fell.", i) for i in range(12)]
    lines = [f'{i},"{old}","{old.replace("old", "new")}",stereo,age' for old, i in sides]
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(EndpointClient, "chat", lambda *_, **__: "\n".join(lines))
    out = tmp_path / "pairs.jsonl"
    words = ["mix", "pairs", "--count", "10", "--out", str(out), "--model", "m"]
    assert run([*words, "--address", "http://127.0.0.1:9", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["pairs"], document["types"]["age"], document["calls"]) == (10, 10, 1)
    assert {pair.generator for pair in read_pair_file(str(out)).pairs} == {"m"}


@pytest.mark.parametrize("flag", ["--out", "--probes", "--dev", "--texts"])
def test_a_file_that_is_there_stays_as_it_is(
    flag: str, tmp_path: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.write_text("of the user")
    files = {"--out": str(tmp_path / "m.jsonl"), flag: str(mine)}
    words = [word for pair in files.items() for word in pair]
    assert run(["mix", "gen_mix", *words, *settings]) == 2
    assert f"{flag} names must be written into a new file, got {mine}" in capsys.readouterr().err
    assert mine.read_text() == "of the user"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".jsonl"] == []
    mine.unlink()  # as the sentence says
    assert run(["mix", "gen_mix", *words, *settings]) == 0


def test_files_of_pairs_that_are_there_or_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, out = tmp_path / "page.html", tmp_path / "pairs.jsonl"
    page.write_text("decisions")
    assert run(["mix", "pairs", "--out", str(out), "--review", str(page)]) == 2
    assert page.read_text() == "decisions"
    assert run(["mix", "pairs", "--out", str(out), "--review", str(out)]) == 2
    assert "--out and --review must be two files" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mix", "genmix"], "did you mean 'gen_mix'"),
        (["mix", "gen_mix", "--review", "a.html"], "--review is for pairs, got the mix 'gen_mix'"),
        (["mix", "gen_mix", "--model", "m"], "--model is for pairs"),
        (["mix", "pairs", "--probes", "p.csv"], "--probes is for a mix"),
        (["mix", "pairs", "--set", "mix.rows=3"], "not used here"),
        (["mix", "pairs", "--address", "http://127.0.0.1:9"], "add --model NAME"),
        (["mix", "gen_mix", "--set", "mix.ratio=1"], "ratio"),
        (["mix", "gen_mix", "--set", "mix.colour=red"], "colour"),
    ],
)
def test_what_is_refused(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--out", str(tmp_path / "m.jsonl")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m.jsonl").exists()
