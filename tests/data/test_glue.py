"""GLUE's dev files: sizes and shares of the real ones, and files that are not as they must be."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.data import glue
from equipoise.data.glue import GlueTask, Labelled, read_rows
from equipoise.errors import DataError

Put = Callable[[str, str], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))

    def write(name: str, content: str) -> None:
        file = tmp_path / "glue" / name / "dev.tsv"
        file.parent.mkdir(parents=True)
        file.write_bytes(content.encode())

    return write


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize(
    ("task", "rows", "positive"),
    [(glue.SST2, 872, 444), (glue.RTE, 277, 146), (glue.COLA, 1043, 721)],
)
def test_official_files(task: GlueTask, rows: int, positive: int) -> None:
    examples = read_rows(task)
    assert len({example.id for example in examples}) == len(examples) == rows
    assert sum(example.label for example in examples) == positive
    assert all(text == text.strip() != "" for example in examples for text in example.texts)


@pytest.mark.usefixtures("data_folder")
def test_pinned_files() -> None:
    verified = [task.source.use().verified for task in (glue.SST2, glue.COLA, glue.RTE)]
    assert verified == [True, True, False]
    assert len({row.groups["premise"] for row in read_rows(glue.RTE)}) == 274
    assert len({row.groups["source"] for row in read_rows(glue.COLA)}) == 23


def test_read_rows(put: Put) -> None:
    put("SST-2", '\ufeffsentence\tlabel\r\na "fine day \t1\r\n\r\nrain\t0\r\n')
    assert read_rows(glue.SST2) == [
        Labelled(id="line 2", texts=('a "fine day',), label=1),
        Labelled(id="line 4", texts=("rain",), label=0),
    ]
    put(
        "RTE",
        RTE + "7\tA b.\tC d.\tentailment\n8\ta  b.\tE.\tnot_entailment\n",
    )
    first, second = read_rows(glue.RTE)
    assert (first.texts, first.label, second.label) == (("A b.", "C d."), 1, 0)
    assert first.groups == second.groups
    put("CoLA", "gj04\t1\t\tThe door opens.\ngj04\t0\t*\tDoor opens the the.\n")
    assert [(row.label, row.texts, row.groups) for row in read_rows(glue.COLA)] == [
        (1, ("The door opens.",), {"source": "gj04"}),
        (0, ("Door opens the the.",), {"source": "gj04"}),
    ]


SST2, RTE = "sentence\tlabel\n", "index\tsentence1\tsentence2\tlabel\n"


@pytest.mark.parametrize(
    ("name", "task", "content", "message"),
    [
        (
            "SST-2",
            glue.SST2,
            "a quillwort\t1\n",
            r"SST-2/dev\.tsv must have a column 'sentence', got 2",
        ),
        ("SST-2", glue.SST2, SST2 + "a\t1\nquillwort\n", "line 3: must have 2 fields, got 1"),
        (
            "SST-2",
            glue.SST2,
            SST2 + "a\t2\n",
            r"line 2: label must be one of \['0', '1'\], got '2'",
        ),
        ("SST-2", glue.SST2, SST2 + " \t1\n", "line 2: column 'sentence' must have a text"),
        ("SST-2", glue.SST2, SST2, "must have rows, got none"),
        ("RTE", glue.RTE, RTE + "0\ta\tb\ttrue\n", r"RTE/dev\.tsv, line 2: label must.*got 'true'"),
        ("RTE", glue.RTE, RTE + "0\ta\tentailment\n", "line 2: must have 4 fields, got 3"),
        ("CoLA", glue.COLA, "gj04\t1\tThe quillwort.\n", r"CoLA/dev\.tsv, line 1: must have 4"),
        ("CoLA", glue.COLA, "gj04\tyes\t\tThe quillwort.\n", "line 1: label must.*got 'yes'"),
    ],
)
def test_invalid_files(put: Put, name, task, content, message) -> None:
    put(name, content)
    with pytest.raises(DataError, match=message) as caught:
        read_rows(task)
    assert "quillwort" not in str(caught.value)


def test_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    with pytest.raises(DataError, match=r"glue/CoLA/dev\.tsv must be in folder"):
        read_rows(glue.COLA)
