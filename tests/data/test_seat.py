"""SEAT's files: known by content, whose texts are of which word, and files that are no test."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from equipoise.data import seat
from equipoise.data.seat import PUBLISHED, read_tests, word_of, words_of
from equipoise.errors import DataError

TEST: dict[str, Any] = {
    "targ1": {"category": "Oaks", "examples": ["This is an oak.", "Oaks are here."]},
    "targ2": {"category": "Elms", "examples": ["This is an elm.", "Elms are here."]},
    "attr1": {"category": "Tall", "examples": ["This is tall."]},
    "attr2": {"category": "Small", "examples": ["This is small.", "It is low."]},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "seat").mkdir()
    return tmp_path / "seat"


def put(folder: Path, *, name: str = "trees", **lists: list[str]) -> None:
    content = TEST | {
        key: {"category": TEST[key]["category"], "examples": texts} for key, texts in lists.items()
    }
    (folder / f"{name}.jsonl").write_text(json.dumps(content, indent=2))


def test_words_of_templates() -> None:
    assert word_of("This is an oak.") == word_of("The oak is there.") == "oak"
    assert word_of("The person's name is Amy.") == word_of("Amy is a person.") == "amy"
    assert word_of("Here he is.") == word_of("He is a person.") == "he"
    assert word_of("There is his.") == "his"
    assert word_of("white woman") == "white woman"


def test_plurals_are_of_the_word_where_it_is_there() -> None:
    texts = ("This is a mosque.", "These are mosques.", "Those are women.", "This is a woman.")
    assert [*words_of(texts).values()] == ["mosque", "mosque", "woman", "woman"]
    assert words_of(["These are physics."]) == {"These are physics.": "physics"}
    assert [*words_of(["This is hers.", "This is her."]).values()] == ["hers", "her"]
    knives = words_of(["This is a knife.", "These are knives.", "A church is a thing.", "Churches"])
    assert [*knives.values()] == ["knife", "knife", "church", "church"]


def test_longer_texts_have_their_first_word() -> None:
    texts = ("John is an engineer, and works.", "Amy is an engineer, and works.")
    assert [*words_of(texts).values()] == ["john", "amy"]
    same = ("The engineer, who is John, works.", "The engineer, who is Amy, works.")
    assert len(set(words_of(same).values())) == 2


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_all_50_official_files() -> None:
    sentences, words = read_tests("all"), read_tests("words")
    assert (len(sentences), len(words)) == (31, 19)  # 8 hold sentences without saying so
    by_name = {test.name: test for test in (*sentences, *words)}
    assert len(by_name) == 50
    assert all(test.official for test in by_name.values())
    assert sum("sent-" not in test.name for test in sentences) == 8
    unequal = [name for name, test in by_name.items() if len(test.first) != len(test.second)]
    assert unequal == []
    for axis, names in PUBLISHED.items():
        assert {by_name[name].axis for name in names} == {axis}
        assert [test.name for test in read_tests(axis)] == sorted(names)


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_words_of_the_sentence_files_are_those_of_the_word_files() -> None:
    words = {test.name: test for test in read_tests("words")}
    missing = {}
    for test in read_tests("all"):
        listed = words.get(test.name.removeprefix("sent-"))
        sizes = [len({test.words[text] for text in side}) for side in (test.first, test.second)]
        if listed is not None and sizes != [len(listed.first), len(listed.second)]:
            missing[test.name] = sizes
    # published without a text of "sick"
    assert missing == {"sent-weat9": [6, 5]}
    (names,) = read_tests("sent-weat6")
    assert set(Counter(names.words.values()).values()) == {8}


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_ungrammatical_texts_are_as_many_as_is_said() -> None:
    verbs = "cherish fantastic attractive joyful adore glad celebrate humiliate horrific bothersome"
    for name in ("sent-religion1", "sent-religion1b", "sent-religion2", "sent-religion2b"):
        (test,) = read_tests(name)
        texts = (*test.first, *test.second, *test.attributes_a, *test.attributes_b)
        words = Counter(words_of(texts).values())
        counted = sum(words[word] for word in ("christianity", "islam", "judaism"))
        assert f"of {len(texts)} texts" in test.ungrammatical
        assert f"in {counted}" in test.ungrammatical
        if "1" in name:
            odd = sum(words[word] for word in (*verbs.split(), "hurtful", "jewish"))
            assert f"in {odd}, counted" in test.ungrammatical
    (nine,) = read_tests("sent-weat9")
    assert f"in {sum('always' in text for text in nine.attributes_b)} of" in nine.ungrammatical
    (six,) = read_tests("sent-weat6")
    mass = [text for text in six.attributes_a if "anagement" in text]
    odd = len([text for text in mass if not text.startswith("The management is")])
    assert f"in {odd} of" in six.ungrammatical


def test_an_official_file_is_known_under_any_name(data_folder: Path, folder: Path) -> None:
    shutil.copy(data_folder / "seat" / "sent-weat6.jsonl", folder / "mine.jsonl")
    (test,) = read_tests("sent-weat6")
    assert test.official
    assert test.source.use().verified
    assert test.source.use().name == "seat/mine.jsonl"
    assert test.ungrammatical


def test_a_file_of_the_users_own(folder: Path) -> None:
    put(folder)
    (test,) = read_tests("trees")
    assert (test.axis, test.official, test.ungrammatical) == ("other", False, "")
    assert test.words == {
        "This is an oak.": "oak", "Oaks are here.": "oak",
        "This is an elm.": "elm", "Elms are here.": "elm",
    }  # fmt: skip
    assert not test.source.use().verified
    assert read_tests(("trees",)) == (test,)


def test_what_is_no_test_is_refused(folder: Path) -> None:
    put(folder, targ1=["This is an oak.", "This is an oak."])
    with pytest.raises(DataError, match="once in all four lists, got 1 texts more than once"):
        read_tests("trees")
    put(folder, attr1=["This is an oak."])
    with pytest.raises(DataError, match="once in all four lists"):
        read_tests("trees")
    put(folder, targ2=["Oaks are there.", "This is an elm."])
    with pytest.raises(DataError, match="a word must be in one target list, got 1"):
        read_tests("trees")
    put(folder, attr2=[])
    with pytest.raises(DataError, match=r"attr2.examples must have 1 entries, got 0"):
        read_tests("trees")
    (folder / "trees.jsonl").write_text('{"targ1": ')
    with pytest.raises(DataError, match=r"seat/trees.jsonl"):
        read_tests("trees")
    (folder / "trees.jsonl").write_text("{}")
    with pytest.raises(DataError, match="must have a key 'targ1'"):
        read_tests("trees")


def test_names_that_are_not_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(folder)
    with pytest.raises(DataError, match="did you mean 'sent-weat6'"):
        read_tests("sent-weat66")
    with pytest.raises(DataError, match="did you mean 'religion'"):
        read_tests("religon")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataError, match="HF_HUB_OFFLINE=1 forbids downloading"):
        read_tests("sent-weat6")


def test_every_official_test_has_its_hash() -> None:
    pins = seat._pins()
    assert len(pins) == len(set(pins.values())) == 50
    assert {name for names in PUBLISHED.values() for name in names} <= set(pins)
