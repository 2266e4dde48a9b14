"""A word in another's place: case, white space and the article, by hand."""

import pytest

from equipoise.group_words.spelling import spelled_alike, spelling, with_article


@pytest.mark.parametrize(
    ("source", "listed", "kind"),
    [
        ("he", "he", "listed"),
        ("He", "he", "title"),
        ("HE", "he", "upper"),
        ("hE", "he", None),
        ("Asian", "Asian", "listed"),
        ("asian", "Asian", "lower"),
        ("ASIAN", "Asian", "upper"),
        ("aSian", "Asian", None),
        ("Leading man", "leading man", "sentence"),
        ("Leading Man", "leading man", "title"),
        ("leading Man", "leading man", None),
        ("Ma’am", "ma'am", "title"),
        ("Latin\nAmerican", "Latin American", "listed"),
    ],
)
def test_how_a_word_is_spelled(source: str, listed: str, kind: str | None) -> None:
    assert spelling(source, listed) == kind


@pytest.mark.parametrize(
    ("source", "listed", "target", "before", "spelled"),
    [
        ("HE", "he", "she", "", "SHE"),
        ("He", "he", "she", "so ", "She"),
        ("Asian", "Asian", "black", "two ", "black"),
        ("Asian", "Asian", "black", "They left. ", "Black"),
        ("Asian", "Asian", "black", 'He said: "', "black"),
        ("Asian", "Asian", "black", '"', "Black"),
        ("Black", "black", "Asian", "two ", "Asian"),
        ("asian", "Asian", "Latino", "two ", "latino"),
        ("Leading Man", "leading man", "leading lady", "a ", "Leading Lady"),
        ("Leading man", "leading man", "leading lady", "a ", "Leading lady"),
        ("Latin \n American", "Latin American", "Middle Eastern", "", "Middle \n Eastern"),
        ("Latin \n American", "Latin American", "Arab", "", "Arab"),
        ("Arab", "Arab", "Latin American", "", "Latin American"),
    ],
)
def test_a_word_spelled_like_another(
    source: str, listed: str, target: str, before: str, spelled: str
) -> None:
    assert spelled_alike(target, listed=listed, source=source, before=before) == spelled


@pytest.mark.parametrize(
    ("before", "source", "target", "after"),
    [
        ("met an ", "Asian", "black", "met a "),
        ("met a\n", "black", "Asian", "met an\n"),
        ("An ", "imam", "Rabbi", "A "),
        ("A ", "BLACK", "ASIAN", "AN "),
        ("A ", "Black", "Asian", "An "),
        ("met a ", "black", "white", "met a "),
        ("met a ", "Asian", "black", "met a "),  # it did not agree before
        ("met an ", "heir", "aunt", "met an "),
        ("a ", "European", "Asian", "an "),
        ("banana ", "black", "Asian", "banana "),
        ("vitamin-a ", "black", "Asian", "vitamin-a "),
    ],
)
def test_the_article_before(before: str, source: str, target: str, after: str) -> None:
    assert with_article(before, source, target) == after
