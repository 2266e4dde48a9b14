"""FLUTE's form, on rows of own words."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.data.flute import FLUTE
from equipoise.errors import DataError

Put = Callable[..., None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    (tmp_path / "flute").mkdir()

    def write(*rows: object, name: str = "flute.jsonl") -> None:
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (tmp_path / "flute" / name).write_text("".join(f"{line}\n" for line in lines))

    return write


def row(premise: str, hypothesis: str, label: str = "Entailment", **more: object) -> object:
    return {"premise": premise, "hypothesis": hypothesis, "label": label, **more}


def test_rows_and_their_groups(put: Put) -> None:
    put(
        row("Owls are quiet. ", "Owls are snow.", type="Simile", explanation="x"),
        row("Owls are loud.", "owls are  snow.", "Contradiction", type="Simile"),
        row("Owls are loud.", "Owls are drums.", "entailment"),
        row("Elks run.", "Elks are wind.", "CONTRADICTION", type="Metaphor"),
    )
    rows = FLUTE.rows()
    assert [labelled.label for labelled in rows] == [1, 0, 1, 0]
    assert rows[0].texts == ("Owls are quiet.", "Owls are snow.")
    assert [labelled.groups["type"] for labelled in rows] == [
        "simile",
        "simile",
        "none",
        "metaphor",
    ]
    pairs = [labelled.groups["pair"] for labelled in rows]
    assert pairs[0] == pairs[1] == pairs[2] != pairs[3]
    assert [labelled.id for labelled in rows] == ["line 1", "line 2", "line 3", "line 4"]
    assert FLUTE.source.use().verified is None


def test_other_forms_of_rows(put: Put) -> None:
    put("premise,hypothesis,label", "Owls are quiet.,Owls are snow.,Entailment", name="flute.csv")
    (labelled,) = FLUTE.rows()
    assert (labelled.label, labelled.groups["type"]) == (1, "none")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((row("a", "quillwort", "neutral"),), r"line 1: label must be .* got 'neutral'"),
        ((row("a", "b"), {"premise": "quillwort", "hypothesis": "b"}), "line 2: label must be"),
        (
            ({"premise": "quillwort", "label": "Entailment"},),
            "column 'hypothesis' must have a text",
        ),
        ((row(" ", "quillwort"),), "column 'premise' must have a text"),
        ((), "must hold data, got an empty file"),
        (("{",), "must be JSON"),
    ],
)
def test_invalid_files(put: Put, rows: tuple[object, ...], message: str) -> None:
    put(*rows)
    with pytest.raises(DataError, match=message) as caught:
        FLUTE.rows()
    assert "quillwort" not in str(caught.value)
