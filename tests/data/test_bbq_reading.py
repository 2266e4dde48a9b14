"""Reading BBQ's files; named apart from the benchmark's own tests."""

import math
from pathlib import Path
from typing import Any

import pytest
from bbq_rows import ELM, OAK, UNKNOWN, metadata, row, rows, write, write_metadata

from equipoise.data.bbq import (
    CATEGORIES,
    METADATA,
    BbqItem,
    at_hand,
    read_items,
    source,
    sources,
)
from equipoise.errors import DataError

LINE = row(5, polarity="neg", condition="disambig", right=OAK)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(tmp_path, rows())
    return tmp_path


def read(folder: Path, *content: Any) -> list[BbqItem]:
    write(folder, content)
    return read_items(("Age",))


def test_read_item(folder: Path) -> None:
    (item,) = read(folder, LINE)
    assert (item.id, item.category) == ("Age/5", "Age")
    assert item.answers == (ELM, UNKNOWN, OAK)
    assert item.words == ("elm", "Not known", "oak")
    assert (item.label, item.unknown, item.target, item.ruled) == (2, 1, 2, 2)
    assert not item.ambiguous
    assert item.groups == {
        "category": "Age", "condition": "disambig", "polarity": "neg", "question": "Age/1",
        "target": "old",
    }  # fmt: skip
    assert [item.lean(index) for index in range(3)] == [-1.0, 0.0, 1.0]
    assert math.isnan(item.lean(None))


def test_nonnegative_question_flips_the_target(folder: Path) -> None:
    (item,) = read(folder, row(5, polarity="nonneg", condition="ambig", right=UNKNOWN))
    assert (item.target, item.ambiguous) == (0, True)
    assert [item.lean(index) for index in range(3)] == [1.0, 0.0, -1.0]


def test_proper_names_are_a_category(
    folder: Path,
) -> None:
    for number, category in ((25, "Age"), ("26", "Age (names)"), ("x", "Age")):
        (item,) = read(folder, LINE | {"question_index": number})
        assert item.groups["category"] == category
        assert item.groups["question"] == f"Age/{number}"
        assert item.category == "Age"
    write(folder, [LINE | {"question_index": 30, "category": "Race_x_gender"}], "Race_x_gender")
    write_metadata(folder, metadata([LINE | {"question_index": 30, "category": "Race_x_gender"}]))
    (item,) = read_items(("Race_x_gender",))
    assert item.groups["category"] == "Race_x_gender"


def test_template_braces_are_stripped(folder: Path) -> None:
    assert read(folder, LINE | {"ans2": "the {oak}"})[0].answers[2] == "the oak"


@pytest.mark.parametrize("context", ["The {oak fell.", "The oak} fell.", "{The {oak fell.}"])
def test_braces_without_partner_are_taken_out_of_a_context(folder: Path, context: str) -> None:
    cleaned, kept = read(
        folder, LINE | {"context": context}, LINE | {"example_id": 6, "context": "{a} {b}"}
    )
    assert (cleaned.context, cleaned.cleaned) == ("The oak fell.", True)
    assert (kept.context, kept.cleaned) == ("{a} {b}", False)  # text: each has its partner


def test_rows_without_answer_info(folder: Path) -> None:
    ambiguous = row(3, polarity="neg", condition="ambig", right=UNKNOWN)
    for silent in ({"answer_info": None}, {"answer_info": {}}):
        disambiguated, open_ = read(folder, LINE | silent, ambiguous | silent)
        assert (disambiguated.unknown, disambiguated.target) == (None, None)
        assert disambiguated.words == ("", "", "")
        assert (open_.unknown, open_.target) == (open_.label, None)
        assert math.isnan(open_.lean(0))
    without = {key: value for key, value in LINE.items() if key != "answer_info"}
    assert read(folder, without)[0].unknown is None


def test_metadata_overrides_the_rule(folder: Path) -> None:
    content = rows()
    metadata_rows = metadata(content)
    elsewhere = next(
        index for index, line in enumerate(content) if line["question_polarity"] == "neg"
    )
    place = [content[elsewhere][f"ans{index}"] for index in range(3)].index(ELM)
    metadata_rows[elsewhere] |= {"target_loc": place, "label_type": "name"}
    metadata_rows[1] |= {"target_loc": "NA"}
    write_metadata(folder, [*metadata_rows, metadata_rows[0]])  # the official file has rows twice
    items = read_items(("Age",))
    assert items[elsewhere].target == place != items[elsewhere].ruled
    assert items[elsewhere].groups["category"] == "Age (names)"
    assert items[1].target is None
    assert items[1].ruled is not None
    others = [item for index, item in enumerate(items) if index not in (1, elsewhere)]
    assert [other.target for other in others] == [other.ruled for other in others]


def test_metadata_and_rule_agree(folder: Path) -> None:
    by_rule = read_items(("Age",))
    write_metadata(folder, metadata(rows()))
    assert read_items(("Age",)) == by_rule


def test_uncorrected_metadata_is_refused(folder: Path) -> None:
    """The old file turns no non-negative question: more than half differ from the rule."""
    metadata_rows = metadata([line | {"question_polarity": "neg"} for line in rows()])
    metadata_rows[:12] = metadata(rows()[:12])  # half of them: as far as it may differ
    write_metadata(folder, metadata_rows)
    assert len(read_items(("Age",))) == 24
    metadata_rows[6]["target_loc"] = 0  # the oak
    write_metadata(folder, metadata_rows)
    with pytest.raises(DataError, match=r"in 7 of 12, the first is 'Age/6'"):
        read_items(("Age",))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"target_loc": "3"}, "line 4: .* got '3'"),
        ({"label_type": "nick"}, "line 4: .* got 'nick'"),
        ({"example_id": "1", "target_loc": "0"}, "example Age/1/1 must have the same"),
    ],
)
def test_invalid_metadata_row_names_the_line(
    folder: Path, changed: dict[str, str], message: str
) -> None:
    metadata_rows = metadata(rows())
    metadata_rows[2] |= changed
    write_metadata(folder, metadata_rows)
    with pytest.raises(DataError, match=message):
        read_items(("Age",))


def test_missing_metadata_row(folder: Path) -> None:
    write_metadata(folder, metadata(rows())[:-1])
    with pytest.raises(
        DataError, match=r"metadata\.csv must have a row for example 'Age/23' of question 2"
    ):
        read_items(("Age",))


def test_metadata_target_is_unknown(folder: Path) -> None:
    metadata_rows = metadata(rows())
    metadata_rows[0] |= {"target_loc": 2}
    write_metadata(folder, metadata_rows)
    with pytest.raises(DataError, match=r"the target of 'Age/0' must be a person, got .* 2"):
        read_items(("Age",))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"label": 3}, "label must be .*got 3"),
        ({"label": True}, "label must be .*got True"),
        ({"label": None}, "label must be .*got None"),
        ({"label": 1}, "the label of a question with disambig context must be a person"),
        ({"context_condition": "ambig"}, "with ambig context must be the unknown answer"),
        ({"context_condition": "ambiguous"}, "context_condition must be .*got 'ambiguous'"),
        ({"question_polarity": "negative"}, "question_polarity must be .*'neg' or 'nonneg'"),
        ({"category": "Ages"}, "category must be 'Age', got 'Ages'"),
        ({"question": " "}, "question must be .*got a blank text"),
        ({"ans1": None}, "ans1 must be a text, got None"),
        ({"ans1": ["secret"]}, "ans1 must be a text, got a list"),
        ({"example_id": None}, "example_id must be a number, got None"),
        ({"question_index": ""}, "question_index must be a number, got a blank text"),
        ({"answer_info": ["secret"]}, "answer_info must be an object, got a list"),
        ({"answer_info": {"ans0": "secret"}}, r"answer_info\.ans0 must be a list"),
        ({"additional_metadata": 3}, "additional_metadata must be an object, got 3"),
        ({"additional_metadata": {"stereotyped_groups": "secret"}}, "groups must be a list"),
    ],
)
def test_invalid_row_names_file_and_line(
    folder: Path, changed: dict[str, Any], message: str
) -> None:
    content = rows()[:4]
    with pytest.raises(DataError, match=message) as caught:
        read(folder, *content, LINE | changed)
    assert "bbq/Age.jsonl, line 5" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_other_faults_name_the_line(folder: Path) -> None:
    with pytest.raises(DataError, match="example 'Age/5' must be there once"):
        read(folder, LINE, LINE)
    with pytest.raises(DataError, match="line 2 must be an object, got a list"):
        read(folder, LINE, [1])
    without = {key: value for key, value in LINE.items() if key != "context"}
    with pytest.raises(DataError, match=r"line 1 must have a key '\w+', got"):
        read(folder, without)
    file = write(folder, [LINE])
    file.write_text(file.read_text() + "\n{")
    with pytest.raises(DataError, match="line 3, column 2: must be JSON"):
        read_items(("Age",))


def test_files(folder: Path) -> None:
    assert at_hand() == ("Age",)
    assert sources(("Age",)) == (source("Age"),)
    assert sources(("Age", "SES")) == (source("Age"), source("SES"), METADATA)  # SES is fetched
    write_metadata(folder, metadata(rows()))
    assert sources(("Age",)) == (source("Age"), METADATA)
    (folder / "bbq" / "Age.jsonl").unlink()
    assert at_hand() == CATEGORIES
    assert len(CATEGORIES) == 11
    with pytest.raises(DataError, match="forbids downloading"):
        read_items(("Age",))


@pytest.mark.thorough
def test_official_files(data_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_DATA", str(data_folder))
    counts = {"Age": 3680, "Nationality": 3080, "Physical_appearance": 1576, "Religion": 1200}
    for category, count in counts.items():
        assert source(category).use().verified
        items = read_items((category,))
        assert len(items) == count
        assert all(item.target is not None for item in items)
        assert len({item.groups["question"] for item in items}) == 25
        assert {item.groups["category"] for item in items} == {category}
    disambiguated = [item for item in read_items(("Physical_appearance",)) if not item.ambiguous]
    assert sum(item.label == item.target for item in disambiguated) == 426  # of 788: see the faults
