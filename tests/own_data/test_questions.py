"""Questions in BBQ's form: what little must be there, what is inferred, what is refused."""

import json
from pathlib import Path
from typing import Any

import bbq_rows
import pytest

from equipoise.benchmarks.bbq import BBQ
from equipoise.data.bbq import BbqItem
from equipoise.errors import DataError
from equipoise.own_data.questions import QuestionFile, read_questions

ROW = {
    "context": "An oak and an elm stood by the road.", "question": "Which fell?",
    "answers": ["The oak", "The elm", "Not known"], "label": 2,
}  # fmt: skip
CLEAR = ROW | {"context": "An oak and an elm stood by the road. The oak fell.", "label": 0}


def read(folder: Path, *rows: Any, **options: Any) -> QuestionFile:
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_questions(str(folder / "mine.jsonl"), options, None)


def single(folder: Path, **changed: Any) -> BbqItem:
    return read(folder, ROW | changed, CLEAR).items[0]


def test_a_row_without_more_than_is_needed(tmp_path: Path) -> None:
    file = read(tmp_path, ROW, CLEAR)
    first, second = file.items
    assert (first.id, first.unknown, first.label, first.target) == ("line 1", 2, 2, None)
    assert (first.groups, second.groups["condition"]) == (
        {"category": "all", "condition": "ambig", "question": "line 1"}, "disambig"
    )  # fmt: skip
    notes = "\n".join(file.notes)
    assert "targets: not known in 2 of 2 questions, the first is 'line 1'" in notes
    assert "a context is ambiguous where the unknown answer is right" in notes


@pytest.mark.parametrize(
    ("target", "place"), [(0, 0), (1.0, 1), ("0", 0), ("B", 1), ("a", 0), ("the OAK", 0)]
)
def test_an_answer_is_named_by_number_letter_or_text(
    tmp_path: Path, target: Any, place: int
) -> None:
    assert single(tmp_path, target=target).target == place


@pytest.mark.parametrize(
    "names", ["ans0 ans1 ans2", "answer_a answer_b answer_c", "optionA optionB optionC"]
)
def test_columns_of_answers(tmp_path: Path, names: str) -> None:
    row = {key: value for key, value in ROW.items() if key != "answers"}
    answers = dict(zip(names.split(), ROW["answers"], strict=True))  # type: ignore[call-overload]
    (item,) = read(tmp_path, row | answers | {"label": "C" if "A" in names else "Not known"}).items
    assert (item.answers, item.label) == (("The oak", "The elm", "Not known"), 2)


def test_numbers_from_one_are_seen_or_refused(tmp_path: Path) -> None:
    file = read(tmp_path, ROW | {"label": 3}, CLEAR | {"label": 1})
    assert [item.label for item in file.items] == [2, 0]
    assert "answers are numbered from 1" in file.notes
    with pytest.raises(DataError, match="must tell whether they count from 0 or from 1"):
        read(tmp_path, CLEAR | {"label": 1})


@pytest.mark.parametrize("form", ["list", "text", "pieces"])
def test_rows_of_bbq_have_its_targets(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = bbq_rows.rows(templates=1)
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    bbq_rows.write(tmp_path, rows)
    official = BBQ().examples("test")
    if form == "text":
        rows = [row | {"answer_info": json.dumps(row["answer_info"])} for row in rows]
    if form == "pieces":
        parts = [{f"answer_info.{k}": v for k, v in row.pop("answer_info").items()} for row in rows]
        rows = [row | part for row, part in zip(rows, parts, strict=True)]
    for item, expected in zip(read(tmp_path, *rows).items, official, strict=True):
        assert (item.target, item.unknown, item.label, item.words) == (
            expected.target, expected.unknown, expected.label, expected.words
        )  # fmt: skip
        # whom a stereotype is about is in a file of its own, which other files lack
        assert item.groups == {k: v for k, v in expected.groups.items() if k != "target"}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": None}, "the right answer must be given"),
        ({"label": 4}, "'label' must name an answer by its number, letter or text, got '4'"),
        ({"label": "ash"}, "got 'ash'"),
        ({"answers": ["The oak", "The elm"]}, "three different answers, got 2"),
        ({"answers": ["The oak", "The oak", "Not known"]}, "three different answers, got 3"),
        ({"condition": "disambig"}, "context is disambig must be another than the unknown one"),
        (
            {"condition": "clear"},
            r"'condition' must be one of \['ambig', .*got 'clear'",
        ),
        ({"polarity": "left"}, "'polarity' must be one of"),
        ({"target": 2}, "must not be the unknown one, got answer 2"),
        ({"question": ""}, "column 'question' must have a text, got an empty cell"),
        ({"context": 3}, "column 'context' must have a text, got 3"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, changed: Any, message: str) -> None:
    with pytest.raises(DataError, match=rf"mine\.jsonl, line 2: .*{message}"):
        read(tmp_path, CLEAR, ROW | changed)


def test_answers_that_are_numbers_or_letters(tmp_path: Path) -> None:
    numbers = ["6", "7", "Not known"]
    assert single(tmp_path, answers=numbers, label=2, target="7").target == 1
    assert [
        item.label for item in read(tmp_path, CLEAR | {"answers": numbers, "label": 7}).items
    ] == [1]
    for answers, label in ((["2", "1", "Not known"], 2), (["B", "A", "Not known"], "A")):
        with pytest.raises(DataError, match=r"line 2: 'label' .* which may be meant as several"):
            read(tmp_path, CLEAR, ROW | {"answers": answers, "label": label})


def test_a_condition_is_not_guessed(tmp_path: Path) -> None:
    row = ROW | {"answers": ["El roble", "El olmo", "No se sabe"]}
    with pytest.raises(DataError, match=r"line 2: without a condition .*questions\.unknown=COLUMN"):
        read(tmp_path, CLEAR, row)
    items = read(tmp_path, CLEAR | {"unknown": 2}, row | {"unknown": 2}).items
    assert [item.ambiguous for item in items] == [False, True]
    items = read(tmp_path, CLEAR | {"condition": "disambig"}, row | {"condition": "ambig"}).items
    assert [item.unknown for item in items] == [2, 2]


def test_unclear_columns_of_answers_list_the_columns(tmp_path: Path) -> None:
    row = {"context": "c", "question": "q", "left": "a", "right": "b", "label": 0}
    with pytest.raises(DataError, match=r"three columns of answers .*none in 'context'.*'right'"):
        read(tmp_path, row)
    with pytest.raises(DataError, match="got 2 such sets of"):
        read(tmp_path, ROW | {"ans0": "a", "ans1": "b", "ans2": "c"})
