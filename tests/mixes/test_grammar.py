"""The grammar's pairs: alike in all but one stretch of words, of nine types, by seed."""

import re

import pytest

from equipoise.errors import RecipeError
from equipoise.mixes.grammar import draw_pairs, grammar, grammar_sha256
from equipoise.mixes.pairs import BIAS_TYPES, Pair, count_types, fault_of_pair, spans_of


@pytest.fixture(scope="module")
def many() -> tuple[Pair, ...]:
    return draw_pairs(5400, seed=0)


@pytest.mark.thorough
def test_five_thousand_pairs_differ_in_one_span_each(many: tuple[Pair, ...]) -> None:
    assert all(fault_of_pair(pair) is None for pair in many)
    assert {len(spans_of(pair.sent_more, pair.sent_less)) for pair in many} == {1}
    texts = {text for pair in many for text in (pair.sent_more, pair.sent_less)}
    assert len(texts) == 2 * len(many)


def test_nine_types_are_balanced_and_both_directions_are_there(many: tuple[Pair, ...]) -> None:
    assert count_types(many) == dict.fromkeys(BIAS_TYPES, 600)
    anti = [pair for pair in many if pair.direction == "antistereo"]
    assert 0.11 < len(anti) / len(many) < 0.18  # 218 of 1,508 in CrowS-Pairs
    assert min(count_types(anti).values()) > 40


def test_the_seed_settles_the_pairs_and_more_begin_with_fewer(many: tuple[Pair, ...]) -> None:
    assert draw_pairs(45, seed=0) == many[:45]
    other = draw_pairs(45, seed=1)
    assert not {pair.sent_more for pair in other} & {pair.sent_more for pair in many[:45]}
    assert other[0].id == "grammar:1:0"


def test_neutral_sentences_share_the_frame_and_the_group(many: tuple[Pair, ...]) -> None:
    for pair in many[:900]:
        ((start, end, other_start, other_end),) = spans_of(pair.sent_more, pair.neutral)[:1] or [
            (0, 0, 0, 0)
        ]
        words, neutral = pair.sent_more.split(), pair.neutral.split()
        assert end > start or other_end > other_start
        assert words[:start] == neutral[:other_start]
        kind, number = pair.frame.split(":")
        form = re.escape(grammar().frames[kind][int(number)])  # type: ignore[index]
        shape = re.compile(re.sub(r"\\{\w+\\}", ".+", form), re.IGNORECASE)
        assert shape.fullmatch(pair.neutral)
        assert shape.fullmatch(pair.sent_more)


def test_nothing_of_the_grammar_is_left_unfilled_or_misspelt(many: tuple[Pair, ...]) -> None:
    for pair in many:
        for text in (pair.sent_more, pair.sent_less, pair.neutral):
            assert not set("{}/") & set(text)
            assert text[0].isupper()
            assert text.endswith(".")
            assert "  " not in text
    assert {pair.prompt_sha256 for pair in many} == {grammar_sha256()}


def test_groups_stand_in_one_list_and_attributes_are_no_neutral_phrase() -> None:
    neutral = {phrase for phrases in grammar().neutral.values() for phrase in phrases}
    said = [
        phrase
        for families in grammar().types.values()
        for family in families
        for side in (family.stereo, family.antistereo)
        for phrases in side.values()
        for phrase in phrases
    ]
    assert not neutral & set(said)
    assert set(grammar().types) == set(BIAS_TYPES)
    groups = [
        group for families in grammar().types.values() for each in families for group in each.groups
    ]
    assert all(first != second for first, second in groups)


def test_refused_pairs_are_not_given() -> None:
    pairs = draw_pairs(90, seed=0, refused=lambda pair: "neighbor" in pair.sent_more)
    assert not any("neighbor" in pair.sent_more for pair in pairs)
    assert count_types(pairs) == dict.fromkeys(BIAS_TYPES, 10)


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(RecipeError, match="got 0 with seed 0, after which 'race-color' has no"):
        draw_pairs(9, seed=0, refused=lambda _: True)
