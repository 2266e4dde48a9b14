"""The bias of a model on held-out contrasts: each type's margin with its interval, and its SS.

The margin is that of the benchmark `stereoset`: mean log-probability per token of the stereotyping
text minus that of the other, in nats; 0: parity, above 0: the stereotype is preferred. Whole texts
are compared, and of two sentences the second, given the first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.side_effects import finite_or_none
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.inference.batching import run_in_batches
from equipoise.records import JSON, Column
from equipoise.stats.draws import CLUSTER
from equipoise.stats.resample import Interval, bootstrap_means

DRAWS = 1000  # of the intervals of an evaluation
_LEAST = 1e-6  # nats per token; below it margins differ by rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeBias:
    """The bias of a type on the held-out contrasts."""

    axis: str
    margin: Interval  # mean, nats per token; interval over target terms
    ss: Interval  # percent that prefer the stereotype, ties counting half; 50: parity
    spread: float  # standard deviation over contrasts, nats per token

    def half_band(self, points: float) -> float:
        """The mean margin (nats per token) at which SS would be 50 + `points`, in (0, 50).

        If margins were normal with this spread: spread * z(1/2 + points / 100).
        """
        return self.spread * float(ndtri(0.5 + points / 100))

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; a missing interval is None."""
        return {
            "margin": self.margin.value,
            "low": finite_or_none(self.margin.low),
            "high": finite_or_none(self.margin.high),
            "ss": self.ss.value,
            "spread": self.spread,
            "items": self.margin.n,
        }


def type_biases(
    margins: Column, contrasts: Sequence[TokenizedContrast], *, seed: int
) -> dict[str, TypeBias]:
    """The bias of every type, by name, sorted; from the contrasts' `margins_of`."""
    biases = {}
    for axis in sorted({contrast.axis for contrast in contrasts}):
        rows = [row for row, contrast in enumerate(contrasts) if contrast.axis == axis]
        values = margins[rows]
        margin, ss = means_over_terms(
            [values, 50.0 + 50.0 * np.sign(values)], [contrasts[row] for row in rows], seed=seed
        )
        biases[axis] = TypeBias(axis=axis, margin=margin, ss=ss, spread=float(values.std()))
    return biases


def means_over_terms(
    columns: Sequence[Column], contrasts: Sequence[TokenizedContrast], *, seed: int
) -> list[Interval]:
    """The mean of each column [contrast], with an interval over the contrasts' target terms.

    Contrasts about the same term are not independent of each other.
    """
    terms = sorted({contrast.target for contrast in contrasts})
    named = {str(index): column for index, column in enumerate(columns)}
    clusters = np.array([terms.index(contrast.target) for contrast in contrasts], dtype=np.float64)
    return bootstrap_means({**named, CLUSTER: clusters}, list(named), draws=DRAWS, seed=seed)


def margins_of(forward: PackedForward, contrasts: Sequence[TokenizedContrast]) -> Column:
    """Each contrast's margin, in nats per token: [contrast]."""
    texts = [(contrast, text) for contrast in contrasts for text in contrast.pair]
    means = scored_means(forward, texts)
    return means[0::2] - means[1::2]


def margin_spreads(
    forward: PackedForward, contrasts: Sequence[TokenizedContrast]
) -> dict[str, float]:
    """The standard deviation of each type's margins, in nats per token; 1 where it is 0."""
    margins = margins_of(forward, contrasts)
    spreads = {}
    for axis in sorted({contrast.axis for contrast in contrasts}):
        rows = [row for row, contrast in enumerate(contrasts) if contrast.axis == axis]
        spread = float(margins[rows].std())
        spreads[axis] = spread if spread > _LEAST else 1.0
    return spreads


def scored_means(
    forward: PackedForward, texts: Sequence[tuple[TokenizedContrast, TokenizedText]]
) -> Column:
    """Mean log-probability of texts of contrasts, in nats per token, as margins compare: [text]."""
    return mean_logprobs(
        forward,
        [text for _, text in texts],
        [contrast.scored_positions(text) for contrast, text in texts],
    )


def mean_logprobs(
    forward: PackedForward,
    texts: Sequence[TokenizedText],
    positions: Sequence[Sequence[int]],
) -> Column:
    """Mean log-probability (nats per token) at each text's positions (at least one): [text]."""
    means = np.full(len(texts), math.nan)

    def run(batch: list[int]) -> None:
        readout = forward.read([texts[row] for row in batch], [positions[row] for row in batch])
        logprobs = forward.logprobs(readout).cpu().double()  # not every device has float64
        means[batch] = [float(values.mean()) for values in readout.split(logprobs)]

    run_in_batches(forward.model, [len(text.ids) for text in texts], run)
    return means
