"""Words that name a group: which are found, as whose, and how they are used."""

import pytest

from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.following_words import PEOPLE
from equipoise.group_words.group_words import bare
from equipoise.group_words.swap_lists import read_swap_lists
from equipoise.group_words.wordings import counterparts

LISTS = Counterparts.parsed(counterparts())


def shown(text: str) -> list[str]:
    return [text[one.start : one.end] for one in LISTS.found(text)]


def test_every_word_of_every_group_is_found_as_its_own_group() -> None:
    for a, (_, groups) in enumerate(LISTS.axes):
        for g, (_, members) in enumerate(groups):
            for word in (bare(form) for member in members for form in member):
                (found,) = LISTS.found(f"({word} people)")
                assert (found.axis, found.group) == (a, g), word


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Native American woman", ["Native American", "woman"]),
        ("The manager nursed theory", []),
        ("a muslim, polish shoes", []),  # a name without its capital is not one
        ("AN ASIAN", ["ASIAN"]),
        ("black people and White voters", ["black", "White"]),
        ("old black and white voters", ["black", "white"]),
        ("a white-collar crime, a black coat on people", []),
        ("The black, the people", []),
        ("Snow White", []),
    ],
)
def test_what_is_found(text: str, words: list[str]) -> None:
    assert shown(text) == words


def test_words_for_people_are_those_of_the_lists_of_cda() -> None:
    assert read_swap_lists().axes["race"].persons == PEOPLE
