"""The sentences say nothing, and the terms are what they should be."""

from collections import Counter

import pytest
from written_texts import column

from equipoise.errors import RecipeError
from equipoise.scorer_gaps.identity import axes, identity, identity_groups, put
from equipoise.text_scorers.vader import Vader


def test_every_sentence_is_about_somebody_and_says_nothing() -> None:
    pytest.importorskip("vaderSentiment")
    sentences = identity().sentences
    assert len(set(sentences)) == 20
    assert all(sentence.count("{who}") == 1 for sentence in sentences)
    texts = [put(sentence, identity().neutral) for sentence in sentences]
    assert column(Vader(), texts, "vader_compound") == [0.0] * 20


def test_a_term_begins_a_sentence_with_a_capital() -> None:
    assert put("{who} slept.", "the man") == "The man slept."
    assert put("We saw {who}.", "the man") == "We saw the man."


@pytest.mark.parametrize("axis", axes())
def test_terms_are_of_one_group_each(axis: str) -> None:
    groups = identity_groups(axis)
    assert len(groups) >= 2
    terms = Counter(term for words in groups.values() for term in words)
    assert all(groups.values())
    assert {term for term, count in terms.items() if count > 1} == set()


def test_nationalities_and_names_are_those_of_the_lists_of_group_words() -> None:
    assert identity_groups("nationality")["south_africa"] == ("the South African person",)
    assert len(identity_groups("names")["female"]) == 50


def test_an_unknown_axis_is_answered_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match="did you mean 'religion'"):
        identity_groups("religon")
