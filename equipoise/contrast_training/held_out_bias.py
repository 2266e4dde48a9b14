"""Where a model stands on held-out contrasts: each type's margin with its interval, and its SS.

The margin is that of the benchmark `stereoset`: mean log-probability a token of the stereotyping
text less that of the other, in nats; 0: parity, above 0: the stereotype is preferred. Whole texts
are compared, and of two sentences the second, given the first.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from torch import Tensor

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.side_effects import finite_or_none
from equipoise.contrast_training.tokenized import TokenizedContrast, TokenizedText
from equipoise.inference.batching import run_in_batches
from equipoise.records import JSON, Column
from equipoise.stats.resample import CLUSTER, Interval, bootstrap_means

DRAWS = 1000  # of the intervals of a look
_LEAST = 1e-6  # nats a token; below it margins differ by rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One type of bias on the held-out contrasts."""

    axis: str
    margin: Interval  # mean, nats a token; interval over target terms
    ss: Interval  # percent that prefer the stereotype, ties counting half; 50: parity
    spread: float  # standard deviation over items, nats a token; a watch gives that before training

    def half_band(self, points: float) -> float:
        """The mean margin (nats a token) at which SS would be 50 + `points`, in (0, 50).

        Were margins normal with this spread: spread * z(1/2 + points / 100).
        """
        return self.spread * float(ndtri(0.5 + points / 100))

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; an interval that could not be had is None."""
        return {
            "margin": self.margin.value,
            "low": finite_or_none(self.margin.low),
            "high": finite_or_none(self.margin.high),
            "ss": self.ss.value,
            "spread": self.spread,
            "items": self.margin.n,
        }


def standings(
    margins: Column, items: Sequence[TokenizedContrast], *, seed: int
) -> dict[str, Standing]:
    """The standing of every type among the items, by name, sorted; from their `margins_of`."""
    found = {}
    for axis in sorted({item.axis for item in items}):
        chosen = [index for index, item in enumerate(items) if item.axis == axis]
        own = margins[chosen]
        margin, ss = means_over_terms(
            [own, 50.0 + 50.0 * np.sign(own)], [items[at] for at in chosen], seed=seed
        )
        found[axis] = Standing(axis=axis, margin=margin, ss=ss, spread=float(own.std()))
    return found


def means_over_terms(
    several: Sequence[Column], items: Sequence[TokenizedContrast], *, seed: int
) -> list[Interval]:
    """The mean of each column [item], with an interval over the items' target terms.

    Items about one term are not independent of each other.
    """
    terms = sorted({item.target for item in items})
    columns = {str(index): one for index, one in enumerate(several)}
    names = list(columns)
    columns[CLUSTER] = np.array([terms.index(item.target) for item in items], dtype=np.float64)
    return bootstrap_means(columns, names, draws=DRAWS, seed=seed)


def margins_of(reader: PackedForward, items: Sequence[TokenizedContrast]) -> Column:
    """Each item's margin, in nats a token: [item]."""
    means = means_of(reader, [(item, text) for item in items for text in item.pair])
    return means[0::2] - means[1::2]


def spreads_of(reader: PackedForward, items: Sequence[TokenizedContrast]) -> dict[str, float]:
    """The standard deviation of each type's margins, in nats a token; 1 where there is none."""
    margins = margins_of(reader, items)
    found = {}
    for axis in sorted({item.axis for item in items}):
        own = margins[[index for index, item in enumerate(items) if item.axis == axis]]
        spread = float(own.std())
        found[axis] = spread if spread > _LEAST else 1.0
    return found


def means_of(
    reader: PackedForward, asked: Sequence[tuple[TokenizedContrast, TokenizedText]]
) -> Column:
    """Mean log-probability of texts of items, in nats a token: [text]; where they are judged."""
    texts = [text for _, text in asked]
    return mean_logprobs(reader, texts, [one.scored_positions(text) for one, text in asked])


def mean_logprobs(
    reader: PackedForward, texts: Sequence[TokenizedText], places: Sequence[Sequence[int]]
) -> Column:
    """Mean log-probability (nats a token) of each text's places, of which it has some: [text]."""
    found = np.full(len(texts), math.nan)

    def run(batch: list[int]) -> None:
        read = reader.read([texts[at] for at in batch], [places[at] for at in batch])
        logprobs = reader.logprobs(read).cpu().double()  # not every device has float64
        values: list[Tensor] = read.split(logprobs)
        found[batch] = [float(value.mean()) for value in values]

    run_in_batches(reader.model, [len(text.ids) for text in texts], run)
    return found
