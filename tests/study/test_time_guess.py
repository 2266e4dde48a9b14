"""Guessed times: tokens and parameters as they are counted by hand."""

from pathlib import Path

import pytest

from equipoise.records import Continuation, Generation, NextToken, Request, TextPair
from equipoise.study.plan import Plan
from equipoise.study.time_guess import TimeGuess, count_parameters, count_tokens
from equipoise.testing import tiny_model


@pytest.mark.parametrize(
    ("requests", "tokens"),
    [
        ([], 0),
        # a context that two share is read once
        ([Continuation(context="12345678", continuation=c) for c in ("1234", "5678")], 4),
        ([NextToken(context="12345678", words=(" a", " b"))], 2),
        ([Generation(context="1234", max_tokens=10)], 11),
        ([TextPair(first="12345678", second="12345678", tokens="unmodified", view="left")], 4),
        ([TextPair(first="12345678", second="12345678", tokens="unmodified", view="both")], 8),
    ],
)
def test_tokens(requests: list[Request], tokens: float) -> None:
    assert count_tokens(requests) == tokens


def test_parameters(tiny_folder: Path, tmp_path: Path) -> None:
    distinct = sum(each.numel() for each in tiny_model().module.parameters())
    assert count_parameters(str(tiny_folder)) == distinct
    assert count_parameters(str(tmp_path)) is None
    assert count_parameters("planted:default") is None


def test_a_step_takes_as_long_as_its_operations(base_plan: Plan) -> None:
    guess = TimeGuess(base_plan, operations=1e6)
    measured, fitted = (guess.seconds(base_plan.of(kind)[0]) for kind in ("measure", "fit"))  # type: ignore[arg-type]
    assert measured is not None
    assert fitted is not None
    assert 0 < measured < fitted
    assert TimeGuess(base_plan, operations=2e6).seconds(base_plan.of("measure")[0]) == measured / 2
    assert guess.seconds(base_plan.of("compare")[0]) is None
