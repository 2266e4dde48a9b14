"""The tokens that two texts share, by hand; their scores against the slow reference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_scoring import continuation, pseudo

from equipoise.errors import ModelError
from equipoise.inference.scoring import difference
from equipoise.records import TextPair
from equipoise.testing import tiny_model

CASES = {  # first, second: unmodified, modified, unmodified_after, each [first, second]
    "replaced at the start": ("abcd", "xbcd", ["bcd", "bcd"], ["a", "x"], ["bcd", "bcd"]),
    "replaced inside": ("abcd", "axcd", ["acd", "acd"], ["b", "x"], ["cd", "cd"]),
    "replaced at the end": ("abcd", "abcx", ["abc", "abc"], ["d", "x"], ["", ""]),
    "inserted": ("abd", "abcd", ["abd", "abd"], ["", "c"], ["d", "d"]),
    "deleted": ("abcd", "acd", ["acd", "acd"], ["b", ""], ["cd", "cd"]),
    "equal": ("abc", "abc", ["abc", "abc"], ["", ""], ["", ""]),
    "nothing shared": ("ab", "xy", ["", ""], ["ab", "xy"], ["", ""]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_difference_by_hand(case: str) -> None:
    first, second, *expected = CASES[case]
    ids = [[ord(letter) for letter in text] for text in (first, second)]
    for chosen, answer in zip(
        ("unmodified", "modified", "unmodified_after"), expected, strict=True
    ):
        sides = difference(*ids, chosen)
        texts = zip((first, second), sides, strict=True)
        assert ["".join(text[index] for index in side) for text, side in texts] == answer


TOKENS = st.lists(st.integers(0, 3), max_size=300)


@pytest.mark.thorough
@given(TOKENS, TOKENS)
def test_unmodified_tokens_agree_and_the_rest_is_modified(
    first: list[int], second: list[int]
) -> None:
    shared = difference(first, second, "unmodified")
    changed = difference(first, second, "modified")
    assert [first[index] for index in shared[0]] == [second[index] for index in shared[1]]
    for ids, same, other in zip((first, second), shared, changed, strict=True):
        assert sorted((*same, *other)) == list(range(len(ids)))
    after = difference(first, second, "unmodified_after")
    assert set(after[0]) <= set(shared[0])


def pair(tokens: str, view: str) -> TextPair:
    return TextPair(first="a man ran", second="a boy ran", tokens=tokens, view=view)


POSITIONS = {  # "man" and "boy" share no letter
    "unmodified": [0, 1, 5, 6, 7, 8],
    "modified": [2, 3, 4],
    "unmodified_after": [5, 6, 7, 8],
}


@pytest.mark.parametrize("tokens", POSITIONS)
@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_masked_pairs_equal_the_plain_loop(family: str, tokens: str) -> None:
    model = tiny_model(family)
    (scored,) = model.score_pairs([pair(tokens, "both")])
    for side, text in ((scored.first, "a man ran"), (scored.second, "a boy ran")):
        expected = pseudo(model, text, POSITIONS[tokens])
        assert side.token_logprobs == pytest.approx(expected, abs=1e-5)
        assert side.bytes == len(POSITIONS[tokens])


@pytest.mark.parametrize("tokens", POSITIONS)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_causal_pairs_equal_the_plain_loop(family: str, tokens: str) -> None:
    model = tiny_model(family)
    (scored,) = model.score_pairs([pair(tokens, "left")])
    for side, text in ((scored.first, "a man ran"), (scored.second, "a boy ran")):
        whole = continuation(model, "", text, "bos")
        expected = [whole[index] for index in POSITIONS[tokens]]
        assert side.token_logprobs == pytest.approx(expected, abs=1e-5)


def test_without_a_start_token_the_first_tokens_are_not_scored() -> None:
    (scored,) = tiny_model("llama", bos="none").score_pairs([pair("unmodified", "left")])
    assert (scored.first.tokens, scored.second.tokens) == (5, 5)


def test_the_prompt_is_not_scored() -> None:
    from dataclasses import replace

    model = replace(tiny_model("llama"), prompts=("so ",))
    (scored,) = model.score_pairs([pair("unmodified", "left")])
    whole = continuation(model, "so ", "a man ran", "bos")
    expected = [whole[index] for index in POSITIONS["unmodified"]]
    assert scored.first.token_logprobs == pytest.approx(expected, abs=1e-5)


def test_equal_texts_have_no_modified_token() -> None:
    (scored,) = tiny_model("llama").score_pairs(
        [TextPair(first="ab", second="ab", tokens="modified", view="left")]
    )
    assert (scored.first.tokens, scored.second.tokens) == (0, 0)


@pytest.mark.parametrize(
    ("family", "view", "needed"), [("bert", "left", "causal"), ("llama", "both", "masked")]
)
def test_a_view_the_model_kind_lacks_is_refused(family: str, view: str, needed: str) -> None:
    requests = [pair("modified", view)]
    with pytest.raises(ModelError, match=f"request 0 .* needs a {needed} model, tiny-{family}@0"):
        tiny_model(family).score_pairs(requests)


def test_a_text_longer_than_the_context_names_the_pair() -> None:
    model = tiny_model("llama", context=12)
    long = TextPair(first="a", second="a" + "b" * 13, tokens="modified", view="left")
    with pytest.raises(ModelError, match=r"request 1 \(counted from 0\) must fit .* got 14"):
        model.score_pairs([pair("modified", "left"), long])
