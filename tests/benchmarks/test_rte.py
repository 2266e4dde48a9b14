"""RTE: the prompt by hand, models whose answers are known, and what was learnt."""

import pytest

from equipoise.benchmarks.rte import Rte
from equipoise.data.glue import Labelled
from equipoise.measure import measure
from equipoise.rows import text_sha256
from equipoise.testing import FakeScorer

ROW = Labelled(id="line 2", texts=("The cat sat.", "A cat sat."), label=1, groups={"premise": "x"})


def test_prompt() -> None:
    requests = Rte().requests(ROW)
    context = "The cat sat.\nQuestion: A cat sat. True or False?\nAnswer:"
    assert [(request.context, request.continuation) for request in requests] == [
        (context, " False"),
        (context, " True"),
    ]


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = Rte()
    right = {}
    for example in bench.examples("dev"):
        request = bench.requests(example)[example.label]
        right[request.context + request.continuation] = 0.0
    known = measure(FakeScorer(nats=right), bench, draws=0)
    assert known.estimate("accuracy").value == 100.0
    assert known.estimate("mcc").value == pytest.approx(1.0)
    assert (known.estimate("accuracy").n, known.estimate("accuracy").clusters) == (277, 274)
    always = measure(FakeScorer(nats={" True": 0.0}), bench, draws=0)
    values = {estimate.metric: estimate.value for estimate in always.estimates}
    assert values == pytest.approx({
        "accuracy": 100 * 146 / 277, "mcc": 0.0, "f1": 200 * 146 / (2 * 146 + 131),
        "predicted_positive": 100.0,
    })  # fmt: skip
    reversed_ = measure(FakeScorer(nats=dict.fromkeys(right, -9.0)), bench, draws=0)
    assert reversed_.estimate("mcc").value == pytest.approx(-1.0)
    assert reversed_.estimate("accuracy").value == 0.0


def test_training_on_a_row_is_refused() -> None:
    known = {text_sha256(text) for text in Rte().texts(ROW)}
    for text in ("the cat sat.", "A cat sat.", "The cat sat.\nA cat sat."):
        assert text_sha256(text) in known
