"""Evaluation on held-out texts: the bias of each type, and what training has cost.

LMS is StereoSet's language-modelling score (Nadeem et al. 2021, section 4; `metrics/preference.py`
has the benchmark's): how often a text that makes sense is likelier, per token, than another that
does not. Here every example counts once. Perplexity is that of all tokens of the passages together.
Every example and passage is compared with itself before training, so that a change is known more
precisely than the value.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equipoise.contrast_training.held_out_bias import (
    DRAWS,
    TypeBias,
    mean_logprobs,
    means_over_terms,
    scored_means,
    type_biases,
)
from equipoise.contrast_training.held_out_texts import Passage
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, SideEffect, SideEffectChange
from equipoise.contrast_training.tokenized import TokenizedContrast
from equipoise.records import Column, Columns, Metric
from equipoise.stats.draws import CLUSTER
from equipoise.stats.resample import Interval, bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of an evaluation."""

    biases: Mapping[str, TypeBias]  # by type
    changes: Sequence[SideEffectChange] = ()  # of the limited side effects


class HeldOutEvaluation:
    """Evaluates held-out contrasts and passages; changes are against the first evaluation."""

    def __init__(
        self,
        forward: PackedForward,
        contrasts: Sequence[TokenizedContrast],
        passages: Sequence[Passage] = (),
        *,
        effects: Collection[SideEffect],
        seed: int,
    ) -> None:
        """`effects`: LMS needs contrasts with an unrelated text, perplexity needs passages."""
        self._forward = forward
        self._contrasts = contrasts
        self._passages = passages if PERPLEXITY in effects else ()
        unrelated = [
            (row, contrast.unrelated)
            for row, contrast in enumerate(contrasts)
            if LMS in effects and contrast.unrelated
        ]
        self._lms_rows = [row for row, _ in unrelated]
        self._unrelated = [(contrasts[row], text) for row, text in unrelated]
        self._seed = seed
        self._before: dict[SideEffect, Column] = {}

    def __call__(self) -> Evaluation:
        """Evaluate the model as it is now."""
        pairs = [(contrast, text) for contrast in self._contrasts for text in contrast.pair]
        means = scored_means(self._forward, [*pairs, *self._unrelated])
        first, second = means[0 : len(pairs) : 2], means[1 : len(pairs) : 2]
        changes = []
        if self._lms_rows:
            changes.append(self._lms_fall(first, second, means[len(pairs) :]))
        if self._passages:
            changes.append(self._perplexity_rise())
        biases = type_biases(first - second, self._contrasts, seed=self._seed)
        return Evaluation(biases=biases, changes=changes)

    def _lms_fall(self, first: Column, second: Column, unrelated: Column) -> SideEffectChange:
        signs = [np.sign(means[self._lms_rows] - unrelated) for means in (first, second)]
        lms = 50.0 + 25.0 * (signs[0] + signs[1])  # percent per contrast; ties count half
        before = self._before.setdefault(LMS, lms)
        contrasts = [contrast for contrast, _ in self._unrelated]
        (points,) = means_over_terms([before - lms], contrasts, seed=self._seed)
        return SideEffectChange(effect=LMS, change=points, now=float(lms.mean()))

    def _perplexity_rise(self) -> SideEffectChange:
        texts = [passage.text for passage in self._passages]
        positions = [text.positions for text in texts]
        tokens = np.array([len(places) for places in positions], dtype=np.float64)
        nats = -mean_logprobs(self._forward, texts, positions) * tokens
        before = self._before.setdefault(PERPLEXITY, nats)
        documents = sorted({passage.document for passage in self._passages})
        clusters = [documents.index(passage.document) for passage in self._passages]
        columns = {
            "more": nats - before,
            "tokens": tokens,
            CLUSTER: np.array(clusters, np.float64),
        }
        (more,) = bootstrap([_MORE], columns, draws=DRAWS, seed=self._seed)
        with np.errstate(over="ignore"):  # infinite, and over any limit
            now = float(np.exp(nats.sum() / tokens.sum()))
            return SideEffectChange(effect=PERPLEXITY, change=_in_percent(more), now=now)


def _more(columns: Columns) -> float:
    return float(columns["more"].sum() / columns["tokens"].sum())


_MORE = Metric(
    name="more",
    of=_more,
    unit="nats",
    source="nats more than before / tokens",
    higher_is_better=False,
)


def _in_percent(nats: Interval) -> Interval:
    """Percent of perplexity. Nats are resampled: between few documents they vary evenly."""
    value, low, high = (float(100.0 * np.expm1(edge)) for edge in (nats.value, nats.low, nats.high))
    return replace(nats, value=value, low=low, high=high)
