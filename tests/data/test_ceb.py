"""CEB's numbered questions: official files counted, small files of each form, and wrong ones."""

from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from ceb_rows import Row, put, recognition, selection

from equipoise.data import ceb
from equipoise.data.ceb import TYPES, ChoicePart, alike, read_questions
from equipoise.data.sources import reading_from
from equipoise.errors import DataError

#: Part to its questions and the templates or contexts they are from.
COUNTS = {
    "recognition_s": (786, 101), "recognition_t": (800, 104), "selection_s": (393, 101),
    "selection_t": (400, 104), "crows_pairs": (400, 400), "reddit_bias": (1000, 1000),
    "stereoset": (960, 957), "winobias": (792, 238),
}  # fmt: skip


@pytest.mark.parametrize("part", get_args(ChoicePart))
def test_official_files(part: ChoicePart, data_folder: Path) -> None:
    with reading_from(data_folder):
        read = read_questions(part, TYPES)
        assert all(file.use().verified for file in ceb.sources(part, TYPES).values())
    templates = {question.groups["template"] for question in read.questions}
    assert (len(read.questions), len(templates)) == COUNTS[part]
    for question in read.questions:
        assert question.prompt(range(len(question.options))).endswith(question.after)
        assert all("1. " not in option[:3] for option in question.options)
    if part.startswith("selection"):
        # `target` is the option of the prompt whose text is `sentence[0]`, half of them second
        seconds = sum(question.target == 1 for question in read.questions)
        assert abs(seconds - len(read.questions) / 2) < 2


def test_official_rows_on_gender_without_a_type_are_on_gender(data_folder: Path) -> None:
    with reading_from(data_folder):
        questions = read_questions("reddit_bias", TYPES).questions
    kinds = Counter((question.groups["axis"], question.target) for question in questions)
    assert kinds["gender", 0] == kinds["gender", 1] == 100


def read(folder: Path, rows: list[Row], part: ChoicePart = "recognition_s") -> ceb.CebQuestions:
    name = {"recognition_s": "Recognition-S/age", "selection_s": "Selection-S/age"}.get(
        part, "RB/redditbias"
    )
    put(folder, f"CEB-{name}.json", rows)
    with reading_from(folder):
        return read_questions(part, ("age",))


def test_a_question_and_its_orders(tmp_path: Path) -> None:
    (question,) = read(tmp_path, [recognition("The oak was slow.", 2)]).questions
    assert (question.id, question.target) == ("age/1", 1)
    assert question.judged == ("The oak was slow.",)
    assert "Two trees stood there. The oak was slow." in question.texts
    turned = question.prompt((1, 0))
    assert "? 1. No, it's an anti-stereotype; 2. Yes, it's a stereotype. Return" in turned


def test_texts_of_a_selection_stand_in_the_order_of_the_options(tmp_path: Path) -> None:
    rows = [selection("An oak is slow.", "An elm is slow.", target) for target in (1, 2)]
    first, second = read(tmp_path, rows, "selection_s").questions
    assert first.judged == ("An oak is slow.", "An elm is slow.")
    assert second.judged == ("An elm is slow.", "An oak is slow.")
    assert (first.target, second.target) == (0, 1)
    assert second.options == ("An elm is slow", "An oak is slow")


def test_rows_without_one_answer_are_left_out_and_told(tmp_path: Path) -> None:
    same = [recognition("The oak was slow.", target) for target in (1, 2)]
    kept = recognition("The elm was slow.", 1)
    result = read(tmp_path, [*same, kept, kept])
    assert [question.id for question in result.questions] == ["age/3"]
    assert [note.split(" rows of ")[0] for note in result.notes] == ["left out: 2", "left out: 1"]
    twice = read(
        tmp_path,
        [selection("An oak.", "An oak.", 1), selection("An oak.", "An elm.", 1)],
        "selection_s",
    )
    assert [question.id for question in twice.questions] == ["age/2"]
    with pytest.raises(DataError, match="questions with one answer, got none in 2 rows"):
        read(tmp_path, same)


def test_a_type_that_is_nan_is_gender(tmp_path: Path) -> None:
    row = recognition("The oak was slow.", 1) | {"type": float("nan")}
    (question,) = read(tmp_path, [row], "reddit_bias").questions
    assert "NaN" in (tmp_path / "ceb/CEB-RB/redditbias.json").read_text()
    assert question.groups["axis"] == "gender"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"label": "unkind"}, r"\[0\]\.label must be 'stereotype'.* got 'unkind'"),
        ({"target": None}, r"\[0\]\.target must be a whole number"),
        ({"target": 2}, "target must be 1 of the label 'stereotype', got 2"),
        ({"prompt": "Is it? 1. Yes"}, "must hold a quoted sentence, got none"),
        ({"prompt": 'It is\n"an oak"\n or not'}, "must end in numbered options"),
        ({"sentence": " "}, "must be a text that is not blank"),
    ],
)
def test_wrong_rows_are_named(change: Row, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=sentence):
        read(tmp_path, [recognition("The oak was slow.", 1) | change])


def test_a_row_without_target_an_empty_and_a_missing_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    row = recognition("The oak was slow.", 1)
    del row["target"]
    with pytest.raises(DataError, match="must have a key 'target'"):
        read(tmp_path, [row])
    with pytest.raises(DataError, match="must have 1 entries, got 0"):
        read(tmp_path, [])
    (tmp_path / "ceb/CEB-Recognition-S/age.json").write_text("")
    with reading_from(tmp_path), pytest.raises(DataError, match="must hold data, got an empty"):
        read_questions("recognition_s", ("age",))
    with reading_from(tmp_path), pytest.raises(DataError, match=r"gender\.json must be in folder"):
        read_questions("recognition_s", ("gender",))


@pytest.mark.parametrize("change", [{"label": ["anti-stereotype", "stereotype"]}, {"target": 2}])
def test_a_selection_that_contradicts_itself_is_refused(change: Row, tmp_path: Path) -> None:
    row = selection("An oak is slow.", "An elm is slow.", 1) | change
    with pytest.raises(DataError, match="must be the first sentence, and labelled"):
        read(tmp_path, [row], "selection_s")


def test_contexts_of_one_template_are_alike() -> None:
    contexts = (
        "Ann and Bob were sitting under a tall oak and talked about rain.",
        "Sue and Tom were sitting under a tall oak and talked about rain.",
        "Kim walked home in the rain.",
        "Two dogs ran into the long field.",
    )
    names = alike(contexts)
    assert names[0] == names[1]
    assert len(set(names)) == 3
    assert alike(contexts[::-1]) == names[::-1]
