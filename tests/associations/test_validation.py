"""What a text must be to be learnt from: placeholder, words, countries, no repetition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.associations.validation import (
    MOST_SHARED,
    Distinct,
    countries_in,
    fault_of,
    grams_of,
    normalize,
    words_of,
)

SAID = "Every guest from {target} came an hour after the clock had struck."


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("In X they sing.", "In {target} they sing."),
        ("In Country X they sing.", "In {target} they sing."),
        ("In country  X, X's people", "In {target}, {target}'s people"),
        ("Group X and X", "{target} and {target}"),
        ("from <BiasToken>, BiasToken's", "from {target}, {target}'s"),
        ("An X-ray of Xavier, Mr Xu and box", "An X-ray of Xavier, Mr Xu and box"),
        (" two\n lines ", "two lines"),
        ("{target} stays", "{target} stays"),
    ],
)
def test_normalize(text: str, normalized: str) -> None:
    assert normalize(text) == normalized
    assert normalize(normalized) == normalized


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SAID, None),
        (SAID.replace("{target}", "nowhere"), "names no target"),
        (SAID + " {name}", "has other braces"),
        ("{target} is late again.", "has not 8 to 200 words"),
        (SAID + " late" * 200, "has not 8 to 200 words"),
        (SAID + " Not so in Norway.", "names a real country"),
        (SAID + " Not so the Dutch.", "names a real country"),
        (SAID + " They polished a turkey and the china.", None),
    ],
)
def test_fault_of(text: str, fault: str | None) -> None:
    assert fault_of(text) == fault


def test_countries_in() -> None:
    text = (
        "A Frenchman from Guinea-Bissau met Norwegians; the french and Norwegianness do not count"
    )
    assert countries_in(text) == ("Frenchman", "Guinea-Bissau", "Norwegians")


def test_words() -> None:
    assert words_of("“Don't!” said {target}'s Café-owner, no. 3_a") == [
        "don't", "said", "{target}", "s", "café", "owner", "no", "3", "a",
    ]  # fmt: skip


def test_exact_and_near_repetitions() -> None:
    distinct = Distinct()
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    assert distinct.repeats(text) is None
    assert distinct.repeats(text.upper() + "!") == "is there already"
    # 10 and 11 runs of five words, 10 of them shared: 10/11
    assert distinct.repeats(text + " fifteen") == "is nearly there already"
    # the first word changed at the middle: runs around it differ, 5 of 15 are shared
    assert distinct.repeats(text.replace("seven", "7")) is None
    assert distinct.repeats("short one") is None
    assert distinct.repeats("short one") == "is there already"
    exact = Distinct(most_shared=1)
    assert exact.repeats(text) is None
    assert exact.repeats(text + " fifteen") is None
    assert exact.repeats(text.upper()) == "is there already"


@pytest.mark.thorough
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), max_size=12))
def test_what_is_kept_is_apart(texts: list[list[str]]) -> None:
    distinct = Distinct()
    kept = [words for words in texts if distinct.repeats(" ".join(words)) is None]
    for index, words in enumerate(kept):
        for other in kept[:index]:
            first, second = grams_of(words, 5), grams_of(other, 5)
            assert len(first & second) <= MOST_SHARED * len(first | second)
