"""Which plain texts are kept apart: whole documents, the last ones, none of them learnt."""

from collections.abc import Sequence

import pytest
from contrast_items import model
from hypothesis import given
from hypothesis import strategies as st

from equipoise.contrast_training.held_out_texts import PlainTexts, parted
from equipoise.errors import RecipeError
from equipoise.records import Supply


def texts(count: int) -> tuple[str, ...]:
    return tuple(f"Door {index}." for index in range(count))


def apart_of(found: PlainTexts) -> list[str]:
    return [one.text.text for one in found.apart]


def part(documents: Sequence[str] = (), *, count: int = 0, longest: int = 60) -> PlainTexts:
    several = texts(len(documents) or count)
    supply = Supply(origin="by hand", texts=several, documents=tuple(documents))
    return parted(model(), supply, longest=longest)


@given(st.lists(st.sampled_from("abcdefg"), max_size=60))
def test_whole_documents_are_kept_apart_and_something_is_learnt(homes: list[str]) -> None:
    found = part(sorted(homes))
    known = dict(zip(texts(len(homes)), sorted(homes), strict=True))
    kept = {one.document for one in found.apart}
    learnt = {known[one] for one in found.learnt}
    assert not kept & learnt
    assert [*found.learnt, *apart_of(found)] == list(known)  # the last ones, nothing lost
    few = len(set(homes)) < 3
    assert (found.documents == 0) == few
    if not few:
        assert found.documents >= 2
        assert learnt
        assert len(found.apart) >= 0.1 * len(homes)
        assert found.documents == 2 or len(found.apart) - homes.count(min(kept)) < 0.1 * len(homes)


def test_documents_that_are_not_in_turn_stay_whole() -> None:
    found = part(list("abcabcabcabc"))
    assert {one.document for one in found.apart} == {"b", "c"}
    assert len(found.learnt) == 4


@pytest.mark.parametrize(("count", "apart"), [(2, 0), (3, 2), (20, 2), (21, 3), (2500, 200)])
def test_texts_without_documents_are_their_own(count: int, apart: int) -> None:
    found = part(count=count)
    assert apart_of(found) == list(texts(count)[count - apart :])
    assert len(found.learnt) == count - apart
    assert found.documents == apart


def test_of_long_documents_two_hundred_evenly_spaced() -> None:
    found = part(["a"] + ["b"] * 300 + ["c"] * 300)
    assert apart_of(found) == list(texts(601)[1::3])
    assert found.learnt == texts(601)[:1]


def test_a_short_document_beside_a_long_one_is_looked_at() -> None:
    found = part(["a"] * 49 + ["b"] * 239 + ["c"])
    assert (found.documents, len(found.apart), len(found.learnt)) == (2, 121, 49)


def test_a_text_that_is_learnt_is_not_looked_at() -> None:
    several = ("Door.", "Lamp.", "Door.", "Chair.", "Bed.")
    found = parted(model(), Supply(origin="", texts=several, documents=tuple("abcde")), longest=60)
    assert found.learnt == several[:3]
    again = parted(
        model(),
        Supply(origin="", texts=("Door.", "Lamp.", "Door.", "Bed."), documents=tuple("abcd")),
        longest=60,
    )
    assert apart_of(again) == ["Bed."]


def test_longer_texts_are_not_looked_at() -> None:
    assert not part(count=30, longest=2).apart


def test_documents_of_some_texts_alone() -> None:
    supply = Supply(origin="by hand", texts=texts(4), documents=("a", "b"))
    with pytest.raises(RecipeError, match="'by hand' has 4 texts and 2 documents; name all"):
        parted(model(), supply, longest=60)
