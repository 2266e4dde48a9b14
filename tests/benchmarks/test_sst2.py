"""SST-2: the prompt by hand, models whose answers are known, and what was learnt."""

import math

import pytest

from equipoise.benchmarks.sst2 import Sst2
from equipoise.data.glue import Labelled
from equipoise.errors import DataError
from equipoise.measure import measure
from equipoise.records import Scored
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer

PHRASE = Labelled(id="line 2", texts=("a fine day",), label=1)


def test_prompt() -> None:
    requests = Sst2().requests(PHRASE)
    context = "a fine day\nQuestion: Is this sentence positive or negative?\nAnswer:"
    assert [(request.context, request.continuation) for request in requests] == [
        (context, " negative"),
        (context, " positive"),
    ]


def test_unscored_answers_are_nan() -> None:
    values = Sst2().outcome(PHRASE, [Scored(token_logprobs=(), bytes=0)] * 2).values
    assert values["truth"] == 1.0
    assert math.isnan(values["correct"])
    assert math.isnan(values["predicted"])


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = Sst2()
    right = {}
    for example in bench.examples("dev"):
        request = bench.requests(example)[example.label]
        right[request.context + request.continuation] = 0.0
    known = {
        estimate.metric: estimate.value
        for estimate in measure(FakeScorer(nats=right), bench, draws=0).estimates
    }
    share = 100 * 444 / 872
    assert known == pytest.approx(
        {"accuracy": 100.0, "mcc": 1.0, "f1": 100.0, "predicted_positive": share}
    )
    always = measure(FakeScorer(nats={" positive": 0.0}), bench, draws=0)
    values = {estimate.metric: estimate.value for estimate in always.estimates}
    assert values == pytest.approx(
        {
            "accuracy": share,
            "mcc": 0.0,
            "f1": 200 * 444 / (2 * 444 + 428),
            "predicted_positive": 100.0,
        }
    )
    even = {
        estimate.metric: estimate.value
        for estimate in measure(FakeScorer(), bench, draws=0).estimates
    }
    assert (even["accuracy"], even["mcc"], even["predicted_positive"]) == (50.0, 0.0, 50.0)


@pytest.mark.usefixtures("data_folder")
def test_training_on_a_phrase_is_refused() -> None:
    bench = Sst2()
    example = bench.examples("dev")[5]
    scorer = FakeScorer(trained_on=frozenset({text_sha256(example.texts[0])}))
    with pytest.raises(DataError, match=rf"trained on 1 of the 872 examples.*'{example.id}'"):
        measure(scorer, bench)
