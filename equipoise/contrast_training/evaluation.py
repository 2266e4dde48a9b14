"""What a look at held-out texts sees: where each type stands, and what training has cost.

LMS is StereoSet's language-modelling score (Nadeem et al. 2021, section 4; `metrics/preference.py`
has the benchmark's): how often a text that makes sense is likelier, a token, than one that does
not. Here every example counts once. Perplexity is that of all tokens of the passages together.
Every example and passage is compared with itself before training, so that a change is known better
than the value is.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equipoise.contrast_training.held_out_bias import (
    DRAWS,
    Standing,
    mean_logprobs,
    means_of,
    means_over_terms,
    standings,
)
from equipoise.contrast_training.held_out_texts import Passage
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, Cost, Measure
from equipoise.contrast_training.tokenized import TokenizedContrast
from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import CLUSTER, Interval, bootstrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one look sees."""

    standings: Mapping[str, Standing]  # by type
    costs: Sequence[Cost] = ()  # of what is bounded


class HeldOut:
    """Looks at held-out items and passages; costs are against the first look."""

    def __init__(
        self,
        reader: PackedForward,
        items: Sequence[TokenizedContrast],
        passages: Sequence[Passage] = (),
        *,
        costs: Collection[Measure],
        seed: int,
    ) -> None:
        """`costs`: LMS reads the unrelated texts, too, of items that have one; or perplexity."""
        self._reader = reader
        self._items = items
        self._passages = passages if PERPLEXITY in costs else ()
        known = [
            (index, item.unrelated)
            for index, item in enumerate(items)
            if LMS in costs and item.unrelated
        ]
        self._known = [at for at, _ in known]  # positions of the items whose LMS is looked at
        self._unrelated = [(items[at], text) for at, text in known]
        self._seed = seed
        self._before: dict[Measure, Column] = {}

    def __call__(self) -> Seen:
        """Look at the model as it is now."""
        pairs = [(item, text) for item in self._items for text in item.pair]
        means = means_of(self._reader, [*pairs, *self._unrelated])
        first, second = means[0 : len(pairs) : 2], means[1 : len(pairs) : 2]
        costs = []
        if self._known:
            costs.append(self._fall(first, second, means[len(pairs) :]))
        if self._passages:
            costs.append(self._rise())
        return Seen(standings=standings(first - second, self._items, seed=self._seed), costs=costs)

    def _fall(self, first: Column, second: Column, unrelated: Column) -> Cost:
        over = [np.sign(one[self._known] - unrelated) for one in (first, second)]
        related = 50.0 + 25.0 * (over[0] + over[1])  # percent; ties count half
        before = self._before.setdefault(LMS, related)
        items = [one for one, _ in self._unrelated]
        (points,) = means_over_terms([before - related], items, seed=self._seed)
        return Cost(of=LMS, by=points, now=float(related.mean()))

    def _rise(self) -> Cost:
        texts = [passage.text for passage in self._passages]
        places = [text.positions for text in texts]
        tokens = np.array([len(place) for place in places], dtype=np.float64)
        nats = -mean_logprobs(self._reader, texts, places) * tokens
        before = self._before.setdefault(PERPLEXITY, nats)
        homes = sorted({passage.document for passage in self._passages})
        columns = {
            "more": nats - before,
            "tokens": tokens,
            CLUSTER: np.array(
                [homes.index(passage.document) for passage in self._passages], np.float64
            ),
        }
        (more,) = bootstrap([_MORE], columns, draws=DRAWS, seed=self._seed)
        with np.errstate(over="ignore"):  # infinite, and over any bound
            now = float(np.exp(nats.sum() / tokens.sum()))
            return Cost(of=PERPLEXITY, by=_in_percent(more), now=now)


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
    """Percent of perplexity. Nats are what is resampled: few documents vary evenly in them."""
    value, low, high = (float(100.0 * np.expm1(one)) for one in (nats.value, nats.low, nats.high))
    return replace(nats, value=value, low=low, high=high)
