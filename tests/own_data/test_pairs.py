"""Pairs in the forms that people have: what is read, what is said, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import DataError
from equipoise.own_data.pairs import PairFile, read_pairs


def read(folder: Path, content: str, name: str = "mine.csv", **options: Any) -> PairFile:
    (folder / name).write_text(content, encoding="utf-8")
    groups, separator = options.pop("groups", None), options.pop("separator", " ")
    return read_pairs(str(folder / name), options, groups, separator)


def one(folder: Path, context: str, first: str, second: str, **options: Any) -> tuple[str, ...]:
    row = {"context": context, "stereotype": first, "antistereotype": second}
    (pair,) = read(folder, json.dumps([row]), "mine.json", **options).pairs
    return pair.context, pair.stereotype, pair.antistereotype


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (("", " The oak fell. ", "The elm fell."), ("", "The oak fell.", "The elm fell.")),
        (("The oak is", "old", "young"), ("The oak is", " old", " young")),
        (("The oak is ", "old", "young"), ("The oak is", " old", " young")),
        (("The oak is", " old", " young"), ("The oak is", " old", " young")),
        (("The oak is\n", "old", "young"), ("The oak is", "\nold", "\nyoung")),
        (("The oak", ", old, fell", "fell"), ("The oak", ", old, fell", " fell")),
        (("The oak is", "The oak is old", "The oak is ill"), ("The oak is", " old", " ill")),
        (("The BLANK fell.", "oak", "elm"), ("", "The oak fell.", "The elm fell.")),
        (("The ____ fell.", "oak", "elm"), ("", "The oak fell.", "The elm fell.")),
        (("The BLANK fell.", "The oak fell", "The elm fell"), ("", "The oak fell", "The elm fell")),
        (("They BLANKed.", "look", "walk"), ("", "They looked.", "They walked.")),
        (("BLANK.", "Oak", "Elm"), ("", "Oak.", "Elm.")),
        (("The BLANKET is", "old", "ill"), ("The BLANKET is", " old", " ill")),
        (("The", "Then oak", "elm"), ("The", " Then oak", " elm")),
        (
            ("the BLANK fell.", "The oak fell.", "The elm fell."),
            ("", "The oak fell.", "The elm fell."),
        ),
    ],
)
def test_contexts(tmp_path: Path, given: tuple[str, ...], read: tuple[str, ...]) -> None:
    assert one(tmp_path, *given) == read


def test_a_language_without_spaces(tmp_path: Path) -> None:
    assert one(tmp_path, "木は", "古い", "若い", separator="") == ("木は", "古い", "若い")


CROWS = (
    "Unnamed: 0,sent_more,sent_less,stereo_antistereo,bias_type\n"
    "3,The oak fell.,The elm fell.,0,7\n"
)
WINO = "pro_stereotyped\tanti_stereotyped\toccupation\nThe oak fell.\tThe elm fell.\ttree\n"
STEREOSET = json.dumps({
    "id": "a", "target": "tree", "bias_type": "age", "context": "The BLANK fell.",
    "sentences": {
        "gold_label": [0, 1, 2], "id": ["s", "t", "u"],
        "sentence": ["The elm fell.", "The oak fell.", "The seven fell."],
    },
})  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "id", "groups"),
    [
        ("a.csv", CROWS, "3", {"axis": "7", "direction": "0", "cluster": "3"}),
        ("a.tsv", WINO, "line 2", {"target": "tree", "cluster": "tree"}),
        ("a.jsonl", STEREOSET, "a", {"axis": "age", "target": "tree", "cluster": "tree"}),
    ],
)
def test_published_forms(
    tmp_path: Path, name: str, content: str, id: str, groups: dict[str, str]
) -> None:
    (pair,) = read(tmp_path, content, name).pairs
    assert (pair.id, pair.groups) == (id, groups)
    assert (pair.context, pair.stereotype, pair.antistereotype) == (
        "", "The oak fell.", "The elm fell."
    )  # fmt: skip
    assert pair.unrelated == ("The seven fell." if name == "a.jsonl" else None)


def test_groups_and_clusters(tmp_path: Path) -> None:
    content = "stereotype,anti,group,cluster,country\na,b,g,c,\nc,d,,,x\n"
    pairs = read(tmp_path, content).pairs
    assert [pair.groups for pair in pairs] == [
        {"group": "g", "cluster": "c"}, {"cluster": "line 3"}
    ]  # fmt: skip
    named = read(tmp_path, content, groups=("country",)).pairs
    assert [pair.groups.get("country") for pair in named] == [None, "x"]
    with pytest.raises(DataError, match=r"must have a column 'land', got .*'country'"):
        read(tmp_path, content, groups=("land",))


def test_repeated_texts_and_unread_columns_are_said(tmp_path: Path) -> None:
    content = "stereotype,anti,note\nThe oak fell.,The elm fell.,x\nThe oak fell.,The ash fell.,y\n"
    notes = "\n".join(read(tmp_path, content).notes)
    assert "1 texts stand in 2 of the 2 pairs, the first is line 2" in notes
    assert "not read: 'note'" in notes
    assert "each row stands alone" in notes


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,a", "line 2: stereotype and antistereotype must differ"),
        ("a, a", "line 2: stereotype and antistereotype must differ"),
        ("a,", "line 2: column 'anti' must have a text, got an empty cell"),
        ("nan,b", "line 2: column 'stereotype' must have a text, got an empty cell"),
        ('"two\nlines",', "line 3: column 'anti' must have a text"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"mine\.csv, {message}"):
        read(tmp_path, f"stereotype,anti\n{row}\n")


def test_half_filled_blanks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must all fill the blank .* 1 of 2 filled"):
        one(tmp_path, "The BLANK fell.", "The oak fell.", "elm")


def test_texts_of_which_one_repeats_the_context_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"must all begin with the whole context.* got 1 of 2"):
        one(tmp_path, "The oak", "The oak is old.", "is ill.")


def test_a_column_of_sentences_may_be_anything(tmp_path: Path) -> None:
    file = read(tmp_path, "sentences,stereotype,antistereotype\n2,a,b\n")
    assert [pair.stereotype for pair in file.pairs] == ["a"]


def test_a_missing_file_names_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; check the path"):
        read_pairs(str(tmp_path / "none.csv"), {}, None, " ")
