"""Texts about another group: what is found, what is put, and lists that cannot be used."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.data.wordings import counterparts
from equipoise.errors import DataError
from equipoise.models.counterparts import Counterparts, applied

LISTS = Counterparts.parsed(counterparts())
GENDER = LISTS.only(["gender"])
FAITH = LISTS.only(["religion"])


def swapped(lists: Counterparts, text: str, *, shift: tuple[int, ...] = (1,)) -> str:
    return applied(text, lists.changes(text, lists.found(text), shift))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He said the man left.", "She said the woman left."),
        ("HIS UNCLE", "HER AUNT"),
        ("The woman's sons and the brothers' house", "The man's daughters and the sisters' house"),
        ("I saw her and took her bag.", "I saw him and took his bag."),
        ("I gave her the bag; ask her.", "I gave him the bag; ask him."),
        ("His bag is his.", "Her bag is hers."),
        ("The bag is hers, not his", "The bag is his, not her"),  # what follows is not known yet
        ("My mother-in-law met an actor", "My father-in-law met an actress"),
        ("An uncle and a nephew", "An aunt and a niece"),
        ("The manager nursed theory", "The manager nursed theory"),
    ],
)
def test_gender_by_hand(text: str, expected: str) -> None:
    assert swapped(GENDER, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Christian church", "A Muslim mosque"),
        ("The Christian was there", "The Muslim was there"),
        ("Christians like churches", "Muslims like mosques"),
        ("Most MUSLIMS", "Most JEWS"),
        ("muslim", "muslim"),  # a name without its capital is not one
        ("A Muslim said", "A Jewish said"),
    ],
)
def test_faiths_by_hand(text: str, expected: str) -> None:
    assert swapped(FAITH, text) == expected


def test_an_article_goes_with_its_word() -> None:
    race = LISTS.only(["race"])
    assert swapped(race, "A white person and an Asian man") == "An Asian person and a Hispanic man"
    assert swapped(race, "an Asian man", shift=(5,)) == "a white man"


def test_the_longest_entry_wins_and_axes_combine() -> None:
    text = "The Native American woman"
    (race, woman) = LISTS.found(text)
    assert text[race.start : race.end] == "Native American"
    shifts = LISTS.shifts((race, woman), most=None, seed=0)
    assert len(shifts) == 2 * 6 - 1
    texts = {swapped(LISTS, text, shift=one) for one in shifts}
    assert len(texts) == 11
    assert "The Black man" in texts


def test_a_sample_is_seeded_and_a_part_of_all() -> None:
    found = LISTS.found("The Kenyan team")
    every = LISTS.shifts(found, most=None, seed=0)
    some = [LISTS.shifts(found, most=5, seed=seed) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]
    assert len(set(some[0])) == 5
    assert set(some[0]) < set(every)


@given(st.sampled_from(["gender", "religion", "race", "nationality"]), st.data())
def test_the_counterparts_of_a_counterpart_are_the_same_texts(axis: str, data: Any) -> None:
    lists = LISTS.only([axis])
    (_, groups) = lists.axes[0]
    members = [
        word
        for _, group in groups
        for member in group
        for word in member
        if not word.startswith("=")
    ]
    text = f"We met the {data.draw(st.sampled_from(members))}'s friend"
    found = lists.found(text)
    shifts = lists.shifts(found, most=None, seed=0)
    family = {text, *(applied(text, lists.changes(text, found, one)) for one in shifts)}
    other = data.draw(st.sampled_from(sorted(family)))
    again = lists.found(other)
    if {(one.axis, one.member) for one in again} == {(one.axis, one.member) for one in found}:
        back = {other, *(applied(other, lists.changes(other, again, one)) for one in shifts)}
        assert back == family


def test_every_form_of_every_group_is_found_as_its_own_group() -> None:
    for a, (_, groups) in enumerate(LISTS.axes):
        for g, (_, members) in enumerate(groups):
            for word in (form for member in members for form in member if form[0] != "="):
                (found,) = LISTS.found(f"({word})")
                assert (found.axis, found.group) == (a, g), word


PAIR = {"female": [["woman", "women"]], "male": [["man", "men"]]}


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({}, "must have an axis, got 0"),
        ({"gender": {"female": [["woman"]]}}, "two groups or more, got 1"),
        ({"gender": {"female": [], "male": []}}, "must have members, got 0"),
        ({"gender": PAIR | {"male": [["man"]]}}, "as many members and forms each"),
        ({"gender": PAIR | {"male": [["man", ""]]}}, "must not be empty .* got ''"),
        ({"gender": PAIR | {"male": [["man", " men"]]}}, "got ' men'"),
        ({"gender": PAIR | {"male": [["man", "woman"]]}}, "'woman' must be listed once"),
        ({"gender": PAIR, "kin": PAIR}, "'woman' must be listed once, .* 'gender.female'"),
        (
            {"gender": PAIR | {"male": [["man", "Woman"]]}},
            "first capital, 'woman' is in .* and 'Woman' in",
        ),
        (
            {"a": PAIR, "b": {"x": [["Women"]], "y": [["z"]]}},
            "first capital, 'women' is in .* and 'Women' in",
        ),
        ({"gender": PAIR | {"male": [[]]}}, r"a list of forms, got \[\]"),
        ({"gender": PAIR | {"male": "man"}}, "list of members, got 'man'"),
        ({"gender": ["man"]}, "must map groups"),
        (["man"], "must map axes"),
    ],
)
def test_lists_that_cannot_be_used(lists: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Counterparts.parsed(lists)


def test_an_axis_that_is_not_there() -> None:
    with pytest.raises(DataError, match=r"the axis 'age', have \['gender'"):
        LISTS.only(["age"])


def test_lists_survive_json() -> None:
    assert Counterparts.parsed(LISTS.as_json) == LISTS
    assert len(LISTS.sha256) == 64
    assert LISTS.sha256 != GENDER.sha256
