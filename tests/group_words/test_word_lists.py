"""Lists of words: the built-in file, a user's own, and files that cannot be lists."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from equipoise.errors import DataError, RecipeError
from equipoise.group_words.counterfactuals import substitute, swapped
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists, word_lists_use

ALL = ("gender", "names", "race", "religion", "nationality")
PAIR = {"cats": ["cat", "cats"], "dogs": ["dog", "dogs"]}


def pet_lists(groups: Any, **more: Any) -> WordLists:
    return WordLists.of({"axes": {"pets": groups}, **more}, ["pets"])


def test_the_built_in_lists_are_recorded() -> None:
    use = word_lists_use(None)
    assert (use.name, use.verified, use.licence) == (
        "word_lists.json",
        True,
        "Apache-2.0 (own list)",
    )
    assert len(use.sha256) == 64


def test_the_built_in_lists_have_five_axes() -> None:
    sizes = {axis: len(groups) for axis, groups in read_word_lists(None, ALL).groups.items()}
    assert sizes == {"gender": 2, "names": 2, "race": 6, "religion": 6, "nationality": 47}


def test_user_file(tmp_path: Path) -> None:
    groups = {"cats": ["cat", "Tom [exact]"], "dogs": [["dog", "hound"], "Rex [exact]"]}
    file = tmp_path / "own.json"
    file.write_text(json.dumps({"axes": {"pets": groups}}), encoding="utf-8")
    use = word_lists_use(str(file))
    assert (use.name, use.verified, use.licence[:9]) == ("own.json", None, "not known")
    text = swapped(
        "Tom is a cat, not a hound named TOM.", read_word_lists(str(file), ["pets"]), seed=0
    )
    assert text == "Rex is a dog, not a cat named TOM."


def test_the_longest_word_wins_and_phrases_left_unchanged_are_no_mention() -> None:
    groups = {"cats": ["cat", "house cat"], "dogs": ["dog", "guard dog"]}
    lists = pet_lists(groups, unchanged=["hot dog"])
    text = "A house cat ate a hot dog; Cats, Cat"
    assert swapped(text, lists, seed=0) == "A guard dog ate a hot dog; Cats, Dog"
    assert swapped("a house\n\ncat", lists, seed=0) == "a house\n\ndog"
    curly = pet_lists({"cats": ["o’cat"], "dogs": ["dog"]})
    assert swapped("o'cat, O’cat", curly, seed=0) == "dog, Dog"


def test_words_of_unselected_axes_are_not_split() -> None:
    race = read_word_lists(None, ["race"])
    assert find_mentions("South African and African food, Saudi Arabia", race)[0].start == 18
    assert len(find_mentions("South African and African food, Saudi Arabia", race)) == 1
    both = read_word_lists(None, ["nationality"])
    assert [m.group for m in find_mentions("Native American, American", both)] == ["america"]


@pytest.mark.thorough
def test_a_word_on_two_axes_has_the_meaning_of_the_first() -> None:
    for axes in (("gender", "religion"), ("religion", "gender")):
        (mention,) = find_mentions("The priest", read_word_lists(None, axes))
        assert mention.axis == axes[0]


def test_a_text_about_each_group() -> None:
    """What a prompt for generation needs."""
    lists = read_word_lists(None, ["religion"])
    text = "A Christian and other Christians at a church. They are"
    mentions = find_mentions(text, lists, unfinished=True)
    about = {
        group: substitute(text, mentions, [group] * len(mentions))
        for group in lists.groups["religion"]
    }
    assert len(about) == 6
    assert about["Jewish"] == "A Jew and other Jews at a synagogue. They are"
    assert about["Christian"] == text


def test_used_lists_can_be_copied_and_pickled() -> None:
    lists = read_word_lists(None, ["gender"])
    expected = swapped("The man saw", lists, seed=0)
    for again in (pickle.loads(pickle.dumps(lists)), copy.deepcopy(lists)):  # our own
        assert again == lists
        assert swapped("The man saw", again, seed=0) == expected


def test_lists_survive_json() -> None:
    lists = read_word_lists(None, ["gender", "race"])
    assert WordLists.of(lists.as_json, lists.axes) == lists
    assert lists != read_word_lists(None, ["gender"])


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ([], r"got \[\]"),
        ({"axes": {}}, r"axes.*got \{\}"),
        ({"axes": {"pets": PAIR}, "people": []}, "people"),
        ({"axes": {"pets": {"cats": ["cat"]}}}, r"axes\.pets.*\{'cats': 1\}"),
        ({"axes": {"pets": {"cats": [], "dogs": []}}}, r"\{'cats': 0, 'dogs': 0\}"),
        ({"axes": {"pets": PAIR | {"dogs": ["dog"]}}}, r"\{'cats': 2, 'dogs': 1\}"),
        ({"axes": {"pets": ["cat"]}}, r"got \['cat'\]"),
        ({"axes": {"pets": PAIR | {"dogs": ["dog", 3]}}}, "got 3"),
        ({"axes": {"pets": PAIR | {"dogs": ["dog", []]}}}, r"got \[\]"),
        ({"axes": {"pets": PAIR}, "unchanged": [1]}, r"unchanged\.0.*got 1"),
        ({"axes": {"pets": PAIR}, "unchanged": ["Cat"]}, "'Cat'"),
        ({"axes": {"pets": PAIR}, "unchanged": [""]}, "''"),
        ({"axes": {"pets": PAIR | {"dogs": ["dog", "dogs [verb]"]}}}, "'dogs \\[verb\\]'.*'verb'"),
    ],
)
def test_invalid_lists(document: Any, value: str) -> None:
    with pytest.raises(DataError, match=value):
        WordLists.of(document, ["pets"])


@pytest.mark.parametrize(
    "word", ["", " ", "-", " - ", "[noun]", " dogs", "old  dogs", "dogs.", "dogs\n", "(dogs)"]
)
def test_unmatchable_word_is_refused(word: str) -> None:
    with pytest.raises(DataError, match=r"axes\.pets\.dogs\.2: .*begin and end with a letter"):
        pet_lists(PAIR | {"dogs": ["dog", word]})


@pytest.mark.parametrize(
    ("cats", "dogs"),
    [
        (["cat"], ["cat"]),
        (["CAT"], ["cat"]),
        (["old cat"], ["Old-Cat"]),
        (["ma'am"], ["ma’am"]),
        (["cat", "cat"], ["dog", "hound"]),
        (["cat", "Cat"], ["dog", "hound"]),
        (["cat [noun]", "cat [noun]"], ["dog", "hound"]),
        (["cat [noun]"], ["cat"]),
        ([["cat", "cat"]], ["dog"]),
    ],
)
def test_a_word_is_listed_once_whatever_its_case_and_hyphens(cats: Any, dogs: Any) -> None:
    with pytest.raises(DataError, match="listed once"):
        pet_lists({"cats": cats, "dogs": dogs})


def test_marked_sense_is_no_duplicate() -> None:
    pet_lists({"cats": ["cat [noun]", "cat", "cat [written]"], "dogs": ["dog", "doggy", "hound"]})


def test_missing_axis() -> None:
    with pytest.raises(RecipeError, match=r"no axis 'gendr'; did you mean 'gender'\?"):
        read_word_lists(None, ["gendr"])


def test_unreadable_files(tmp_path: Path) -> None:
    for read in (lambda file: read_word_lists(file, ["pets"]), word_lists_use):
        with pytest.raises(DataError, match=r"none\.json"):
            read(str(tmp_path / "none.json"))
        (tmp_path / "cut.json").write_text('{"axes": ')
        with pytest.raises(DataError, match=r"cut\.json, line 1, column \d+: must be JSON"):
            read(str(tmp_path / "cut.json"))
