"""Columns are guessed where one is meant, and refused, with all of them listed, where not."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from equipoise.errors import DataError
from equipoise.own_data.columns import (
    ID,
    Layout,
    OwnFile,
    find_columns,
    ids_of,
    note_repeated,
    read_own_file,
)
from equipoise.own_data.pairs import ROLES


def table(folder: Path, *columns: str, ids: tuple[str, str] = ("1", "2")) -> OwnFile:
    rows = [[f"{id}{index}" for index in range(len(columns))] for id in ids]
    (folder / "mine.csv").write_text("\n".join(map(",".join, [columns, *rows])) + "\n")
    return read_own_file(str(folder / "mine.csv"))


def layout(file: OwnFile, **named: str) -> Mapping[str, str]:
    return find_columns(file, ROLES, named, plugin="pairs").columns


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("sent_more", "sent_less"),
        ("stereotype", "antistereotype"),
        ("Stereotype", "Anti-Stereotype"),
        ("stereotypical sentence", "anti-stereotypical sentence"),
        ("pro_stereotyped", "anti_stereotyped"),
        ("sentMore", "sentLess"),
        ("stereo", "anti"),
        ("stereotype_text", "counter_stereotype_text"),
    ],
)
def test_usual_names(tmp_path: Path, more: str, less: str) -> None:
    file = table(tmp_path, less, "note", more, "bias_type")
    assert layout(file) == {"stereotype": more, "antistereotype": less, "axis": "bias_type"}
    (note,) = find_columns(file, ROLES, {}, plugin="pairs").notes
    assert f"stereotype is '{more}'" in note


def test_named_columns_and_none(tmp_path: Path) -> None:
    file = table(tmp_path, "left", "right", "context", "bias_type")
    named = {"stereotype": "left", "antistereotype": "right", "context": "-", "axis": "-"}
    assert layout(file, **named) == {"stereotype": "left", "antistereotype": "right"}
    assert find_columns(file, ROLES, named, plugin="pairs").notes == ()


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        (
            ("stereotype", "sent_more", "anti"),
            {},
            "single column of stereotype, got 'stereotype', 'sent_more' of .*--set pairs",
        ),
        (
            ("sentence_1", "sentence_2"),
            {},
            "column of stereotype, got 'sentence_1', 'sentence_2'; name it with --set pairs.stereo",
        ),
        (("stereotype", "other"), {}, "must have a column of antistereotype"),
        (
            ("stereotype", "anti"),
            {"axis": "kind"},
            "must have a column 'kind', got 'stereotype', 'anti'",
        ),
        (("stereotype", "anti"), {"axis": "steretype"}, "did you mean 'stereotype'"),
        (
            ("left", "right"),
            {"stereotype": "left", "antistereotype": "left"},
            "'left' for stereotype and anti",
        ),
        (("stereotype", "anti"), {"stereotype": "-"}, "must have a column of stereotype"),
    ],
)
def test_what_is_unclear_is_refused(
    tmp_path: Path, columns: tuple[str, ...], named: dict[str, str], message: str
) -> None:
    with pytest.raises(DataError, match=rf"mine\.csv.*{message}"):
        layout(table(tmp_path, *columns), **named)


@pytest.mark.parametrize("column", ["id", "pair_id", "Unnamed: 0", ""])
def test_ids(tmp_path: Path, column: str) -> None:
    file = table(tmp_path, column, "stereotype", "anti")
    columns = find_columns(file, ROLES, {}, plugin="pairs")
    assert ids_of(file, columns, plugin="pairs") == ["10", "20"]
    without = Layout(columns={}, notes=())
    assert ids_of(file, without, plugin="pairs") == ["line 2", "line 3"]


def test_an_id_twice_is_refused_with_the_way_out(tmp_path: Path) -> None:
    file = table(tmp_path, "id", "stereotype", "anti", ids=("1", "1"))
    columns = find_columns(file, [ID], {}, plugin="pairs")
    message = "line 3: id '10' must be there once, line 2 has it too.*--set pairs.id=-"
    with pytest.raises(DataError, match=message):
        ids_of(file, columns, plugin="pairs")
    numbered = find_columns(file, [ID], {"id": "-"}, plugin="pairs")
    assert ids_of(file, numbered, plugin="pairs") == ["line 2", "line 3"]


@pytest.mark.parametrize(
    ("texts", "counts"),
    [("abc", None), ("aba", "1 texts stand in 2 of the 3"), ("aaabb", "2 texts stand in 5 of")],
)
def test_repeated_texts_are_counted(texts: str, counts: str | None) -> None:
    notes = note_repeated([(text,) for text in texts], [*texts], "pairs")
    assert len(notes) == (counts is not None)
    assert all(str(counts) in note for note in notes)
