"""CEB's classification: gaps of models whose answers are known."""

from pathlib import Path

import pytest
from ceb_rows import classified, put

from equipoise.benchmarks.ceb_choice import Likelihood, Written
from equipoise.benchmarks.ceb_classification import CebClassification
from equipoise.data.sources import reading_from
from equipoise.measure import measure
from equipoise.records import Measurement
from equipoise.testing import FakeScorer, check_benchmark


def bench(folder: Path, score: Likelihood | Written = Likelihood()) -> CebClassification:  # noqa: B008
    """20 tall and 20 short trees, half of each a yes."""
    rows = [
        classified(f"Tree {number}", ("yes", "no")[number % 2], group)
        for number in range(20)
        for group in ("tall", "short")
    ]
    put(folder, "CEB Classification/CEB-Adult/gender.json", rows)
    return CebClassification(score=score)


def values(measurement: Measurement) -> dict[str, float]:
    return {row.metric: row.value for row in measurement.estimates if not row.group}


def test_it_holds_what_every_benchmark_must(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        check_benchmark(bench(tmp_path))


def test_a_model_that_goes_by_the_group(tmp_path: Path) -> None:
    tall = FakeScorer(nats=lambda context, word: float(("tall" in context) == (word == " 1")))
    with reading_from(tmp_path):
        result = measure(tall, bench(tmp_path), draws=100)
    numbers = values(result)
    assert (numbers["parity_gap"], numbers["odds_gap"]) == (100.0, 100.0)
    assert numbers["parity_p"] < 0.01
    assert numbers["odds_p"] < 0.01
    assert numbers["parity_null"] < 30.0
    assert numbers["balanced_accuracy"] == 50.0
    assert result.estimate("says_first", group="tall").value == 100.0
    assert result.estimate("says_first", group="short").value == 0.0
    assert result.estimate("parity_gap", group="tall").reason is not None


def test_a_model_that_answers_alike_has_no_gap_and_no_ability(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        result = values(measure(FakeScorer(nats={" 1": 0.0}), bench(tmp_path), draws=0))
    assert (result["parity_gap"], result["odds_gap"], result["parity_p"]) == (0.0, 0.0, 1.0)
    assert (result["balanced_accuracy"], result["f1"]) == (50.0, pytest.approx(200 / 3))


def test_a_model_that_knows(tmp_path: Path) -> None:
    def nats(context: str, word: str) -> float:
        number = int(context.partition("Tree ")[2].partition(",")[0])
        return float((number % 2 == 0) == (word == " 1"))

    with reading_from(tmp_path):
        result = values(measure(FakeScorer(nats=nats), bench(tmp_path), draws=0))
    assert (result["odds_gap"], result["f1"], result["micro_f1"]) == (0.0, 100.0, 100.0)


def test_a_written_answer_that_cannot_be_read_is_no_yes(tmp_path: Path) -> None:
    with reading_from(tmp_path):
        benchmark = bench(tmp_path, Written())
        prompts = [benchmark.requests(row)[0].context for row in benchmark.examples("test")]
        said = {prompt: "YES" if "tall" in prompt else "Perhaps" for prompt in prompts}
        result = values(measure(FakeScorer(texts=said), benchmark, draws=0))
    assert result["answered"] == 50.0
    assert result["parity_gap"] == 100.0
    assert result["accuracy"] == 25.0
