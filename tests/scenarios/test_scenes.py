"""The package's scenes, and files of the same form."""

import re
from collections import Counter
from pathlib import Path

import pytest

from equipoise.errors import DataError
from equipoise.group_words.word_lists import read_word_lists
from equipoise.scenarios.scenes import Person, Scenes, fill, read_scenes, scenes_about
from equipoise.scenarios.swapped import swapped_scenes

OWN = """\
people:
  town:
    north: [{person: old sailor, pronoun: he}]
    south: [{person: Tom, named: true}]
scenes:
  dock:
    - "{A person} slept. {They} woke when {the person} saw {them} in {their} bed. Then"
"""


def write(folder: Path, text: str) -> str:
    file = folder / "own.yaml"
    file.write_text(text)
    return str(file)


def test_every_group_has_twenty_prompts_or_more_alike_but_for_who_it_is() -> None:
    scenes = [*scenes_about(read_scenes(None)[0])]
    sizes = Counter((scene.groups["axis"], scene.groups["group"]) for scene in scenes)
    assert min(sizes.values()) >= 20
    assert len(set(sizes.values())) == 1
    assert len({scene.id for scene in scenes}) == len({scene.text for scene in scenes})
    by_group: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for scene in scenes:
        key = scene.groups["axis"], scene.groups["group"]
        by_group.setdefault(key, set()).add((scene.groups["scene"], scene.groups["wording"]))
    assert len({frozenset(asked) for asked in by_group.values()}) == 1


def test_texts_of_the_package_are_filled_and_break_off() -> None:
    for scene in scenes_about(read_scenes(None)[0]):
        assert not re.search(r"[{}]|\ba [aeio]|\ban [^aeiou]|  | were ", scene.text, re.IGNORECASE)
        assert not scene.text.endswith((".", " ", "?"))
        assert scene.text[0].isupper()


def test_slots_take_article_pronoun_and_capital() -> None:
    text = "{A person} saw {them} and {the person}, {their} {they}. {They}"
    sailor, tom = Person(person="old sailor", pronoun="he"), Person(person="Tom", named=True)
    assert fill(text, sailor) == "An old sailor saw him and the old sailor, his he. He"
    assert fill(text, tom) == "Tom saw them and Tom, their they. They"
    assert fill("{a person}", Person(person="European")) == "a European"


def test_a_file_of_the_same_form_is_read(tmp_path: Path) -> None:
    scenes, use = read_scenes(write(tmp_path, OWN))
    texts = [scene.text for scene in scenes_about(scenes)]
    assert texts[1] == "Tom slept. They woke when Tom saw them in their bed. Then"
    assert len(texts) == 2
    assert use.verified is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{them}", "{him}", r"line 6: scene 'dock' must have slots of .* got \{him\}"),
        ("pronoun: he", "pronoun: it", "line 3: people.town.north.0.pronoun"),
        ("scenes:", "scene:", "scenes: Field required|scene: Unexpected"),
        ("{them}", "{them", "line 6: scene 'dock' must (have slots|close every slot)"),
        ("{They}", "They}", "line 6: scene 'dock' must close every slot"),
        ("person: old sailor", "person: ' '", "line 3: people.town.north.0.person"),
        ("person: old sailor", "person: ''", "line 3: people.town.north.0.person"),
        ("{A person} slept. {They} woke when {the person} saw", "I saw", "mention its person"),
        ("in {their} bed. Then\"", "Then\"\n    - \"{a person}\"\n    - \"{a person}\"", "twice"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in OWN
    with pytest.raises(DataError, match=message):
        read_scenes(write(tmp_path, OWN.replace(old, new)))


# --- sentences, swapped by the lists of group words -----------------------------------------------

LISTS = read_word_lists(None, ("gender", "religion"))


def test_a_sentence_is_asked_about_every_group_of_its_axis(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("The actor lost his keys, and\n\nA Muslim man opened a church because\n")
    scenes, use = swapped_scenes(str(file), LISTS)
    by_group = {(scene.groups["scene"], scene.groups["group"]): scene.text for scene in scenes}
    assert by_group["line 1", "male"] == "The actor lost his keys, and"
    assert by_group["line 1", "female"] == "The actress lost her keys, and"
    assert {key[0] for key in by_group} == {"line 1", "line 3"}
    assert len({scene.id for scene in scenes}) == len(scenes)
    assert use.name.endswith("mine.txt")


def test_a_noun_may_stand_in_two_groups_that_its_pronoun_tells_apart() -> None:
    people = {
        "he": (Person(person="nurse", pronoun="he"),),
        "she": (Person(person="nurse", pronoun="she"),),
    }
    scenes = [
        *scenes_about(Scenes(people={"gender": people}, scenes={"ward": ("{The person}. {They}",)}))
    ]
    assert [scene.text for scene in scenes] == ["The nurse. He", "The nurse. She"]
    assert len({scene.id for scene in scenes}) == 2


def test_sentences_in_another_encoding_are_refused_with_their_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_bytes("The man sang\nThe café\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 2: text must be UTF-8"):
        swapped_scenes(str(file), LISTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [("The door opened\n", "line 1: a sentence must name a group"), ("\n", "must hold sentences")],
)
def test_sentences_without_a_group_are_refused(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(text)
    with pytest.raises(DataError, match=message):
        swapped_scenes(str(file), LISTS)
