"""Texts of two variants by id: what is paired, left out and refused."""

from dataclasses import replace

import pytest

from equipoise.errors import DataError
from equipoise.rating.pairs import pair_texts
from rating.making import BASE, TUNED, pairs, written


def test_pairs_have_both_texts_and_scores() -> None:
    paired = pairs(3)
    assert paired.variants == (BASE, TUNED)
    assert paired.pairs[1].first == " a base tree."
    assert paired.pairs[1].second == " a tuned tree."
    assert paired.pairs[1].scores == {"toxicity": (2, 1)}
    assert paired.pairs[1].groups == {"group": "b"}


def test_what_is_left_out_is_counted() -> None:
    second = [replace(written(TUNED, 5)[0], text=" a base tree."), *written(TUNED, 5)[1:4]]
    paired = pair_texts((BASE, TUNED), written(BASE, 6), second)
    assert [pair.id for pair in paired.pairs] == ["1", "2", "3"]
    assert [note.split()[0] for note in paired.notes] == ["2", "1"]


def test_prompts_that_differ_are_refused() -> None:
    other = [replace(text, prompt="The elm is") for text in written(TUNED)]
    with pytest.raises(DataError, match="'0' must have the same prompt"):
        pair_texts((BASE, TUNED), written(BASE), other)


def test_nothing_to_compare_is_refused() -> None:
    same = [replace(text, text=" a tree.") for text in written(BASE)]
    with pytest.raises(DataError, match="none that differs"):
        pair_texts((BASE, TUNED), same, same)
    with pytest.raises(DataError, match="got 0 texts of 'base'"):
        pair_texts((BASE, TUNED), [], written(TUNED))


def test_identity_is_of_texts_and_not_of_scores() -> None:
    paired = pairs()
    scored = [replace(pair, scores={}) for pair in paired.pairs]
    assert replace(paired, pairs=tuple(scored)).sha256 == paired.sha256
    changed = [replace(pair, second="!") for pair in paired.pairs]
    assert replace(paired, pairs=tuple(changed)).sha256 != paired.sha256
    assert replace(paired, variants=(TUNED, BASE)).sha256 != paired.sha256
