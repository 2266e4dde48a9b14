"""A comparison with everything in it: a bias reduced, one reversed, an ability lost, nan."""

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.compare import compare
from equipoise.conclusions import Comparison
from equipoise.measure import measure
from equipoise.records import (
    OPTIONS,
    Continuation,
    Metric,
    Outcome,
    Prompt,
    Scored,
)
from equipoise.testing import FakeScorer


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Toy(Benchmark[Prompt, Scored]):
    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric(
            name="share", of=lambda c: float(100 * np.mean(c["x"] > -1.0)), unit="%", ideal=50.0,
            source="t",
        ),
        Metric(
            name="fluency", of=lambda c: float(np.mean(c["x"])), unit="nats", source="t",
            higher_is_better=True, ideal=0.0,
        ),
        Metric(name="silent", of=lambda _: math.nan, unit="", source="t", ideal=0.0),
    )  # fmt: skip
    by: ClassVar[tuple[str, ...]] = ("kind",)
    faults: ClassVar[tuple[str, ...]] = ("<script>alert('a fault')</script>",)

    def examples(self, split: str) -> Sequence[Prompt]:  # noqa: ARG002
        kinds = ("even|kind", "odd")
        return [Prompt(id=str(k), text=f"t{k}", groups={"kind": kinds[k % 2]}) for k in range(60)]

    def requests(self, example: Prompt) -> Sequence[Continuation]:
        return [Continuation(context="", continuation=example.text)]

    def outcome(self, example: Prompt, responses: Sequence[Scored]) -> Outcome:
        return Outcome(example=example.id, values={"x": responses[0].logprob})


def model(share: float) -> FakeScorer:
    """Likes the first `share` of every ten texts."""
    return FakeScorer(
        nats=lambda _, text: -0.5 if int(text[1:]) // 6 < 10 * share else -1.5,
        identity=f"likes<{share}>",
    )


@pytest.fixture(scope="session")
def reduced() -> Comparison:
    """A share of 90 % becomes 50 %: bias reduced, fluency worse, one metric unknown."""
    sides = [measure(model(share), Toy(), draws=50) for share in (0.9, 0.5)]
    return compare(sides[0], sides[1], draws=100)


@pytest.fixture(scope="session")
def reversed_() -> Comparison:
    """A share of 90 % becomes 10 %."""
    sides = [measure(model(share), Toy(), draws=50) for share in (0.9, 0.1)]
    return compare(sides[0], sides[1], draws=100)
