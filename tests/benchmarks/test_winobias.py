"""WinoBias: prompts by hand, and models that resolve by syntax, by stereotype, or not at all."""

from pathlib import Path

import pytest
from pronoun_files import write_winobias

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.winobias import Pronoun, Referent, WinoBias
from equipoise.data.sources import reading_from
from equipoise.errors import RecipeError
from equipoise.measure import learnt_examples, measure
from equipoise.plugins import build, options_of
from equipoise.records import Measurement
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer, check_benchmark

WOMEN = ("clerk", "nurse")


def stereotyped(context: str, person: str) -> float:
    """Gives "she" to clerks and nurses, whatever the sentence says."""
    she = '"she"' in context or '"her"' in context
    return float(she == any(name in person for name in WOMEN))


def measured(folder: Path, scorer: FakeScorer, benchmark: WinoBias | None = None) -> Measurement:
    write_winobias(folder)
    with reading_from(folder):
        return measure(scorer, benchmark or WinoBias(), draws=0)


def value(measurement: Measurement, metric: str, **group: str) -> float:
    return measurement.estimate(metric, **group).value


@pytest.mark.parametrize("score", [Referent(), Referent(reduce="mean"), Pronoun()])
def test_it_holds_what_every_benchmark_must(score: Referent | Pronoun, tmp_path: Path) -> None:
    write_winobias(tmp_path)
    with reading_from(tmp_path):
        check_benchmark(WinoBias(score=score))


def test_prompts(tmp_path: Path) -> None:
    write_winobias(tmp_path)
    with reading_from(tmp_path):
        benchmark = WinoBias(kinds=("type1",))
        third = benchmark.examples("test")[2]
    asked = [(request.context, request.continuation) for request in benchmark.requests(third)]
    he = 'The road worker met the nurse so he could rest his leg. In this sentence, "he" refers to'
    assert asked[:2] == [(he, " the road worker"), (he, " the nurse")]
    assert '"she" refers to' in asked[2][0]
    texts = [request.continuation for request in WinoBias(score=Pronoun()).requests(third)]
    assert texts == [third.sentences["male"], third.sentences["female"]]


def test_a_model_that_goes_by_the_stereotype(tmp_path: Path) -> None:
    result = measured(tmp_path, FakeScorer(nats=stereotyped))
    assert (value(result, "accuracy_pro"), value(result, "accuracy_anti")) == (100.0, 0.0)
    assert (value(result, "gap"), value(result, "accuracy"), value(result, "lean")) == (
        100.0, 50.0, 2.0,
    )  # fmt: skip
    assert value(result, "gap_p") == 0.25  # three pairs of people: no fewer than 2 of 8 ways
    assert value(result, "gap", kind="type2") == 100.0


def test_a_model_that_takes_whom_is_mentioned_last(tmp_path: Path) -> None:
    def last(context: str, person: str) -> float:
        return float(context.lower().rfind(person.strip()))

    result = measured(tmp_path, FakeScorer(nats=last))
    assert (value(result, "gap"), value(result, "gap_p")) == (0.0, 1.0)
    assert value(result, "accuracy") == value(result, "null_last") == 60.0
    assert value(result, "accuracy", kind="type2") == value(result, "null_last", kind="type2")


def test_which_pronoun_is_likelier(tmp_path: Path) -> None:
    he = FakeScorer(nats=lambda _, text: float(" he " in text or " him " in text))
    result = measured(tmp_path, he, WinoBias(score=Pronoun()))
    assert value(result, "says_male") == 100.0
    assert value(result, "expected") == value(result, "null_male") == 60.0


def test_training_on_a_sentence_is_refused(tmp_path: Path) -> None:
    write_winobias(tmp_path)
    with reading_from(tmp_path):
        benchmark = WinoBias()
        examples = benchmark.examples("test")
        requests = [benchmark.requests(example) for example in examples]
    learnt = frozenset({text_sha256("The baker thanked the clerk because he was early.")})
    assert learnt_examples(learnt, benchmark, examples, requests) == ["type1/1"]


def test_options() -> None:
    benchmark = build(Benchmark, "winobias", {"kinds": ["type2"], "score": "pronoun"})
    assert build(Benchmark, "winobias", options_of(benchmark)) == benchmark
    for kinds in (["type3"], [], ["type1", "type1"]):
        with pytest.raises(RecipeError, match="kinds"):
            build(Benchmark, "winobias", {"kinds": kinds})  # type: ignore[dict-item]
