"""StereoSet's training pool: what is left out, and terms that are kept apart to stop on."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.data.stereoset import AXES, StereoSetItem, item_groups
from equipoise.errors import DataError
from equipoise.supply.stereoset_pool import contrast_of, held_back, learnable, refuse_shared


def item(
    id: str, target: str, axis: str = "gender", *, context: str = "A BLANK thing."
) -> StereoSetItem:
    sentences = tuple(f"A {target} {id} {word}." for word in "sau")
    return StereoSetItem(
        id=id,
        task="intrasentence",
        context=context,
        sentences=sentences,
        sentence_ids=tuple(f"{id}{k}" for k in range(3)),
        spans=tuple((len(sentence) - 2, len(sentence) - 1) for sentence in sentences),
        groups=item_groups("intrasentence", axis, target),
    )


def pool(terms: int, each: int) -> list[StereoSetItem]:
    return [
        item(f"{axis}-{t}-{k}", f"{axis}{t}", axis)
        for axis in AXES
        for t in range(terms)
        for k in range(each)
    ]


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(1, 6), st.integers(0, 20), st.data())
def test_terms_kept_apart_are_not_learnt(
    terms: int, each: int, seed: int, data: st.DataObject
) -> None:
    items = pool(terms, each)
    wanted = data.draw(st.integers((each + 2) // 2, max((each + 2) // 2, terms * each // 2)))
    learnt, kept = held_back(items, wanted, seed=seed)
    assert sorted(one.id for one in (*learnt, *kept)) == sorted(one.id for one in items)
    assert not {one.groups["target"] for one in learnt} & {one.groups["target"] for one in kept}
    for axis in AXES:
        n = sum(one.groups["axis"] == axis for one in kept)
        assert abs(n - wanted) <= each / 2  # no whole term would bring it nearer
        assert 0 < n < terms * each
    assert held_back(items[::-1], wanted, seed=seed)[1] == kept[::-1]  # whatever the order


def test_nothing_is_kept_apart_unless_asked_for() -> None:
    few = [item("a", "oak")]
    assert held_back(few, 0, seed=0) == (few, [])


def test_fewer_than_half_a_term_are_a_whole_one() -> None:
    items = [*pool(3, 9), item("one more", "gender9", "gender")]
    learnt, kept = held_back(items, 1, seed=0)
    sizes = Counter(one.groups["axis"] for one in kept)
    assert sizes == {axis: 1 if axis == "gender" else 9 for axis in AXES}
    assert {one.groups["axis"] for one in learnt} == set(AXES)


def test_another_seed_keeps_other_terms() -> None:
    first, second = (held_back(pool(8, 3), 6, seed=seed)[1] for seed in (0, 1))
    assert first != second


def test_terms_of_two_types_are_learnt() -> None:
    both = [item(f"{axis}-both", "Both", axis) for axis in AXES]
    for seed in range(5):
        _, kept = held_back([*both, *pool(3, 1)], 1, seed=seed)
        assert len(kept) == 4
        assert "Both" not in {one.groups["target"] for one in kept}


def test_a_term_is_the_same_in_capitals() -> None:
    items = [
        item(f"{axis}{k}", name, axis)
        for axis in AXES
        for k, name in enumerate((f"{axis} Nut", f"{axis} nut", f"{axis} pie", f"{axis} Pie"))
    ]
    learnt, kept = held_back(items, 2, seed=0)
    assert len(learnt) == len(kept) == 8
    assert not {one.groups["target"].casefold() for one in learnt} & {
        one.groups["target"].casefold() for one in kept
    }


@pytest.mark.parametrize(
    ("items", "got"),
    [
        ([one for one in pool(3, 2) if one.id not in ("race-0-0", "race-1-0")], "got 4 of 3 terms"),
        (
            [one for one in pool(3, 2) if one.groups["axis"] != "race"]
            + [item(f"r{k}", "one", "race") for k in range(6)],
            "got 6 of 1 terms",
        ),
    ],
)
def test_a_type_with_too_few_is_named(items: list[StereoSetItem], got: str) -> None:
    with pytest.raises(DataError, match=f"type 'race' must have 6 .* {got}; set dev_per_type"):
        held_back(items, 3, seed=0)


def test_a_type_without_any_is_named_unless_none_are_kept_apart() -> None:
    items = [one for one in pool(3, 2) if one.groups["axis"] != "race"]
    with pytest.raises(DataError, match="type 'race' must have examples to learn from, got none"):
        held_back(items, 3, seed=0)
    assert held_back(items, 0, seed=0) == (items, [])


def test_what_cannot_be_learnt_is_left_out() -> None:
    items = [
        item("a", "oak"),
        item("b", "elm", context="A BLANK and a BLANK."),
        item("c", "ash", context="It fell.BLANK grew."),
        item("d", "fir", context="A `BLANK thing."),
        item("a", "Oak"),  # the same texts but for case
        item("e", "yew"),
    ]
    assert [one.groups["target"] for one in learnable(items)] == ["oak", "yew"]


def test_shared_terms_and_texts_are_refused() -> None:
    refuse_shared([item("a", "oak")], [item("b", "elm")])
    with pytest.raises(DataError, match=r"target terms of test .* got \['oak'\]"):
        refuse_shared([item("a", "Oak")], [item("b", "oak")])
    other = item("a", "oak")
    same = StereoSetItem(
        id="z", task=other.task, context=other.context, sentences=other.sentences,
        sentence_ids=other.sentence_ids, spans=other.spans,
        groups=item_groups("intrasentence", "race", "elm"),
    )  # fmt: skip
    with pytest.raises(DataError, match=r"texts of test .* got those of \['a'\]"):
        refuse_shared([other], [same])
    many = [item(f"i{k}", f"t{k}") for k in range(10)]
    with pytest.raises(DataError, match="and 2 more; replace"):
        refuse_shared(many, many)


def test_a_contrast_begins_at_the_filler() -> None:
    found = contrast_of(item("a", "oak"))
    assert (found.context, found.stereotype, found.unrelated) == ("A oak a", " s.", " u.")
