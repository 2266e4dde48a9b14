"""Which plain texts are held out: whole documents, the last ones, none of them learnt."""

from collections.abc import Sequence

import pytest
from contrast_items import model
from hypothesis import given
from hypothesis import strategies as st

from equipoise.contrast_training.tokenized import PlainTexts, split_texts
from equipoise.errors import RecipeError
from equipoise.records import Supply


def texts(count: int) -> tuple[str, ...]:
    return tuple(f"Door {index}." for index in range(count))


def held_out_of(split: PlainTexts) -> list[str]:
    return [passage.text.text for passage in split.held_out]


def part(documents: Sequence[str] = (), *, count: int = 0, longest: int = 60) -> PlainTexts:
    given_texts = texts(len(documents) or count)
    supply = Supply(origin="by hand", texts=given_texts, documents=tuple(documents))
    return split_texts(model(), supply, longest=longest)


@given(st.lists(st.sampled_from("abcdefg"), max_size=60))
def test_whole_documents_are_kept_apart_and_something_is_learnt(homes: list[str]) -> None:
    split = part(sorted(homes))
    known = dict(zip(texts(len(homes)), sorted(homes), strict=True))
    held_out = {passage.document for passage in split.held_out}
    learnt = {known[text] for text in split.training}
    assert not held_out & learnt
    assert [*split.training, *held_out_of(split)] == list(known)  # the last ones, nothing lost
    few = len(set(homes)) < 3
    assert (split.held_out_documents == 0) == few
    if not few:
        assert split.held_out_documents >= 2
        assert learnt
        assert len(split.held_out) >= 0.1 * len(homes)
        before_last = len(split.held_out) - homes.count(min(held_out))
        assert split.held_out_documents == 2 or before_last < 0.1 * len(homes)


def test_documents_that_are_not_in_turn_stay_whole() -> None:
    split = part(list("abcabcabcabc"))
    assert {passage.document for passage in split.held_out} == {"b", "c"}
    assert len(split.training) == 4


@pytest.mark.parametrize(("count", "apart"), [(2, 0), (3, 2), (20, 2), (21, 3), (2500, 200)])
def test_texts_without_documents_are_their_own(count: int, apart: int) -> None:
    split = part(count=count)
    assert held_out_of(split) == list(texts(count)[count - apart :])
    assert len(split.training) == count - apart
    assert split.held_out_documents == apart


def test_of_long_documents_two_hundred_evenly_spaced() -> None:
    split = part(["a"] + ["b"] * 300 + ["c"] * 300)
    assert held_out_of(split) == list(texts(601)[1::3])
    assert split.training == texts(601)[:1]


def test_a_short_document_beside_a_long_one_is_looked_at() -> None:
    split = part(["a"] * 49 + ["b"] * 239 + ["c"])
    assert (split.held_out_documents, len(split.held_out), len(split.training)) == (2, 121, 49)


def test_a_text_that_is_learnt_is_not_looked_at() -> None:
    given_texts = ("Door.", "Lamp.", "Door.", "Chair.", "Bed.")
    split = split_texts(
        model(), Supply(origin="", texts=given_texts, documents=tuple("abcde")), longest=60
    )
    assert split.training == given_texts[:3]
    again = split_texts(
        model(),
        Supply(origin="", texts=("Door.", "Lamp.", "Door.", "Bed."), documents=tuple("abcd")),
        longest=60,
    )
    assert held_out_of(again) == ["Bed."]


def test_longer_texts_are_not_looked_at() -> None:
    assert not part(count=30, longest=2).held_out


def test_documents_of_some_texts_alone() -> None:
    supply = Supply(origin="by hand", texts=texts(4), documents=("a", "b"))
    with pytest.raises(RecipeError, match="'by hand' has 4 texts and 2 documents; name all"):
        split_texts(model(), supply, longest=60)
