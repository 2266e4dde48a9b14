"""Texts about another group: by hand, and the same set from each of its members."""

import copy
import pickle
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.group_words.counterpart_text import Exchangeable, applied
from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.group_words import bare
from equipoise.group_words.wordings import counterparts

LISTS = Counterparts.parsed(counterparts())
#: Words whose finding depends on others, among words that decide it.
NEARBY = [
    "her",
    "his",
    "him",
    "hers",
    "Christian",
    "Jewish",
    "Jew",
    "black",
    "white",
    "Black",
    "Asian",
    "American",
    "African",
    "Native",
    "French",
    "Chinese",
    "people",
    "men",
    "woman",
    "a",
    "an",
    "the",
    "and",
    "said",
    "of",
    "lies",
    "bag",
    ".",
    ",",
    "!",
    "(",
]
GENDER = LISTS.only(["gender"])
FAITH = LISTS.only(["religion"])
RACE = LISTS.only(["race"])


def texts(
    lists: Counterparts, text: str, *, most: int | None = None, seed: int = 0
) -> tuple[str, ...]:
    """The set of a text, its own as the lists spell it first."""
    members = lists.members(text, most=most, seed=seed)
    return tuple(applied(text, changes) for changes in members)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He said the man left.", "She said the woman left."),
        ("HIS UNCLE", "HER AUNT"),
        ("The woman's sons and the brothers' house", "The man's daughters and the sisters' house"),
        ("I saw her and took her bag.", "I saw him and took his bag."),
        ("I gave her the bag; ask her.", "I gave him the bag; ask him."),
        ("His bag is his.", "Her bag is hers."),
        ("I took her", "I took his"),  # what follows is not known yet
        ("The bag is his", "The bag is her"),
        ("The man told him lies", "The woman told him lies"),  # "her lies" would be "his lies"
        ("My mother-in-law met an actor", "My father-in-law met an actress"),
        ("My mother in law", "My father-in-law"),
        ("An uncle and an heir", "An aunt and an heiress"),
        ("she was kind", "he was kind"),
        ("Mrs and MR", "Mr and MRS"),
    ],
)
def test_gender_by_hand(text: str, expected: str) -> None:
    assert texts(GENDER, text)[1] == expected


@pytest.mark.parametrize("text", ["I saw him", "It is hers", "The nurse said", "A nurse"])
def test_a_word_that_would_not_be_found_back_has_no_counterpart(text: str) -> None:
    assert texts(GENDER, text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Christian church", "A Muslim mosque"),
        ("The Christian was there", "The Muslim was there"),
        ("Christians like churches", "Muslims like mosques"),
        ("Most MUSLIMS", "Most JEWS"),
        ("A Muslim said", "A Jew said"),
    ],
)
def test_faiths_by_hand(text: str, expected: str) -> None:
    assert expected in texts(FAITH, text)


@pytest.mark.parametrize(
    ("text", "own", "others"),
    [
        ("all white men", "all white men", {"all Black men", "all Native American men"}),
        ("all black men", "all Black men", {"all white men", "all Asian men"}),
        ("Black men", "Black men", {"White men", "Asian men"}),
        ("a white man", "a white man", {"an Asian man", "a Hispanic man"}),
        ("AN ASIAN MAN", "AN ASIAN MAN", {"A WHITE MAN", "AN ARAB MAN"}),
        ("African-American men", "African American men", {"Caucasian men"}),
    ],
)
def test_races_by_hand(text: str, own: str, others: set[str]) -> None:
    found = texts(RACE, text)
    assert found[0] == own
    assert others < set(found[1:])
    assert len(set(found)) == 6


def test_axes_combine_and_words_that_would_melt_are_left_out() -> None:
    assert len(texts(LISTS, "The Native American woman")) == 2 * 6
    found = texts(LISTS, "Black American men")
    assert "white American men" in {one[0].lower() + one[1:] for one in found}
    assert not any("Asian American" in one for one in found)  # that would be one word


def words() -> set[str]:
    return {
        bare(form)
        for _, groups in LISTS.axes
        for _, members in groups
        for member in members
        for form in member
    }


@cache
def as_set(text: str) -> frozenset[str]:
    return frozenset(texts(LISTS, text))


TEMPLATES = (
    "{}",
    "We saw the {} today.",
    "They met a {} woman who",
    "The {} people were",
    "It is {}'s",
    "WHAT THE {} SAID",
)


@pytest.mark.parametrize("template", TEMPLATES)
def test_each_member_of_a_set_has_the_same_set_for_every_word(template: str) -> None:
    for word in sorted(words()):
        text = template.format(word.upper() if template.isupper() else word)
        own = as_set(text)
        assert all(as_set(one) == own for one in own), text


def test_every_word_has_counterparts_in_some_text() -> None:
    alone = {word for word in words() if not any(as_set(one.format(word)) for one in TEMPLATES)}
    assert alone == set()


#: Parts of one another, in several cases, some read in two ways or before people alone.
LISTED = (
    *("a", "Bo", "co du", "co", "DU", "+ek", "Ek fi", "go", "iX"),
    *("=a", "=Bo", "=co", "=go", "ho a", "+In", "men co"),
)
PARTS = ("a", "bo", "co", "du", "ek", "fi", "go", "ho", "in", "ix", "iX", "an", "was", "men", ".")
SHOWN = sorted({form for part in PARTS for form in (part, part.upper(), part.capitalize())})


@st.composite
def own_lists(draw: st.DrawFn) -> Counterparts:
    """One or two axes of two or three groups of two words; the lists are sound."""
    shape = draw(st.sampled_from([("xy",), ("xyz",), ("xy", "xyz"), ("xy", "uv")]))
    size = 2 * sum(map(len, shape))
    words = iter(draw(st.permutations(LISTED))[:size])
    return Counterparts.parsed(
        {
            f"axis {number}": {group: [next(words), next(words)] for group in groups}
            for number, groups in enumerate(shape)
        }
    )


@given(own_lists(), st.lists(st.sampled_from(SHOWN), max_size=6))
@settings(max_examples=300, derandomize=True)
def test_sets_are_closed_whatever_the_lists(lists: Counterparts, parts: list[str]) -> None:
    for most in (None, 2):
        own = set(texts(lists, " ".join(parts), most=most))
        for one in own:
            assert set(texts(lists, one, most=most)) == own


def test_a_large_set_is_cut_into_parts_that_are_sets_themselves() -> None:
    every = texts(LISTS, "The Kenyan team")
    parts = {frozenset(texts(LISTS, one, most=5)) for one in every}
    assert sum(map(len, parts)) == len(every) == 47
    assert {len(one) for one in parts} == {5, 6}
    assert all(frozenset(texts(LISTS, one, most=5)) == part for part in parts for one in part)


def test_the_parts_come_from_the_seed() -> None:
    some = [set(texts(LISTS, "The Kenyan team", most=5, seed=seed)) for seed in (0, 0, 1)]
    assert some[0] == some[1] != some[2]


@pytest.mark.parametrize("most", [1, 2, 3, 4, 5, 6])
def test_no_text_has_more_counterfactuals_than_allowed(most: int) -> None:
    for text in ("All Sikhs", "All Jewish women", "The Kenyan"):
        assert 2 <= len(texts(LISTS, text, most=most)) <= 1 + most


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(NEARBY), min_size=12, max_size=40))
def test_what_is_far_from_a_word_has_no_part_in_its_options(parts: list[str]) -> None:
    text = " ".join(parts)
    found = LISTS.found(text)
    known = LISTS.members(text, most=5, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Exchangeable, "around", lambda self, at: (self, at))
        whole = Counterparts(LISTS.axes)  # nothing is remembered
        assert whole.members(text, most=5, seed=0) == known
    assert bool(known) <= bool(found)


def test_used_lists_can_be_copied_and_pickled() -> None:
    lists = LISTS.only(["gender"])
    members = lists.members("The man saw", most=None, seed=0)
    for one in (pickle.loads(pickle.dumps(lists)), copy.deepcopy(lists)):  # our own
        assert one == lists
        assert one.members("The man saw", most=None, seed=0) == members


@pytest.mark.parametrize("after", [" .", " (", ' "', "\n\n(", " . . ."])
def test_signs_after_a_word_decide_as_words_do(after: str) -> None:
    gender = LISTS.only(["gender"])
    assert not gender.members("I saw him ", most=None, seed=0)
    assert len(gender.members(f"I saw him{after}", most=None, seed=0)) == 2
