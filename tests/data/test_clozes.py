"""The files of facts: sizes, the pattern that is taken, and faults that are named."""

import json
from pathlib import Path

import pytest

from equipoise.data.clozes import known_facts, trex_facts, trex_sources
from equipoise.errors import DataError

FACT = {"known_id": 0, "prompt": "A is in", "attribute": "B", "relation_id": "P1", "subject": "A"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    for name in ("known_facts", "pararel/trex_lms_vocab", "pararel/patterns"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_official_files() -> None:
    known = known_facts()
    assert len(known) == 1209
    assert len({fact.relation for fact in known}) == 33
    trex = trex_facts()
    assert len({fact.relation for fact in trex}) == 39
    assert len(trex) == 27_610
    assert all(source.use().verified for source in trex_sources())
    for fact in (*known, *trex):
        assert fact.prompt == fact.prompt.rstrip()
        assert "[" not in fact.prompt or "[" in fact.subject
        assert fact.subject in fact.prompt
    (born,) = {
        fact.prompt.replace(fact.subject, "X") for fact in trex if fact.id.startswith("P19/")
    }
    assert born == "X was born in"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "must have 1 entries, got 0"),
        ({"a": 1}, "must be a list, got a dict"),
        (["x"], r"\[0\] must be an object, got a text"),
        (
            [FACT, {k: v for k, v in FACT.items() if k != "attribute"}],
            r"\[1\] must have a key 'attribute'",
        ),
        ([FACT | {"attribute": " "}], r"\[0\].attribute must be a text that is not blank"),
        ([FACT, FACT], "fact '0' must be there once, got it twice"),
    ],
)
def test_known_1000_faults(folder: Path, rows: object, message: str) -> None:
    (folder / "known_facts" / "known_1000.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=message):
        known_facts()


@pytest.mark.parametrize(
    ("pattern", "row", "message"),
    [
        ({"pattern": "[Y] has [X]."}, {}, r"P17\.jsonl must have a pattern with \[X\]"),
        ({"text": "[X] is in [Y]."}, {}, "line 1 must have a key 'pattern'"),
        ({"pattern": "[X] is in [Y]."}, {"uuid": "1"}, "line 1 must have a key 'sub_label'"),
    ],
)
def test_trex_faults(folder: Path, pattern: dict, row: dict, message: str) -> None:
    (folder / "pararel/patterns/P17.jsonl").write_text(json.dumps(pattern))
    (folder / "pararel/trex_lms_vocab/P17.jsonl").write_text(json.dumps(row))
    with pytest.raises(DataError, match=message):
        trex_facts()
