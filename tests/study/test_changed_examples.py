"""The examples that changed most: which, in what order, and with which texts."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from pydantic.dataclasses import dataclass

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.compare import compare
from equipoise.conclusions import Comparison
from equipoise.measure import measure
from equipoise.records import OPTIONS, Columns, Continuation, Metric, Outcome, Prompt, Scored
from equipoise.study.changed_examples import (
    drop_repeats,
    evaluate_alone,
    evaluate_each,
    with_examples,
)
from equipoise.testing import FakeScorer

GAPS = {"a": 0.0, "b": 3.0, "c": -1.0, "d": 1.0, "e": 2.0}  # change of x, by example
SPREAD = {"d": 4.0}  # change of y alone, which the metric does not see


def mean(columns: Columns) -> float:
    return float(np.mean(columns["x"]))


def over_two(columns: Columns) -> float:
    """Of more than one example; alone it is not defined."""
    return mean(columns) if len(columns["x"]) > 1 else math.nan


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Few(Benchmark[Prompt, Scored]):
    """Two requests an example: x is the first's logprob, y the second's."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (Metric(name="x", of=mean, unit="nats", source="t"),)

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        return [Prompt(id=item, text=f"{item} ", groups={"kind": item}) for item in GAPS]

    def requests(self, example: Prompt) -> Sequence[Continuation]:
        return [
            Continuation(context=example.text, continuation="x"),
            Continuation(context=example.text, continuation="y"),
        ]

    def outcome(self, example: Prompt, responses: Sequence[Scored]) -> Outcome:
        x, y = (response.logprob for response in responses)
        return Outcome(example=example.id, values={"x": x, "y": y}, text=f"{example.id} {x}")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Together(Few):
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(name="x", of=over_two, unit="nats", source="t"),
    )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Filled(Few):
    """Also says what its texts were made of, for the check of what was learnt."""

    def texts(self, example: Prompt) -> Sequence[str]:
        return (f"{example.text} of {{target}}", f"{example.text} of Peru")


def scorer(moved: float) -> FakeScorer:
    """-10 nats each; `moved` times what is listed is taken off."""

    def nats(context: str, text: str) -> float:
        shifts = GAPS if text == "x" else SPREAD
        return -10.0 - moved * shifts.get(context.strip(), 0.0)

    return FakeScorer(nats=nats, identity=f"moved {moved}")


def compared(benchmark: Few, change: Callable[[Outcome], Outcome] | None = None) -> Comparison:
    sides = [measure(scorer(moved), benchmark, draws=0) for moved in (0.0, 1.0)]
    if change is not None:
        sides[1] = replace(sides[1], outcomes=tuple(map(change, sides[1].outcomes)))
    return compare(sides[0], sides[1], draws=0)


def test_the_most_changed_come_first_and_the_unchanged_not_at_all() -> None:
    result = with_examples(compared(Few()), Few(), count=10)
    # d before c: the same change of x, but its y moved by 4
    assert [example.example for example in result.examples] == ["b", "e", "d", "c"]
    assert [(example.before, example.after) for example in result.examples] == [
        (-10.0, -13.0),
        (-10.0, -12.0),
        (-10.0, -11.0),
        (-10.0, -9.0),
    ]
    first = result.examples[0]
    assert (first.metric, dict(first.groups)) == ("x", {"kind": "b"})
    assert (first.wrote_before, first.wrote_after) == ("b -10.0", "b -13.0")
    assert result.changes == compared(Few()).changes


@pytest.mark.parametrize("count", [0, 1, 3])
def test_count_of_examples(count: int) -> None:
    examples = with_examples(compared(Few()), Few(), count=count).examples
    assert [entry.example for entry in examples] == ["b", "e", "d"][:count]


def test_examples_without_a_finite_change_are_left_out() -> None:
    def spoilt(outcome: Outcome) -> Outcome:
        values = {"b": math.nan, "e": -math.inf}
        return replace(
            outcome,
            values={**outcome.values, "x": values.get(outcome.example, outcome.values["x"])},
        )

    result = with_examples(compared(Few(), spoilt), Few(), count=10)
    assert [example.example for example in result.examples] == ["d", "c"]


def test_a_metric_that_one_example_does_not_have_shows_none() -> None:
    assert with_examples(compared(Together()), Together(), count=10).examples == ()


def test_texts_are_shown_whole_and_once() -> None:
    examples = with_examples(compared(Few()), Few(), count=1).examples
    assert examples[0].texts == ("b x", "b y")  # its context alone is the beginning of both


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ([], ()),
        (["", "  "], ()),
        (["one ", "one"], ("one",)),
        (["one "], ("one",)),  # its own space behind it does not hide it
        (["one", "one two ", "one two"], ("one two",)),
        (["two", "one"], ("two", "one")),
    ],
)
def test_which_texts_are_shown(texts: list[str], shown: tuple[str, ...]) -> None:
    assert drop_repeats(texts) == shown


def test_the_form_that_a_text_was_made_of_is_not_shown_beside_it() -> None:
    shown = with_examples(compared(Filled()), Filled(), count=1).examples[0].texts
    assert any("of Peru" in text for text in shown)
    assert not any("{target}" in text for text in shown)


@pytest.mark.parametrize("name", ["genbias", "genhint", "stereoset", "crows_pairs", "facts", "bbq"])
def test_examples_are_evaluated_in_blocks_as_alone(name: str) -> None:
    benchmark = plugins.build(Benchmark, name, {})
    columns = sorted({key for metric in benchmark.metrics for key in keys_read(metric)})
    generator = np.random.default_rng(0)
    outcomes = [
        Outcome(
            example=str(row),
            values={
                key: [float(generator.random()), math.nan, math.inf][
                    min(row % 7, 2) if row > 280 else 0
                ]
                for key in columns
                if not key.startswith("@") and (row < 290 or generator.random() < 0.7)
            },
            groups={key[1:]: f"g{row % 5}" for key in columns if key.startswith("@")},
        )
        for row in range(300)
    ]
    for metric in benchmark.metrics:
        with np.errstate(invalid="ignore"):  # infinity minus infinity
            alone = [evaluate_alone(metric, outcome) for outcome in outcomes]
            together = evaluate_each(metric, outcomes)
        assert np.array_equal(together, alone, equal_nan=True), metric.name


def keys_read(metric: Metric) -> set[str]:
    """The columns that a metric asks for."""
    read: set[str] = set()

    class Asked(dict[str, np.ndarray]):
        def __missing__(self, key: str) -> np.ndarray:
            read.add(key)
            return np.zeros(2, dtype=int if key.startswith("@") else float)

    with contextlib.suppress(ValueError, ZeroDivisionError, KeyError, IndexError):
        metric.of(Asked({"@cluster": np.arange(2)}))
    return read
