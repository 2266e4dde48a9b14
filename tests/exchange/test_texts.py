"""Texts about other groups: their set, their words, and where places of the first text went."""

import pytest

from equipoise.errors import RecipeError
from equipoise.exchange.texts import as_it_is, exchange_lists, exchanged_texts, spellings

LISTS = exchange_lists(("gender", "profession"))
TEXT = "John said that he saw the nurse."


def test_names_and_pronouns_change_places_together() -> None:
    (_, other) = exchanged_texts("John took his hat.", LISTS, most=3, seed=0)
    name, _, rest = other.text.partition(" ")
    assert rest == "took her hat."
    assert name != "John"
    assert other.moves == {"gender": 1}


def test_a_profession_takes_the_place_of_another_with_its_article() -> None:
    others = exchanged_texts("She is an engineer.", LISTS, most=200, seed=0)
    texts = {each.text for each in others}
    assert {"She is a nurse.", "He is a nurse.", "He is an engineer."} <= texts
    assert len(texts) == len(others) == 2 * len(LISTS.groups["profession"])


def test_both_sexes_stand_with_each_of_the_others() -> None:
    for seed in range(5):
        texts = exchanged_texts(TEXT, LISTS, most=5, seed=seed)
        moves = [(each.moves["gender"], each.moves["profession"]) for each in texts]
        others = {other for _, other in moves}
        assert len(others) == 3
        assert set(moves) == {(sex, other) for sex in (0, 1) for other in others}


def test_every_text_of_a_set_has_the_same_set() -> None:
    texts = {each.text for each in exchanged_texts(TEXT, LISTS, most=3, seed=5)}
    assert len(texts) == 4
    for text in texts:
        if "John" in text or "he" in text.split():  # first names have several counterparts
            assert {each.text for each in exchanged_texts(text, LISTS, most=3, seed=5)} == texts


def test_the_first_is_the_text_itself_and_does_not_move() -> None:
    first, *_ = exchanged_texts(TEXT, LISTS, most=3, seed=1)
    assert first.text == TEXT
    assert not first.changes
    assert first.moves == {"gender": 0, "profession": 0}


def test_places_move_with_the_words_before_them() -> None:
    first, *others = exchanged_texts(TEXT, LISTS, most=3, seed=1)
    for other in others:
        for place in range(len(TEXT) + 1):
            moved = other.place_of(place)
            if moved is not None and place and TEXT[place - 1] in " .":
                assert other.text[moved - 1] == TEXT[place - 1]
        assert other.place_of(len(TEXT)) == len(other.text)
        assert None in [other.place_of(place) for place in range(len(TEXT))]
    assert [first.place_of(place) for place in (0, 4)] == [0, 4]


def test_a_text_without_a_group_has_no_set_and_may_stand_alone() -> None:
    assert exchanged_texts("It rains.", LISTS, most=3, seed=0) == ()
    assert as_it_is("It rains.").place_of(3) == 3


def test_an_axis_that_is_not_asked_for_stays() -> None:
    lists = exchange_lists(("profession",))
    texts = [each.text for each in exchanged_texts(TEXT, lists, most=3, seed=0)]
    assert all(text.startswith("John said that he saw the ") for text in texts)


def test_an_unknown_axis_is_refused() -> None:
    with pytest.raises(RecipeError, match="no axis 'genders'; did you mean 'gender'"):
        exchange_lists(("genders",))  # type: ignore[arg-type]


def test_spellings_are_without_marks_and_in_the_order_of_groups() -> None:
    places = spellings(LISTS, "gender")
    assert LISTS.groups["gender"] == ("female", "male")
    assert (frozenset({"she"}), frozenset({"he"})) in places
    assert (frozenset({"mom", "mum"}), frozenset({"mom"})) not in places
    assert not any("[" in word for place in places for words in place for word in words)
