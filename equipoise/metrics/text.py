"""How well a text is predicted: perplexity, nats a token, bits a byte.

Every number is a ratio of sums over texts, not a mean of per-text ratios: long texts weigh by their
length, and resampling texts resamples numerator and denominator together. Columns have shape
[text]: `logprob` in nats summed over a text, `tokens` and `bytes` the units it was summed over.
A text in which any needed column is nan is left out; with no unit left the answer is nan.
"""

import math

import numpy as np

from equipoise.records import Column


def nats_per_unit(logprob: Column, units: Column) -> float:
    """Mean negative log-likelihood per token or byte, in nats; at least 0, 0 is certainty.

    Per token it depends on the tokenizer; per byte it compares across models.
    """
    kept = ~(np.isnan(logprob) | np.isnan(units))
    total = float(units[kept].sum())
    return -float(logprob[kept].sum()) / total if total > 0 else math.nan


def perplexity(logprob: Column, units: Column) -> float:
    """exp(nats per unit): at least 1; 1 is certainty. Infinite when it overflows a float."""
    nats = nats_per_unit(logprob, units)
    return math.exp(nats) if nats < 700 or math.isnan(nats) else math.inf


def bits_per_byte(logprob: Column, bytes_: Column) -> float:
    """Negative log-likelihood per UTF-8 byte, in bits; at least 0, 8 is a uniform guess.

    Does not depend on how a tokenizer cuts the text.
    """
    return nats_per_unit(logprob, bytes_) / math.log(2)
