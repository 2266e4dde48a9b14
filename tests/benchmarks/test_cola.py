"""CoLA: the prompt by hand, models whose answers are known, and what was learnt."""

import math
from collections.abc import Callable

import pytest

from equipoise.benchmarks.cola import Cola
from equipoise.data.glue import Labelled
from equipoise.measure import measure
from equipoise.records import Outcome, Scored
from equipoise.stats.resample import columns_of
from equipoise.testing import FakeScorer

SENTENCE = Labelled(id="line 1", texts=("The door opens.",), label=1, groups={"source": "gj04"})


def test_prompt() -> None:
    requests = Cola().requests(SENTENCE)
    context = "The door opens.\nQuestion: Does this sentence make sense?\nAnswer:"
    assert [(request.context, request.continuation) for request in requests] == [
        (context, " no"),
        (context, " yes"),
    ]
    assert Cola().texts(SENTENCE) == ("The door opens.",)


def answering(*scores: float) -> list[Scored]:
    return [Scored(token_logprobs=(score,), bytes=1) for score in scores]


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = Cola()
    examples = bench.examples("dev")

    def scores(answer: Callable[[Labelled], list[Scored]]) -> tuple[float, float]:
        rows = [bench.outcome(example, answer(example)) for example in examples]
        columns = columns_of(rows, cluster=None)
        mcc, accuracy, *_ = Cola.metrics
        return mcc.of(columns), accuracy.of(columns)

    known = scores(lambda example: answering(-example.label, example.label - 1))
    assert known == (pytest.approx(1.0), 100.0)
    reversed_ = scores(lambda example: answering(example.label - 1, -example.label))
    assert reversed_ == (pytest.approx(-1.0), 0.0)
    always = measure(FakeScorer(nats={" yes": 0.0}), bench, draws=0)
    values = {estimate.metric: estimate.value for estimate in always.estimates}
    assert values == pytest.approx({
        "mcc": 0.0, "accuracy": 100 * 721 / 1043, "f1": 200 * 721 / (2 * 721 + 322),
        "predicted_positive": 100.0,
    })  # fmt: skip


@pytest.mark.usefixtures("data_folder")
def test_sentences_with_both_labels() -> None:
    judged: dict[tuple[str, ...], set[int]] = {}
    for example in Cola().examples("dev"):
        judged.setdefault(example.texts, set()).add(example.label)
    assert sum(len(labels) == 2 for labels in judged.values()) == 3


def test_single_class_mcc_is_nan_with_reason() -> None:
    rows = [
        Outcome(example=str(n), values={"correct": 1.0, "predicted": 1.0, "truth": 1.0})
        for n in range(3)
    ]
    (mcc, *_) = Cola.metrics
    assert math.isnan(mcc.of(columns_of(rows, cluster=None)))
    assert mcc.needs == "rows of both true classes"
