"""StereoSet, CrowS-Pairs and BBQ in the forms of the Hub: read as the official form, and said."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import bbq_rows
import pyarrow
import pyarrow.parquet
import pytest

from equipoise.benchmarks.base import AnyBenchmark
from equipoise.benchmarks.bbq import BBQ
from equipoise.benchmarks.crows_pairs import CrowsPairs
from equipoise.benchmarks.stereoset import StereoSet
from equipoise.errors import DataError
from equipoise.measure import measure
from equipoise.testing import FakeScorer

Row = Mapping[str, Any]


def as_csv(rows: list[Any], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: list[Any]) -> bytes:
    sink = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def as_array(rows: list[Any]) -> bytes:
    return json.dumps(rows).encode()


def as_lines(rows: list[Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


WRITERS: Mapping[str, Callable[[list[Any]], bytes]] = {
    ".csv": as_csv, ".parquet": as_parquet, ".json": as_array, ".jsonl": as_lines
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def put(folder: Path, path: str, content: bytes) -> None:
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(content)


def notes_of(benchmark: AnyBenchmark) -> str:
    return "\n".join(measure(FakeScorer(), benchmark, draws=0).notes)


# --- CrowS-Pairs ------------------------------------------------------------------------------

CROWS = "crows_pairs/crows_pairs_anonymized"


def crows(direction: Any, bias_type: Any, **first: Any) -> list[Any]:
    texts = {"sent_more": "The oak fell.", "sent_less": "The elm fell."}
    return [{**first, **texts, "stereo_antistereo": direction, "bias_type": bias_type}]


@pytest.mark.parametrize("ending", WRITERS)
def test_numbered_pairs(folder: Path, ending: str) -> None:
    put(folder, CROWS + ending, WRITERS[ending](crows(1, 7, id=5)))
    (pair,) = CrowsPairs().examples("test")
    assert (pair.id, pair.stereotype, pair.antistereotype) == (
        "5", "The oak fell.", "The elm fell."
    )  # fmt: skip
    assert pair.groups["type_direction"] == "religion/antistereo"
    notes = notes_of(CrowsPairs())
    assert "7 religion" in notes
    assert "0 stereo, 1 antistereo" in notes
    assert f"data: {CROWS}{ending} is not a known official file" in notes
    assert "218 of 1508" not in notes


@pytest.mark.parametrize("index", ["", "Unnamed: 0", "index"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_columns_of_ids_and_delimiters(folder: Path, index: str, delimiter: str) -> None:
    rows = crows("stereo", "caste", **{index: "a7"})
    put(folder, CROWS + ".csv", as_csv(rows, delimiter))
    (pair,) = CrowsPairs().examples("test")
    assert (pair.id, pair.groups["bias_type"]) == ("a7", "caste")
    assert "bias types of the file's own: caste" in notes_of(CrowsPairs())


def test_pairs_without_ids(folder: Path) -> None:
    put(folder, CROWS + ".csv", as_csv(crows("stereo", "age") * 2))
    assert [pair.id for pair in CrowsPairs().examples("test")] == ["0", "1"]
    assert "ids: the file has none" in notes_of(CrowsPairs())


@pytest.mark.parametrize("direction", [2, "left", None])
def test_an_unknown_direction_is_refused(folder: Path, direction: Any) -> None:
    put(folder, CROWS + ".csv", as_csv(crows(direction, "age")))
    with pytest.raises(DataError, match="line 2: stereo_antistereo must be one of"):
        CrowsPairs().examples("test")


# --- StereoSet --------------------------------------------------------------------------------


def stereoset(labels: list[Any], **changed: Any) -> Any:
    texts = ["The oak is kind.", "The oak is rude.", "The oak is blue."]
    sentences = {"gold_label": labels, "sentence": texts, "id": ["s", "t", "u"]}
    row = {"id": "a", "target": "oak", "bias_type": "gender", "context": "The oak is BLANK."}
    return row | {"sentences": sentences} | changed


@pytest.mark.parametrize("ending", WRITERS)
def test_objects_of_lists(folder: Path, ending: str) -> None:
    following = stereoset([2, 0, 1], id="b", context="An oak.", bias_type="caste")
    following["sentences"] = {**following["sentences"], "id": ["v", "w", "x"]}
    put(folder, f"stereoset/dev{ending}", WRITERS[ending]([stereoset([0, 1, 2]), following]))
    first, second = StereoSet().examples("dev")
    # 0 is the anti-stereotype on the Hub
    assert first.sentences == ("The oak is rude.", "The oak is kind.", "The oak is blue.")
    assert (first.task, second.task) == ("intrasentence", "intersentence")
    assert second.sentence_ids == ("x", "w", "v")
    notes = notes_of(StereoSet())
    assert "0 anti-stereotype, 1 stereotype, 2 unrelated" in notes
    assert "bias types of the file's own: caste" in notes
    assert "test split is a common training set" not in notes


@pytest.mark.parametrize("labels", [[0, 1, 1], [0, 1, 3], [0, 1], ["a", "b", "c"]])
def test_labels_that_are_none_are_refused(folder: Path, labels: list[Any]) -> None:
    put(folder, "stereoset/dev.jsonl", as_lines([stereoset(labels)] * 2))
    with pytest.raises(DataError, match=r"dev\.jsonl"):
        StereoSet().examples("dev")


# --- BBQ --------------------------------------------------------------------------------------


def flat(row: Row) -> Row:
    parts = {f"answer_info.{key}": value for key, value in row["answer_info"].items()}
    groups = {"additional_metadata.stereotyped_groups": ["old"]}
    left = ("answer_info", "additional_metadata")
    return {key: value for key, value in row.items() if key not in left} | parts | groups


def relabelled(row: Row) -> Row:
    renamed = {"answer_label": row["label"], "category": "age"}
    return {key: value for key, value in row.items() if key != "label"} | renamed


@pytest.mark.parametrize("ending", WRITERS)
@pytest.mark.parametrize("form", [dict, flat, relabelled])
def test_questions(folder: Path, ending: str, form: Callable[[Row], Row]) -> None:
    rows = bbq_rows.rows(templates=1)
    bbq_rows.write(folder, rows)
    official = BBQ().examples("test")
    (folder / "bbq" / "Age.jsonl").unlink()
    put(folder, f"bbq/Age{ending}", WRITERS[ending]([form(row) for row in rows]))
    assert BBQ().examples("test") == official
    assert "Physical_appearance 426" not in notes_of(BBQ())


def test_lists_that_numpy_printed_are_refused(folder: Path) -> None:
    """Python would read `['oak' 'old']` as a list of one text."""
    row = flat(bbq_rows.rows(templates=1)[0])
    put(folder, "bbq/Age.csv", as_csv([{**row, "answer_info.ans0": "['oak' 'old']"}]))
    with pytest.raises(DataError, match=r"Age\.csv, line 2, answer_info.ans0 must be a list"):
        BBQ().examples("test")


@pytest.mark.parametrize("category", ["Caste", "Vegetarian_diet", "Height"])
def test_categories_of_the_users_own(folder: Path, category: str) -> None:
    bbq_rows.write(folder, bbq_rows.rows(templates=1))
    rows = [row | {"category": category} for row in bbq_rows.rows(templates=1)]
    bbq_rows.write(folder, rows, category)
    both = {item.category for item in BBQ().examples("test")}
    assert both == {"Age", category}
    only = BBQ(categories=category)
    assert [item.target for item in only.examples("test")] == [
        item.target for item in BBQ(categories="Age").examples("test")
    ]
    (use,) = only.files("test")
    assert (use.name, use.verified) == (f"bbq/{category}.jsonl", None)
    with pytest.raises(DataError, match="'Diet' is no category"):
        BBQ(categories="Diet").examples("test")
