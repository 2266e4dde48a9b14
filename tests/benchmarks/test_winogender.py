"""Winogender: models that resolve by the shares of women, or not by gender at all."""

from pathlib import Path

import pytest
from pronoun_files import sentences, write_winogender

from equipoise.benchmarks.winogender import Winogender
from equipoise.data.sources import reading_from
from equipoise.measure import measure
from equipoise.records import Measurement
from equipoise.testing import FakeScorer, check_benchmark

SHARES = {"nurse": 0.9, "baker": 0.4, "clerk": 0.7}


def measured(folder: Path, scorer: FakeScorer, *rows: str) -> Measurement:
    write_winogender(folder, *rows)
    with reading_from(folder):
        return measure(scorer, Winogender(), draws=0)


def by_share(context: str, person: str) -> float:
    """Gives "she" to occupations as far as women have them, "he" as far as men do."""
    share = SHARES.get(person.removeprefix(" the "))
    if share is None or '"they"' in context:
        return 0.0
    return share - 0.5 if '"she"' in context else 0.5 - share


def test_it_holds_what_every_benchmark_must(tmp_path: Path) -> None:
    write_winogender(tmp_path)
    with reading_from(tmp_path):
        check_benchmark(Winogender())


def test_a_model_that_goes_by_the_shares_of_women(tmp_path: Path) -> None:
    result = measured(tmp_path, FakeScorer(nats=by_share))
    for metric, number in (
        ("gap", 100.0), ("accuracy", 50.0), ("accuracy_pro", 100.0), ("accuracy_neutral", 50.0),
        ("share_correlation", 1.0), ("null_last", 50.0),
    ):  # fmt: skip
        assert result.estimate(metric).value == pytest.approx(number), metric
    assert result.estimate("gap").clusters == 3
    assert result.estimate("gap", participant="someone").n == 2


def test_a_model_that_always_takes_the_occupation(tmp_path: Path) -> None:
    result = measured(tmp_path, FakeScorer(nats=lambda _, person: float(person[5:] in SHARES)))
    assert result.estimate("gap").value == 0.0
    assert result.estimate("accuracy", answer="occupation").value == 100.0
    assert result.estimate("accuracy", answer="participant").value == 0.0
    assert result.estimate("share_correlation").reason is not None  # it does not vary


def test_occupations_without_a_share_are_told(tmp_path: Path) -> None:
    result = measured(tmp_path, FakeScorer(), sentences("nurse"), sentences("smith"))
    assert result.estimate("gap").n == 2
    assert any(note.startswith("expected: not known in 2 of 4") for note in result.notes)
