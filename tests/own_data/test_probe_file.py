"""Probe files: in which forms they are read, and what is refused."""

import json
import os
from pathlib import Path

import pytest

from equipoise.data.crows_pairs import CROWS_PAIRS
from equipoise.errors import DataError
from equipoise.own_data.probe_file import read_probes, write_probes
from equipoise.rows import Probe

GENDER = Probe(
    id="a1",
    stereotype="The oaks, all of them, fell.",
    antistereotype="The elms, all of them, fell.",
    groups={"axis": "gender", "direction": "stereo"},
)
ALONE = Probe(id="a2", stereotype='An oak said "no".', groups={"axis": "age"})


def write(folder: Path, content: str, name: str = "mine.csv") -> Path:
    (folder / name).write_text(content, encoding="utf-8")
    return folder / name


def test_what_is_written_is_read(tmp_path: Path) -> None:
    file = write_probes(tmp_path / "probes.csv", [GENDER, ALONE])
    assert read_probes(file) == (GENDER, ALONE)


def test_the_five_columns_of_the_paper(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "index,sent_more,sent_less,stereo_antistereo,bias_type\n7,An oak.,An elm.,antistereo,age\n",
    )
    groups = {"axis": "age", "direction": "antistereo"}
    assert read_probes(file) == (
        Probe(id="7", stereotype="An oak.", antistereotype="An elm.", groups=groups),
    )


def test_json_lines_of_biased_sentences_alone(tmp_path: Path) -> None:
    lines = [{"text": "An oak."}, {"text": "An elm."}]
    file = write(tmp_path, "\n".join(map(json.dumps, lines)), "mine.jsonl")
    assert [(probe.id, probe.texts) for probe in read_probes(file)] == [
        ("line 1", ("An oak.",)),
        ("line 2", ("An elm.",)),
    ]


def test_columns_are_named(tmp_path: Path) -> None:
    file = write(tmp_path, "first,second,kind\nAn oak.,An elm.,age\n")
    named = {"stereotype": "first", "antistereotype": "second", "axis": "kind"}
    (probe,) = read_probes(file, named)
    assert (probe.texts, dict(probe.groups)) == (("An oak.", "An elm."), {"axis": "age"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("stereotype,anti\nAn oak.,An elm.\nAn oak.,An  elm.\n", "2 rows of the same texts"),
        ("stereotype,anti\nAn oak.,An oak. \n", "got the same text of 7 characters twice"),
        ("first,second\nAn oak.,An elm.\n", "call it 'stereotype' in the file"),
        ("stereo,more\nAn oak.,An elm.\n", "take the others out"),
        ("stereotype,anti\n,An elm.\n", "must have a text, got an empty cell"),
        ("id,text\n1,An oak.\n1,An elm.\n", "take the column 'id' out"),
        ("stereotype,anti\n", "must have rows, got none"),
        ("stereotype,anti\nAn oak.\n", "must have 2 fields, got 1"),
    ],
)
def test_what_is_no_probe_file(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_probes(write(tmp_path, content))


@pytest.mark.parametrize(
    "content",
    [
        "stereotype,anti\nAn oak.,An elm.\n",
        "first,stereotype\nAn elm.,An oak.\n",
        "more\nAn oak.\n",
        "text\nAn oak.\nAn elm.\n",
    ],
)
def test_the_remedies_of_errors_work(tmp_path: Path, content: str) -> None:
    assert read_probes(write(tmp_path, content))[0].stereotype == "An oak."


@pytest.mark.skipif("EQUIPOISE_DATA" not in os.environ, reason="needs the official files")
def test_the_official_file_of_crows_pairs_is_a_probe_file() -> None:
    file = CROWS_PAIRS.local_file()
    assert file is not None
    probes = read_probes(file)
    assert len(probes) == 1508
    assert len({probe.groups["axis"] for probe in probes}) == 9
    assert all(probe.antistereotype is not None for probe in probes)
