"""How well a text is predicted: perplexity, nats per token, bits per byte.

Every number is a ratio of sums over texts, not a mean of per-text ratios: long texts weigh by their
length, and resampling texts resamples numerator and denominator together. Columns have shape
[text]: `logprob` in nats summed over a text, `tokens` and `bytes` the units it was summed over.
A text in which any needed column is nan is left out; with no unit left the answer is nan.
"""

import math

import numpy as np

from equipoise.metrics.weighted import Weights, ratio
from equipoise.records import Column


def nats_per_unit(logprob: Column, units: Column, weights: Weights) -> Column:
    """Mean negative log-likelihood per token or byte, in nats; at least 0, 0 is certainty.

    Per token it depends on the tokenizer; per byte it compares across models.
    """
    rows = ~(np.isnan(logprob) | np.isnan(units))
    return ratio(-weights.total(logprob, rows), weights.total(units, rows))


def perplexity(logprob: Column, units: Column, weights: Weights) -> Column:
    """exp(nats per unit): at least 1; 1 is certainty. Infinite when it overflows a float."""
    with np.errstate(over="ignore"):
        return np.exp(nats_per_unit(logprob, units, weights))


def bits_per_byte(logprob: Column, bytes_: Column, weights: Weights) -> Column:
    """Negative log-likelihood per UTF-8 byte, in bits; at least 0, 8 is a uniform guess.

    Does not depend on how a tokenizer cuts the text.
    """
    return nats_per_unit(logprob, bytes_, weights) / math.log(2)


def total_units(units: Column, weights: Weights) -> Column:
    """How many tokens or bytes were scored; nan without a text."""
    rows = ~np.isnan(units)
    return np.where(weights.size(rows) > 0, weights.total(units, rows), math.nan)
