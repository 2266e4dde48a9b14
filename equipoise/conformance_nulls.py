"""What every null must hold, as a check that a third party runs too."""

from collections.abc import Sequence

from equipoise.conformance import hold
from equipoise.inference.scorer import Scorer
from equipoise.nulls.base import Answered, Null
from equipoise.records import (
    Continuation,
    Generation,
    NextToken,
    NextTokenScored,
    Request,
    Scored,
    ScoredPair,
    TextPair,
)

_ASKED: tuple[tuple[Request, ...], ...] = (
    (
        Continuation(context="", continuation="The lamp was green."),
        Continuation(context="", continuation="The old lamp in the hall was green and small."),
    ),
    (
        TextPair(
            first="The nurse is kind.", second="The engineer is kind.",
            tokens="unmodified_after", view="left",
        ),
    ),
    (NextToken(context="The nurse said that", words=(" he", " she")),),
    (NextToken(context="A. lamp\nB. hall\nAnswer:", words=(" A", " B")),),
)  # fmt: skip


def check_null(null: Null, model: Scorer | None = None) -> None:
    """Its rules answer each request in its kind, are named apart, and do not depend on company.

    `model`: for rules of a model (`Null.of_model`). Nothing may be answered where texts are to be
    written, and some rule must act on one of the usual requests.
    """
    cls = type(null)
    hold(bool(cls.__doc__), f"{cls.__name__} must have a docstring")
    hold(bool(null.version), f"{cls.__name__} must state its version")
    written = [[Generation(context="The lamp", max_tokens=3)]]
    hold(null.guesses(written, model) == [], "what is to be written has no null")
    acted = False
    for row in _ASKED:
        guesses = null.guesses([row], model)
        acted = acted or bool(guesses)
        names = [guess.name for guess in guesses]
        hold(len(set(names)) == len(names), f"rules must have different names, got {names}")
        again = {guess.name: guess for guess in null.guesses([row, row], model)}
        for guess in guesses:
            hold(bool(guess.says), f"{guess.name} must say what it does")
            _check_kinds(row, guess.answers)
            same = again[guess.name].answers == [*guess.answers, *guess.answers]
            hold(same, f"{guess.name} must answer an example alike in any company")
    hold(acted, f"{cls.__name__} must act on some request, it acts on none")


def _check_kinds(asked: Sequence[Request], answers: Answered) -> None:
    kinds = {Continuation: Scored, TextPair: ScoredPair, NextToken: NextTokenScored}
    (row,) = answers
    fit = len(row) == len(asked) and all(
        isinstance(answer, kinds[type(request)]) for request, answer in zip(asked, row, strict=True)
    )
    hold(fit, f"requests must be answered in their kind, got {[type(a).__name__ for a in row]}")
