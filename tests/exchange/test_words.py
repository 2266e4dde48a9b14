from pathlib import Path

import pytest

from equipoise.data.sources import reading_from
from equipoise.data.stereoset import TARGETS
from equipoise.errors import DataError
from equipoise.exchange import words


def exchanged(text: str, target: str, new: str, keep: words.Span | None = None) -> str:
    return words.changed_text(text, words.changes_of_target(text, target, new, keep=keep))


@pytest.mark.parametrize(
    ("text", "target", "new", "expected"),
    [
        ("My friend is a plumber.", "plumber", "engineer", "My friend is an engineer."),
        ("An engineer came.", "engineer", "plumber", "A plumber came."),
        ("The policemen left.", "policeman", "civil servant", "The civil servants left."),
        ("He is from Iraq.", "Iraq", "Cape Verde", "He is from Cape Verde."),
        # official sentences are in small letters after the first
        ("The people of iraq sang.", "Iraq", "Cape Verde", "The people of cape verde sang."),
        ("Saudi arabian men sang.", "Saudi Arabian", "Russian", "Russian men sang."),
        ("Russian men sang.", "Russian", "Saudi Arabian", "Saudi arabian men sang."),
        ("Russian men like Bob.", "Russian", "Saudi Arabian", "Saudi Arabian men like Bob."),
        ("Chess-players rest.", "chess player", "tailor", "Tailors rest."),
        ("Ethiopia's coffee", "Ethiopia", "Peru", "Peru's coffee"),
        ("The Ethiopian sang.", "Ethiopia", "Peru", "The Ethiopian sang."),  # another word
        ("The secretary rests.", "secretary", "nurse", "The nurse rests."),
        ("Two nurses rest.", "nurse", "secretary", "Two secretaries rest."),
    ],
)
def test_article_number_and_case_follow(text: str, target: str, new: str, expected: str) -> None:
    assert exchanged(text, target, new) == expected


def test_what_is_kept_stays_and_its_place_is_known() -> None:
    text = "An engineer met a nurse engineer."
    span = (text.rindex("engineer"), len(text) - 1)
    changes = words.changes_of_target(text, "engineer", "cook", keep=span)
    new = words.changed_text(text, changes)
    assert new == "A cook met a nurse engineer."
    start, end = words.moved(span, changes)
    assert new[start:end] == "engineer"


def test_the_other_sex_is_everywhere_but_in_what_is_kept() -> None:
    text = "My mother said that she is kind to him."
    span = (text.index("kind"), len(text))
    changes = words.changes_of_sex(text, keep=span)
    assert words.changed_text(text, changes) == "My father said that he is kind to him."
    assert words.has_other_sex("mother")
    assert not words.has_other_sex("plumber")


def test_others_are_of_the_same_kind_and_never_the_target() -> None:
    listed = words.read_words(TARGETS)
    countries = listed.others("race", "eriteria")  # a spelling of the official file
    assert countries is not None
    assert "Peru" in countries
    assert not {"Eritrea", "Eriteria", "Peruvian"} & set(countries)
    assert listed.others("profession", "Iraq") is None
    assert listed.others("other", "Iraq") is None


def test_words_are_drawn_by_the_item_and_a_smaller_number_first() -> None:
    listed = [f"w{index}" for index in range(40)]
    four, two = (words.drawn(listed, count, id="a") for count in (4, 2))
    assert four[:2] == two
    assert len(set(four)) == 4
    assert words.drawn(listed, 4, id="b") != four
    assert sorted(words.drawn(listed, 99, id="a")) == sorted(listed)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"axes": {"race": {"country": ["A", ""]}}}', r"targets.json, axes.race.country.1"),
        ('{"axes": {"race": {"country": ["A", []]}}}', r"targets.json, axes.race.country.1"),
        ('{"axes": {"race": {"country": ["A"]}}}', r"targets.json, axes.race.country: "),
        ('{"axis": {}}', "targets.json, ax"),
        ("[", "targets.json"),
    ],
)
def test_a_file_of_words_that_cannot_be_used_is_refused(
    document: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "stereoset").mkdir()
    (tmp_path / TARGETS.path).write_text(document)
    with reading_from(tmp_path), pytest.raises(DataError, match=message):
        words.read_words(TARGETS)


def test_words_of_the_users_own_come_first(tmp_path: Path) -> None:
    (tmp_path / "stereoset").mkdir()
    (tmp_path / TARGETS.path).write_text('{"axes": {"race": {"moon": ["Iraq", "Europa", "Io"]}}}')
    with reading_from(tmp_path):
        assert words.read_words(TARGETS).others("race", "Iraq") == ("Europa", "Io")
