"""Prompts of the user's own: values by hand, words of several tokens, and what is refused."""

import math
from pathlib import Path

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.prompts import Prompts
from equipoise.checks.run import check_measurement
from equipoise.errors import ModelError, OptionError
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import Continuation
from equipoise.testing import FakeScorer, tiny_model

TREES = "prompt,group,target\nThe oak is,wood,oak\nThe elm is,wood,elm\nThe ash is,park,ash\n"
PROBABILITIES = {
    "The oak is old": 0.3, "The oak is gray": 0.1, "The oak is young": 0.1,
    "The oak is green": 0.1,
    "The elm is old": 0.1, "The elm is gray": 0.1, "The elm is young": 0.1,
    "The elm is green": 0.1,
    "The ash is old": 0.1, "The ash is gray": 0.1, "The ash is young": 0.3,
    "The ash is green": 0.1,
}  # fmt: skip


def write(folder: Path, content: str = TREES) -> str:
    (folder / "mine.csv").write_text(content)
    return str(folder / "mine.csv")


@pytest.mark.thorough
def test_values_by_hand(tmp_path: Path) -> None:
    benchmark = Prompts(file=write(tmp_path), words=("old|gray", "young|green"))
    scorer = FakeScorer(nats={text: math.log(p) for text, p in PROBABILITIES.items()})
    measurement = measure(scorer, benchmark, draws=20)
    values = {estimate.metric: estimate.value for estimate in measurement.estimates[:7]}
    assert values == pytest.approx({
        "log_odds": 0.0, "first_preferred": 50.0, "log_odds_abs": 2 * math.log(2) / 3,
        "gap_abs": 0.4 / 3, "abs_rho": 2 / 9, "mass": 1.6 / 3, "single_token": 100.0,
    }, abs=1e-12)  # fmt: skip
    assert measurement.estimate("log_odds", group="wood").value == pytest.approx(math.log(2) / 2)
    assert measurement.estimate("log_odds", target="ash").value == pytest.approx(-math.log(2))
    assert "words: 'old|gray' against 'young|green'" in measurement.notes
    assert [use.verified for use in measurement.data] == [None]
    assert all(finding.level == "ok" for finding in check_measurement(measurement))


@pytest.mark.thorough
def test_a_word_of_several_tokens_is_their_product(tmp_path: Path) -> None:
    """A token of the tiny model is a byte."""
    model = tiny_model("llama")
    benchmark = Prompts(file=write(tmp_path), words=("old", "young"))
    (outcome, *_), (prompt, *_) = (
        measure(model, benchmark, draws=0).outcomes,
        benchmark.examples(""),
    )
    first, second = model.score(
        [
            Continuation(context=prompt.text, continuation=word)
            for word in (*prompt.first, *prompt.second)
        ]
    )
    assert outcome.values["lo"] == pytest.approx(first.logprob - second.logprob, rel=1e-5)
    assert outcome.values["single_token"] == 0.0


def test_a_masked_model_is_refused(tmp_path: Path) -> None:
    benchmark = Prompts(file=write(tmp_path), words=("old", "young"))
    with pytest.raises(ModelError, match="causal"):
        measure(tiny_model("bert"), benchmark, draws=0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["old", "old"], "two sets of equally many different words, got .'old'. twice"),
        (["old|gray", "young"], "got 2 and 1"),
        (["", "young"], "got 0 and 1"),
        ("old,young", "must be a list"),
    ],
)
def test_words_that_are_no_sets(words: object, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Benchmark, "prompts", {"file": "mine.csv", "words": words})  # type: ignore[dict-item]
    with pytest.raises(OptionError, match="must not be given beside columns of them"):
        build(Benchmark, "prompts", {"file": "a.csv", "words": ["a", "b"], "first": "c"})
