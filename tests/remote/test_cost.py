"""What a benchmark would take of a server, before anything is sent."""

from equipoise.dialogues import Dialogue
from equipoise.records import Continuation, Generation, NextToken, TextPair
from equipoise.remote.cost import cost_of
from equipoise.remote.options import ServerOptions


def test_each_different_text_is_read_once() -> None:
    requests = [
        Continuation(context="abcd", continuation="ef"),
        Continuation(context="ab", continuation="cdef"),
        NextToken(context="abcd", words=("ef", "gh")),
        TextPair(first="abcdef", second="xyz", tokens="modified", view="left"),
    ]
    cost = cost_of(requests, len)
    assert (cost.requests, cost.input_tokens, cost.output_tokens) == (3, 6 + 6 + 3, 3)
    assert cost.counted


def test_writing_takes_its_most() -> None:
    requests = [
        Generation(context="abcd", max_tokens=10),
        Generation(context="abcd", max_tokens=10),
    ]
    cost = cost_of([*requests, Generation(context="abcd", max_tokens=10, sample=1)], None)
    assert (cost.requests, cost.input_tokens, cost.output_tokens) == (2, 2, 20)


def test_a_dialogue_sends_its_answers_again() -> None:
    cost = cost_of([Dialogue(turns=("ab", "cd", "ef"), max_tokens=10)], len)
    assert (cost.requests, cost.output_tokens) == (3, 30)
    assert cost.input_tokens == 2 + 5 + 8 + 10 + 20


def test_a_guess_is_said_to_be_one_and_prices_are_asked_for() -> None:
    cost = cost_of([Generation(context="abcde", max_tokens=1_000_000)], None)
    said = cost.describe("bold", ServerOptions())
    assert said == (
        "bold: at most 1 request, 2 tokens sent and 1,000,000 written (a guess: a token is taken "
        "for four characters); no price is set"
    )
    said = cost.describe("bold", ServerOptions(input_price=1.0, output_price=2.5))
    assert said.endswith("at the prices set, 2.50")
