"""Association of two targets with two attributes: the effect size of WEAT and SEAT, and its tests.

Caliskan, Bryson & Narayanan 2017, https://doi.org/10.1126/science.aal4230; May et al. 2019. Rows
are texts of targets, clusters their words. Columns: `association`, how much nearer a text is to the
first attribute than to the second, and `first`, 1 for the texts of the first target, else 0.

The published test deals the texts to the two targets at random. The texts of a word ("This is
Amy.", "Amy is here.") have nearly the same association, so that a text's neighbors nearly tell its
own: as independent units they make p far too small. What can be dealt are the words.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.metrics.weighted import Mask, Weighted, Weights, mean_over_groups, ratio
from equipoise.records import Column, Columns, Margin, Metric

Unit: TypeAlias = Literal["word", "text"]  # what is dealt to the two targets at random

#: Texts whose associations differ by no more than rounding have none to speak of.
LEAST_SPREAD: Final = 1e-6
_TIE: Final = 1e-9  # of the texts' spread: deals that tie with what was observed count as it does
_BLOCK: Final = 2**22  # numbers of a block of deals
_NEEDS: Final = (
    "two words of each target, and texts whose associations differ by more than rounding"
)
_PAPER: Final = "May et al. 2019, section 2"


def cosine_difference(
    text: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> float:
    """Mean cosine of a vector with those of the first attribute, less that with the second.

    In [-2, 2]; `first` and `second`: [text, feature]. nan where a vector is 0.
    Source: May et al. 2019, section 2: s(w, A, B).
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = text / np.linalg.norm(text)
        means = [
            (part / np.linalg.norm(part, axis=-1, keepdims=True)).mean(0)
            for part in (first, second)
        ]
    value = float(unit @ (means[0] - means[1]))
    return value if math.isfinite(value) else math.nan


def effect_sizes(columns: Columns, weights: Weights, *, of: Unit = "text") -> Column:
    """The d of each test: [draw, test]; nan for fewer than two words of a target, or all alike.

    The difference of the two targets' means over the standard deviation (ddof = 1) of all: in
    [-2, 2] for targets of equal size. `of` "word": of the words' means, one row each.
    """
    association, first = columns["association"], columns["first"]
    sizes = []
    for rows in _tests(columns):
        x, y = rows & (first == 1), rows & (first == 0)
        if of == "text":
            sizes.append(_effect_size(association, x, y, weights))
            continue
        means, in_x = weights.cluster_means(association, x)
        means_y, in_y = weights.cluster_means(association, y)
        words = Weights(np.arange(len(in_x)), weights.counts)
        sizes.append(_effect_size(means + means_y, in_x, in_y, words))
    return np.stack(sizes, axis=-1) if sizes else np.empty((*weights.counts.shape[:-1], 0))


def _effect_size(association: Column, x: Mask, y: Mask, weights: Weights) -> Column:
    rows = x | y
    if min(len(np.unique(weights.clusters[side])) for side in (x, y)) < 2:
        return np.full(weights.counts.shape[:-1], math.nan)
    centred = association - association[rows].mean()  # a small spread beside a large mean is kept
    size = weights.size(rows)
    mean = ratio(weights.total(centred, rows), size)
    squares = weights.total(centred**2, rows) - size * mean**2
    spread = np.sqrt(np.maximum(ratio(squares, size - 1), 0.0))
    gap = ratio(weights.total(centred, x), weights.size(x)) - ratio(
        weights.total(centred, y), weights.size(y)
    )
    return ratio(gap, np.where(spread > LEAST_SPREAD, spread, 0.0))


def _tests(columns: Columns) -> Iterator[Mask]:
    """The rows of each test that have an association."""
    known = ~np.isnan(columns["association"])
    for code in np.unique(columns["@test"]):
        yield known & (columns["@test"] == code)


# --- dealing words or texts at random -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Deals:
    """How what was observed stands among random deals of the units to the two targets."""

    p: float  # share of deals with as large a difference of means, this one among them
    p_two_sided: float  # likewise of its absolute value
    mean_absolute: float  # mean |difference| over deals
    exact: bool  # every deal was made, else a sample of them


def deal(sums: Column, sizes: Column, first: Mask, *, most: int, seed: int = 0) -> Deals:
    """Deal units to two targets of the same numbers of units: all deals, or `most` at random.

    `sums` and `sizes`: of the associations of each unit's texts, and their number. All deals are
    made where they are at most `most`; else `most` - 1 are drawn, and what was observed counts as
    one more, without which a sample could give a p of 0. Ties count.
    Source: May et al. 2019; Good 2005, chapter 3.
    """
    count, chosen = len(first), int(first.sum())
    exact = math.comb(count, chosen) <= most
    blocks = _all_deals(count, chosen) if exact else _some_deals(count, chosen, most - 1, seed=seed)
    gaps = np.concatenate([_gaps(sums, sizes, block) for block in blocks])
    (observed,) = _gaps(sums, sizes, np.flatnonzero(first)[None])
    if not exact:
        gaps = np.append(gaps, observed)
    slack = _TIE * float(np.abs(sums / sizes).max())
    return Deals(
        p=float(np.mean(gaps >= observed - slack)),
        p_two_sided=float(np.mean(np.abs(gaps) >= abs(observed) - slack)),
        mean_absolute=float(np.abs(gaps).mean()),
        exact=exact,
    )


def _gaps(sums: Column, sizes: Column, dealt: NDArray[np.intp]) -> Column:
    """Difference of the two targets' means: [deal]; `dealt`: units of the first, [deal, unit]."""
    total, size = sums[dealt].sum(1), sizes[dealt].sum(1)
    gaps: Column = total / size - (sums.sum() - total) / (sizes.sum() - size)
    return gaps


def _all_deals(count: int, chosen: int) -> Iterator[NDArray[np.intp]]:
    flat = chain.from_iterable(combinations(range(count), chosen))
    yield np.fromiter(flat, np.intp).reshape(-1, chosen)


def _some_deals(count: int, chosen: int, draws: int, *, seed: int) -> Iterator[NDArray[np.intp]]:
    generator = np.random.default_rng(seed)
    size = max(1, _BLOCK // count)
    for start in range(0, draws, size):
        order = np.tile(np.arange(count), (min(size, draws - start), 1))
        yield generator.permuted(order, axis=1)[:, :chosen]


@lru_cache(maxsize=256)  # p, its two-sided form and the null rest on the same deals
def _dealt(association: bytes, first: bytes, units: bytes, most: int) -> Deals:
    values, in_first = (np.frombuffer(part) for part in (association, first))
    _, unit = np.unique(np.frombuffer(units, dtype=np.intp), return_inverse=True)
    sizes = np.bincount(unit).astype(float)
    # centred, so that a tie is one but for the rounding of the differences themselves
    sums = np.bincount(unit, values - values.mean()).astype(np.float64, copy=False)
    return deal(sums, sizes, np.bincount(unit, in_first) > 0, most=most)


def deals_of(columns: Columns, weights: Weights, *, unit: Unit, most: int) -> list[Deals | None]:
    """The deals of each test; None of a test without an effect size. Words are the clusters."""
    sizes = effect_sizes(columns, weights)
    deals: list[Deals | None] = []
    for index, rows in enumerate(_tests(columns)):
        if math.isnan(sizes[index]):
            deals.append(None)
            continue
        words = weights.clusters[rows]
        units = words if unit == "word" else np.arange(len(words))
        association, first = columns["association"][rows], columns["first"][rows]
        deals.append(
            _dealt(association.tobytes(), first.tobytes(), units.astype(np.intp).tobytes(), most)
        )
    return deals


# --- metrics --------------------------------------------------------------------------------------


def metrics_of(most: int) -> tuple[Metric, ...]:
    """What is made of associations, the headline first; `most`: deals, as of `deal`.

    Over several tests, d is the mean of the tests' and has no p.
    """
    return (
        Metric(
            name="d", of=Weighted(lambda c, w: _mean(effect_sizes(c, w))), unit="SD", ideal=0.0,
            margin=Margin(size=0.2), needs=_NEEDS,
            source=f"{_PAPER}: effect size; of several tests their mean, signs kept",
        ),
        Metric(
            name="d_abs", of=Weighted(lambda c, w: _mean(np.abs(effect_sizes(c, w)))), unit="SD",
            ideal=0.0, low=0.0, needs=_NEEDS,
            source="Meade et al. 2022: mean |d| over tests; never below 0, see d_abs_null",
        ),
        Metric(
            name="d_words", of=Weighted(lambda c, w: _mean(effect_sizes(c, w, of="word"))),
            unit="SD", ideal=0.0, needs=_NEEDS,
            source="own: d of the words' mean associations, as WEAT has a row per word",
        ),
        Metric(
            name="d_abs_null", of=Weighted(lambda c, w: _null(c, w, most)), unit="SD", low=0.0,
            resampled=False, needs=_NEEDS,
            source="own: what |d| is on average when words are dealt to the targets at random",
        ),
        _p("p", "own: one-sided, words dealt at random", unit="word", most=most),
        _p(
            "p_two_sided", "own: two-sided, words dealt at random", unit="word", most=most,
            two_sided=True,
        ),
        _p(
            "p_by_sentence", f"{_PAPER}: one-sided, texts dealt at random, as if independent",
            unit="text", most=most,
        ),
        _p(
            "p_by_sentence_two_sided", "own: the two-sided form of p_by_sentence", unit="text",
            most=most, two_sided=True,
        ),
    )  # fmt: skip


def _p(name: str, source: str, *, unit: Unit, most: int, two_sided: bool = False) -> Metric:
    def value(columns: Columns, weights: Weights) -> Column:
        if weights.counts.ndim > 1:  # of drawn rows there is no p
            return np.full(weights.counts.shape[:-1], math.nan)
        deals = deals_of(columns, weights, unit=unit, most=most)
        if len(deals) != 1 or deals[0] is None:
            return np.array(math.nan)
        return np.array(deals[0].p_two_sided if two_sided else deals[0].p)

    return Metric(
        name=name, of=Weighted(value), unit="probability", source=source, low=0.0, high=1.0,
        resampled=False, needs=f"a single test, {_NEEDS}",
    )  # fmt: skip


def _null(columns: Columns, weights: Weights, most: int) -> Column:
    if weights.counts.ndim > 1:
        return np.full(weights.counts.shape[:-1], math.nan)
    deals = deals_of(columns, weights, unit="word", most=most)
    sizes = []
    for rows, dealt in zip(_tests(columns), deals, strict=True):
        spread = float(np.std(columns["association"][rows], ddof=1)) if dealt else math.nan
        sizes.append(dealt.mean_absolute / spread if dealt else math.nan)
    return _mean(np.array(sizes))


def _mean(sizes: Column) -> Column:
    """Mean over tests; nan where any has no value: an average of the others is another's."""
    return np.where(np.isnan(sizes).any(axis=-1), math.nan, mean_over_groups(sizes))
