"""How well attributions tell rows that are labelled biased, and which is better than a baseline.

All statistics of all attributions come from the same draws: rows are drawn (or clusters of rows),
and probes where an attribution has scores by probe, so that two attributions are compared on the
same rows and probes. Rows without a label are left out.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from equipoise.attributions import (
    Attribution,
    AttributionQuality,
    AttributorDifference,
    QualityEstimate,
)
from equipoise.errors import RecipeError
from equipoise.records import Column, Estimate
from equipoise.rows import TrainingRow
from equipoise.stats.attributor_difference import compare_attributors
from equipoise.stats.probe_swaps import false_discovery_q, support_p, swapped_scores
from equipoise.stats.resample import percentile_interval
from equipoise.stats.retrieval import (
    SHARES,
    Flags,
    Places,
    Statistic,
    Table,
    chance_of,
    most_of,
    retrieval,
    statistics_at,
)

_BLOCK: Final = 2**20  # numbers of a matrix [draw, row] at a time
_TESTED: Final = ("auc", "average_precision")
_FEWEST_SWAPS: Final = 10_000  # of probes, to tell rows apart: p of thousands of rows is small
_TOLERANCE: Final = 1e-12  # relative: orders that tie but for rounding count


@dataclass(frozen=True, slots=True, kw_only=True)
class QualitySettings:
    """How attributions are judged."""

    shares: tuple[float, ...] = SHARES  # of all labelled rows, selected
    draws: int = 2000  # bootstrap resamples; 0: no interval
    permutations: int = 2000  # of labels, and of the sentences of probes; 0: no test
    false_discoveries: float = 0.05  # rate, of rows said to support the bias
    cluster: str | None = None  # a group of rows that are drawn together; None: each on its own
    seed: int = 0


DEFAULTS: Final = QualitySettings()


def judge_attributions(
    attributions: Mapping[str, Attribution],
    rows: Sequence[TrainingRow],
    *,
    baselines: Collection[str] = (),
    settings: QualitySettings = DEFAULTS,
) -> tuple[AttributionQuality, ...]:
    """The quality of each attribution, by name, and its difference to each baseline.

    `baselines`: names of attributions. Without a row that is labelled biased, or without another,
    all values are nan, with the reason. Raises `RecipeError` for an attribution that is not of
    these rows, for an unknown baseline and for a share outside of 0 to 1.
    """
    _check(attributions, rows, baselines)
    labelled = _Labelled.of(rows, settings)
    judged = {name: _Judged.of(attribution, labelled) for name, attribution in attributions.items()}
    return tuple(
        AttributionQuality(
            attributor=name,
            rows=len(labelled.biased),
            biased=int(labelled.biased.sum()),
            estimates=tuple(result.estimates(labelled)),
            versus=tuple(
                _compare((name, result), (other, judged[other]), labelled)
                for other in baselines
                if other != name
            ),
            supporting=_supporting(result.attribution, settings),
            notes=tuple(_notes(result.attribution, labelled)),
        )
        for name, result in judged.items()
    )


def _check(
    attributions: Mapping[str, Attribution],
    rows: Sequence[TrainingRow],
    baselines: Collection[str],
) -> None:
    ids = tuple(row.id for row in rows)
    for name, attribution in attributions.items():
        if attribution.ids != ids:
            raise RecipeError(
                f"an attribution must be of the rows that it is judged on, in their order, "
                f"'{name}' is of {len(attribution.ids)} rows and there are {len(ids)}; attribute "
                "these rows"
            )
    unknown = [name for name in baselines if name not in attributions]
    if unknown:
        raise RecipeError(
            f"baselines must be among the attributions, got {unknown}; known: {[*attributions]}"
        )


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The rows that have a label."""

    places: Flags  # which of all rows
    biased: Flags  # [labelled row]
    codes: Places  # [labelled row], of the cluster
    statistics: tuple[Statistic, ...]
    settings: QualitySettings

    @classmethod
    def of(cls, rows: Sequence[TrainingRow], settings: QualitySettings) -> "_Labelled":
        try:
            statistics = statistics_at(settings.shares)
        except ValueError as error:
            raise RecipeError(f"{error}; give shares such as {SHARES}") from None
        labels = [row.biased for row in rows]
        places = np.array([label is not None for label in labels], dtype=bool)
        biased = np.array([bool(label) for label in labels], dtype=bool)[places]
        numbers: dict[tuple[str, str], int] = {}
        key = settings.cluster
        names = [
            ("id", row.id) if key is None or key not in row.groups else ("group", row.groups[key])
            for row in rows
        ]
        codes = np.array([numbers.setdefault(name, len(numbers)) for name in names], dtype=np.intp)
        codes = np.unique(codes[places], return_inverse=True)[1]
        return cls(places, biased, codes, statistics, settings)

    @property
    def clusters(self) -> int:
        return int(self.codes.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True)
class _Judged:
    """The statistics of an attribution, and in each draw."""

    attribution: Attribution
    scores: Column  # [labelled row]
    by_probe: Table | None  # [labelled row, probe]
    values: Column  # [statistic]
    drawn: Table  # [draw, statistic]
    reason: str | None  # why there is no value

    @classmethod
    def of(cls, attribution: Attribution, labelled: _Labelled) -> "_Judged":
        scores = attribution.scores[labelled.places]
        table = attribution.by_probe
        by_probe = None if table is None else table[labelled.places]
        shares = labelled.settings.shares
        (values,) = retrieval(scores, labelled.biased, shares=shares)
        reason = _undefined(labelled.biased, scores)
        if reason is not None:
            values = np.full(len(values), math.nan)
            return cls(attribution, scores, by_probe, values, np.empty((0, len(values))), reason)
        drawn = [
            retrieval(resampled, labelled.biased, weights, shares=shares)
            for resampled, weights in _resampled(scores, by_probe, labelled)
        ]
        empty = np.empty((0, len(values)))
        return cls(attribution, scores, by_probe, values, np.concatenate([empty, *drawn]), None)

    def units(self, labelled: _Labelled) -> int:
        """Independent units behind an interval: clusters of rows, or probes if they are fewer."""
        probes = labelled.clusters if self.by_probe is None else self.by_probe.shape[1]
        return min(labelled.clusters, probes)

    def estimates(self, labelled: _Labelled) -> Iterator[QualityEstimate]:
        """Each statistic with its interval and its nulls."""
        permuted = _share_as_high(self.values, _permuted(self.scores, labelled))
        swapped = _share_as_high(self.values, self._swapped(labelled))
        counts = {"rows": len(labelled.biased), "biased": int(labelled.biased.sum())}
        for k, statistic in enumerate(labelled.statistics):
            tested = statistic.metric in _TESTED and self.reason is None
            yield QualityEstimate(
                estimate=self._estimate(k, labelled),
                chance=chance_of(statistic, **counts),
                most=most_of(statistic, **counts),
                p=float(permuted[k]) if tested else math.nan,
                p_swapped=float(swapped[k]) if tested else math.nan,
            )

    def _estimate(self, k: int, labelled: _Labelled) -> Estimate:
        value, statistic = float(self.values[k]), labelled.statistics[k]
        units, reason = self.units(labelled), self.reason
        low = high = math.nan
        if reason is None and math.isnan(value):
            reason = f"a share of {statistic.share} of {len(self.scores)} rows selects no row"
        if reason is None:
            low, high, reason = percentile_interval(
                value, self.drawn[:, k], clusters=units, within=(0.0, 1.0)
            )
        return Estimate(
            metric=statistic.metric,
            value=value,
            low=low,
            high=high,
            n=len(self.scores),
            clusters=units,
            unit="",
            ideal=1.0,
            higher_is_better=True,
            group=statistic.group,
            reason=reason,
        )

    def _swapped(self, labelled: _Labelled) -> Iterator[Table]:
        """The statistics with the sentences of random probes exchanged, the observed first."""
        settings = labelled.settings
        if self.by_probe is None or not self.attribution.contrastive or self.reason is not None:
            return
        for scores in swapped_scores(
            self.by_probe, swaps=settings.permutations, seed=settings.seed
        ):
            yield retrieval(scores.T, labelled.biased, shares=settings.shares)


def _undefined(biased: Flags, scores: Column) -> str | None:
    """Why nothing can be said of how rows are ranked, if so."""
    if not len(biased):
        return "no row has a label"
    if biased.all() or not biased.any():
        return f"{int(biased.sum())} of {len(biased)} labelled rows are biased: none to tell apart"
    return "no row has a score" if np.isnan(scores).all() else None


def _resampled(
    scores: Column, by_probe: Table | None, labelled: _Labelled
) -> Iterator[tuple[Table, Table]]:
    """Scores and weights of rows, [draw, row] each: the same draws for every attribution."""
    settings, clusters = labelled.settings, labelled.clusters
    of_rows = np.random.default_rng(settings.seed)
    of_probes = np.random.default_rng((settings.seed, 3))
    size = max(1, _BLOCK // len(scores))
    for start in range(0, settings.draws, size):
        draws = min(size, settings.draws - start)
        weights = _drawn(of_rows, clusters, draws)[:, labelled.codes]
        if by_probe is None:
            yield scores[None], weights
        else:
            probes = by_probe.shape[1]
            yield _drawn(of_probes, probes, draws) @ by_probe.T / probes, weights


def _drawn(generator: np.random.Generator, units: int, draws: int) -> Table:
    """How often each unit is drawn: [draw, unit]."""
    return generator.multinomial(units, np.full(units, 1 / units), size=draws).astype(float)


def _permuted(scores: Column, labelled: _Labelled) -> Iterator[Table]:
    """The statistics with the labels of rows in random order, the observed first."""
    settings, biased = labelled.settings, labelled.biased
    if settings.permutations < 1 or _undefined(biased, scores) is not None:
        return
    yield retrieval(scores, biased, shares=settings.shares)
    generator = np.random.default_rng((settings.seed, 1))
    size = max(1, _BLOCK // len(scores))
    for start in range(0, settings.permutations, size):
        draws = min(size, settings.permutations - start)
        orders = generator.permuted(np.tile(biased, (draws, 1)), axis=1)
        yield retrieval(scores, orders, shares=settings.shares)


def _share_as_high(values: Column, blocks: Iterator[Table]) -> Column:
    """How often a statistic is as high as observed, which is among the blocks: [statistic]."""
    reached, total = np.zeros(len(values)), 0
    for block in blocks:
        reached += (block >= values * (1 - _TOLERANCE)).sum(0)
        total += len(block)
    return reached / total if total else np.full(len(values), math.nan)


def _compare(
    judged: tuple[str, _Judged], other: tuple[str, _Judged], labelled: _Labelled
) -> AttributorDifference:
    """Average precision, the last of the statistics, on the same draws."""
    (name, result), (against, base) = judged, other
    reason = result.reason or base.reason
    return compare_attributors(
        (name, float(result.values[-1])),
        (against, float(base.values[-1])),
        np.empty(0) if reason else result.drawn[:, -1] - base.drawn[:, -1],
        metric=labelled.statistics[-1].metric,
        n=len(labelled.biased),
        clusters=min(result.units(labelled), base.units(labelled)),
        reason=reason,
    )


def _supporting(attribution: Attribution, settings: QualitySettings) -> tuple[str, ...] | None:
    """Ids of the rows that support the bias beyond chance, the most certain first."""
    if attribution.by_probe is None or not attribution.contrastive or settings.permutations < 1:
        return None
    swaps = max(settings.permutations, _FEWEST_SWAPS)
    p = support_p(attribution.by_probe, swaps=swaps, seed=settings.seed)
    q = false_discovery_q(p)
    chosen = np.flatnonzero(q <= settings.false_discoveries)  # nan: not chosen
    order = sorted(chosen.tolist(), key=lambda row: (p[row], -attribution.scores[row]))
    return tuple(attribution.ids[row] for row in order)


def _notes(attribution: Attribution, labelled: _Labelled) -> Iterator[str]:
    yield (
        "intervals are over rows and over probes"
        if attribution.by_probe is not None
        else "intervals are over rows alone: the scores are not known by probe"
    )
    without = int((~labelled.places).sum())
    if without:
        yield f"{without} rows without a label are left out"
    unscored = int(np.isnan(attribution.scores[labelled.places]).sum())
    if unscored:
        yield f"{unscored} rows without a score come last and are never selected"
