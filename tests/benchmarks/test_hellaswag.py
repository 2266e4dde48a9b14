"""HellaSwag: sums and rates by hand, models whose answers are known, and what was learnt."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.benchmarks.hellaswag import HellaSwag
from equipoise.data.hellaswag import Story
from equipoise.errors import DataError
from equipoise.measure import measure
from equipoise.records import Scored
from equipoise.rows import text_sha256
from equipoise.stats.resample import columns_of
from equipoise.testing import FakeScorer

STORY = Story(
    id="line 1",
    activity="Making tea",
    beginning="A pot stands there.",
    endings=("It boils and boils and boils.", "It sings.", "No.", "Où?"),
    answer=0,
    groups={"source": "line 1"},
)


def scored(*sums: float) -> list[Scored]:
    return [Scored(token_logprobs=(logprob,), bytes=1) for logprob in sums]


def values(*sums: float) -> dict[str, float]:
    return dict(HellaSwag().outcome(STORY, scored(*sums)).values)


def test_requests() -> None:
    requests = HellaSwag().requests(STORY)
    assert {request.context for request in requests} == {"Making tea: A pot stands there."}
    assert [request.continuation for request in requests] == [
        f" {ending}" for ending in STORY.endings
    ]


def test_accuracy_and_normalized_accuracy() -> None:
    # per byte: -29/29, -18/9, -9/3, -8/4 (ù has two)
    assert values(-29.0, -18.0, -9.0, -8.0) == {"correct": 0.0, "correct_norm": 1.0}
    assert values(-7.0, -18.0, -9.0, -8.0) == {"correct": 1.0, "correct_norm": 1.0}
    assert values(-29.0, -18.0, -9.0, -4.0) == {"correct": 0.0, "correct_norm": 0.5}
    assert values(-29.0, -9.0, -3.0, -4.0) == {"correct": 0.0, "correct_norm": 0.25}
    assert all(math.isnan(value) for value in values(math.nan, -1.0, -1.0, -1.0).values())


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_metrics_of_known_answers() -> None:
    bench = HellaSwag()
    stories = bench.examples("val")
    assert sum(story.answer == 0 for story in stories) == 2515
    few = stories[:200]

    def shares(chosen: Callable[[Story], int]) -> list[float]:
        """Both accuracies (%) of a model whose chosen ending is certain."""
        rows = [
            bench.outcome(story, scored(*(0.0 if k == chosen(story) else -1.0 for k in range(4))))
            for story in few
        ]
        columns = columns_of(rows, cluster=None)
        return [metric.of(columns) for metric in HellaSwag.metrics]

    assert shares(lambda story: story.answer) == [100.0, 100.0]
    assert shares(lambda story: (story.answer + 1) % 4) == [0.0, 0.0]
    first = sum(story.answer == 0 for story in few)
    assert shares(lambda _: 0) == pytest.approx([100 * first / 200] * 2)


@pytest.fixture
def reduced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows of the reduced form."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    file = tmp_path / "hellaswag" / "hellaswag_val.reconstructed.jsonl"
    file.parent.mkdir()
    rows = [
        {"activity_label": "Tea", "ctx": f"Pot {n} stands.", "endings": [*"abcd"], "label": 1}
        for n in range(3)
    ]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


@pytest.mark.usefixtures("reduced")
def test_guessing_on_the_reduced_file() -> None:
    measurement = measure(FakeScorer(), HellaSwag(), draws=0)
    assert [estimate.value for estimate in measurement.estimates] == [25.0] * 4
    assert [estimate.group for estimate in measurement.estimates[2:]] == [
        {"origin": "activitynet"}
    ] * 2
    assert measurement.estimate("accuracy").clusters == 3
    assert any("lacks the sources" in note for note in measurement.notes)


@pytest.mark.usefixtures("reduced")
@pytest.mark.parametrize("text", ["pot 1 stands.", "Pot 1 stands. b", "Tea: Pot 1 stands. b"])
def test_training_on_a_story_is_refused(text: str) -> None:
    scorer = FakeScorer(trained_on=frozenset({text_sha256(text)}))
    with pytest.raises(DataError, match=r"trained on 1 of the 3 examples.*'line 2'"):
        measure(scorer, HellaSwag())
