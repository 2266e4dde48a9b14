"""What each rule prefers, and where it cannot act."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from equipoise.nulls.base import Guess, Null, numbers_in
from equipoise.nulls.english_frequency import EnglishFrequency, log_frequency
from equipoise.nulls.length import Length
from equipoise.nulls.position import Position
from equipoise.nulls.unigram import Unigram, neutral_texts
from equipoise.records import (
    Continuation,
    Decision,
    Embedding,
    Generation,
    Infill,
    NextToken,
    Request,
    TextPair,
)
from equipoise.testing import tiny_model

SHORT, LONG = "A lamp.", "A small and green lamp."


def _by_name(null: Null, *asked: Request) -> dict[str, Guess]:
    return {guess.name: guess for guess in null.guesses([list(asked)], tiny_model())}


def test_length_in_words_and_characters() -> None:
    texts = [Continuation(context="x y z", continuation=text) for text in (SHORT, LONG)]
    rules = _by_name(Length(), *texts)
    assert {name: numbers_in(rule.answers[0]) for name, rule in rules.items()} == {
        "fewer words": [-2, -5],
        "more words": [2, 5],
        "fewer characters": [-7, -23],
        "more characters": [7, 23],
    }


def test_a_pair_and_a_span_are_told_by_their_whole_texts() -> None:
    pair = TextPair(first=SHORT, second=LONG, tokens="unmodified_after", view="left")
    assert numbers_in(_by_name(Length(), pair)["fewer words"].answers[0]) == [-2, -5]
    span = Infill(text=LONG, start=2, end=7)
    assert numbers_in(_by_name(Length(), span)["more characters"].answers[0]) == [23]


@pytest.mark.parametrize(
    "request_",
    [
        Generation(context="The", max_tokens=2),
        Embedding(text="The"),
        NextToken(context="The", words=(" he", " she")),
    ],
)
def test_no_length_where_no_texts_are_compared(request_: Request) -> None:
    assert Length().guesses([[request_]], None) == []


def test_position_takes_listed_options_alone() -> None:
    letters = NextToken(context="A. x\nB. y\nC. z\nAnswer:", words=(" A", " B", " C"))
    rules = _by_name(Position(), letters)
    taken = [numbers_in(rules[f"option {place}"].answers[0]) for place in (1, 2, 3)]
    assert [values.index(max(values)) for values in taken] == [0, 1, 2]
    assert _by_name(Position(), NextToken(context="The", words=(" he", " she"))) == {}
    assert _by_name(Position(), Continuation(context="", continuation=SHORT)) == {}


def test_no_position_where_means_over_orders_are_taken() -> None:
    listed = NextToken(context="A. x\nB. y\nAnswer:", words=(" A", " B"))
    assert Position().guesses([[listed, listed]], None) == []
    lists = [
        [Decision(text="x", question="y", options=("a", "b"))],
        [Decision(text="x", question="y")],
    ]
    assert Position().guesses(lists, None) == []


ASCII = st.text(st.characters(max_codepoint=127), max_size=40)
WORDY = st.text(st.sampled_from("aBé's.,!?@_-3:/ \t\n"), max_size=40)


@pytest.mark.thorough
@given(ASCII | WORDY)
@example("The U.S. paid 3.5, 4 or $1,000... l'heure @s a_b. x")
@example("it's 5:30 p.m.!? 'qu'un'")
@settings(max_examples=150, deadline=None)
def test_words_are_those_of_the_whole_text(text: str) -> None:
    """Words are looked up piece by piece, with what wordfreq makes of the text as a whole."""
    wordfreq = pytest.importorskip("wordfreq")
    words = wordfreq.tokenize(text, "en")
    logs = [math.log(max(wordfreq.word_frequency(word, "en"), 1e-9)) for word in words]
    total = math.fsum(logs) if logs else math.nan
    expected = (total, total / max(1, len(logs)))
    assert log_frequency(text) == pytest.approx(expected, abs=0, nan_ok=True)


def test_commoner_words_by_sum_and_by_mean() -> None:
    pytest.importorskip("wordfreq")
    texts = [Continuation(context="", continuation=text) for text in ("zymurgy", "the the the the")]
    rules = _by_name(EnglishFrequency(), *texts)
    total, mean = (
        numbers_in(rules[f"English frequency, {name}"].answers[0]) for name in ("sum", "mean")
    )
    assert mean[1] > mean[0]
    assert total[1] == pytest.approx(4 * mean[1])
    assert numbers_in(_by_name(EnglishFrequency(), *texts[:1])["English frequency, sum"].answers[0])
    assert all(map(math.isnan, log_frequency("!?")))


def test_words_in_another_order_are_equally_common() -> None:
    pytest.importorskip("wordfreq")
    assert log_frequency("the old green lamp") == log_frequency("lamp green old the")


def test_letters_of_a_list_have_no_frequency() -> None:
    letters = NextToken(context="A. x\nB. y\nAnswer:", words=(" A", " B"))
    assert EnglishFrequency().guesses([[letters]], None) == []
    assert Unigram().guesses([[letters]], tiny_model()) == []


@pytest.mark.thorough
def test_unigram_by_sum_mean_and_tokens() -> None:
    model = tiny_model()
    texts = [Continuation(context="x", continuation=f" {text}") for text in (SHORT, LONG)]
    rules = _by_name(Unigram(), *texts)
    alone = [Continuation(context="", continuation=text.continuation) for text in texts]
    scored = model.as_unigram(neutral_texts()).score(alone)
    for name, wanted in {
        "model's unigram, sum": [each.logprob for each in scored],
        "model's unigram, mean": [each.mean for each in scored],
        "fewer tokens": [-each.tokens for each in scored],
        "more tokens": [each.tokens for each in scored],
    }.items():
        assert numbers_in(rules[name].answers[0]) == pytest.approx(wanted)


@pytest.mark.thorough
def test_unigram_needs_a_model_and_leaves_it_as_it_was() -> None:
    asked = [[NextToken(context="The nurse said that", words=(" he", " she"))]]
    assert Unigram().guesses(asked, None) == []
    model = tiny_model()
    before = model.next_token(asked[0])
    (guess,) = Unigram().guesses(asked, model)
    assert guess.name == "model's unigram, sum"
    assert model.next_token(asked[0]) == before
    assert numbers_in(guess.answers[0]) != list(before[0].logprobs)
