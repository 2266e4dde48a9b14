"""Removal curve: train without the rows that an attributor ranks highest, and see what is left.

BiasDiff, section 2.4 (Retrain), figures 4 and 5, with the same number of optimizer steps at every
share, so that a smaller training set is not a shorter training, with several seeds, and with
intervals over probes and seeds (the paper has single runs of unequal length).
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Annotated, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.attributions import (
    Attribution,
    AttributorDifference,
    RemovalCurve,
    RemovalPoint,
)
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.retraining import (
    Results,
    Retraining,
    Shown,
    judging_probes,
    places_name,
    results_of,
)
from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.records import OPTIONS, Estimate, Metric, Supply
from equipoise.rows import TrainingRow
from equipoise.stats.crossed import crossed_interval
from equipoise.stats.resample import Interval, bootstrap
from equipoise.training.text_training import TextTraining

_DRAWS: Final = 2000  # bootstrap resamples of probes, where there is a single seed

Table: TypeAlias = NDArray[np.float64]
Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Removal:
    """What is removed, and how models are trained on the rest."""

    #: of the rows, removed from the highest score down
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.05, 0.10, 0.15, 0.35)
    seeds: Annotated[int, Field(ge=1)] = 3  # models at each share
    training: TextTraining = TextTraining()  # its share is of no effect

    def curves(
        self,
        model: LanguageModel,
        supply: Supply,
        attributions: Mapping[str, Attribution],
        *,
        against: Collection[str] = (),
        seed: int = 0,
    ) -> tuple[RemovalCurve, ...]:
        """A curve for each attribution of the supply's rows; the model is left as it was.

        Bias is measured on its `dev_probes` (its `probes` where it has none), ability on its
        neutral `texts`. Each curve is compared at every share with those of `against`. In
        `checkpoints_in` a run that was killed goes on where it was. Raises `RecipeError` for an
        attribution of other rows, an unknown name in `against` and for probes that cannot be
        measured, and as `TextTraining.fit`.
        """
        _check(attributions, supply.rows, against)
        probes, notes = judging_probes(supply)
        retraining = Retraining(
            model=model,
            rows=supply.rows,
            probes=probes,
            training=self.training,
            texts=supply.texts,
        )
        # neither shares nor attributors are in the key: more of them redo nothing
        with results_of("removal", retraining.key()) as results:
            trained = _Trained(retraining, results, range(seed, seed + self.seeds))
            return tuple(
                replace(curve, notes=(*notes, *curve.notes))
                for curve in self._curves(trained, attributions, against)
            )

    def _curves(
        self,
        trained: "_Trained",
        attributions: Mapping[str, Attribution],
        against: Collection[str],
    ) -> Iterator[RemovalCurve]:
        full = trained.point(0.0, ())
        base = trained.base()
        learnt = tuple(_learnt(base, full))
        points = {
            name: tuple(
                trained.point(share, attribution.select(share), full=full)
                for share in sorted(set(self.shares))
            )
            for name, attribution in attributions.items()
        }
        for name, curve in points.items():
            yield RemovalCurve(
                attributor=name,
                base=base,
                full=full,
                points=curve,
                versus=tuple(
                    _compare((name, point), (other, that))
                    for other in against
                    if other != name
                    for point, that in zip(curve, points[other], strict=True)
                ),
                notes=(*learnt, *_notes(curve, len(attributions[name].ids), self.seeds)),
            )


def _check(
    attributions: Mapping[str, Attribution], rows: Sequence[TrainingRow], against: Collection[str]
) -> None:
    for name, attribution in attributions.items():
        if len(attribution.ids) != len(rows):
            raise RecipeError(
                f"an attribution must be of the {len(rows)} rows that are trained on, '{name}' is "
                f"of {len(attribution.ids)}; attribute these rows"
            )
    unknown = [name for name in against if name not in attributions]
    if unknown:
        raise RecipeError(
            f"curves are compared with those of attributions, got {unknown}; known: "
            f"{[*attributions]}"
        )


class _Trained:
    """Models of several seeds, trained on what is left of the rows."""

    def __init__(self, retraining: Retraining, results: Results, seeds: Sequence[int]) -> None:
        self.retraining, self.results, self.seeds = retraining, results, seeds
        self.steps: int | None = None  # of a training on all rows

    def base(self) -> RemovalPoint:
        """The model before any training."""
        return _point(0.0, 0, [self.results.get("base", self.retraining.base)])

    def point(
        self, share: float, removed: Sequence[int], *, full: RemovalPoint | None = None
    ) -> RemovalPoint:
        """Models trained without these rows, for as many steps as with them."""
        kept = np.delete(np.arange(len(self.retraining.rows)), removed)
        name = places_name(kept)
        steps = None if full is None else full.steps
        shown = [
            self.results.get(
                f"{name} {seed} {steps}",
                partial(self.retraining.trained, kept.tolist(), seed=seed, steps=steps),
            )
            for seed in self.seeds
        ]
        return _point(share, len(removed), shown, full=full)


def _point(
    share: float, removed: int, shown: Sequence[Shown], *, full: RemovalPoint | None = None
) -> RemovalPoint:
    margins = np.array([part["outcomes"] for part in shown])
    nats, tokens = (np.array([part[name] for part in shown]) for name in ("nats", "tokens"))
    return RemovalPoint(
        share=share,
        removed=removed,
        steps=int(shown[0]["steps"][0]),
        bias=_estimate("margin", "nats", margins, better=False),
        ability=_perplexity(nats, tokens),
        change=None
        if full is None
        else _estimate("margin_change", "nats", margins - full.margins, better=False),
        margins=margins,
        nats=nats / tokens,
    )


def _estimate(metric: str, unit: str, values: Table, *, better: bool | None) -> Estimate:
    """The mean over seeds and items, [seed, item], with an interval for other seeds and items."""
    interval = _interval(values)
    return Estimate(
        metric=metric,
        unit=unit,
        ideal=0.0 if metric == "margin" else None,
        higher_is_better=None if metric == "margin" else better,
        **asdict(interval),
    )


def _interval(values: Table) -> Interval:
    seeds, items = values.shape
    columns = {
        "value": values.ravel(),
        "@seed": np.repeat(np.arange(seeds), items).astype(np.float64),
        CLUSTER: np.tile(np.arange(items), seeds).astype(np.float64),
    }
    metric = Metric(name="mean", of=mean_of("value"), unit="", source="mean")
    if seeds > 1:
        return replace(crossed_interval(metric, columns, over="seed"), n=items)
    (interval,) = bootstrap([metric], columns, draws=_DRAWS, seed=0)
    return interval


def _perplexity(nats: Table, tokens: Table) -> Estimate:
    """exp(nats per token), over texts as long as they are: [seed, text]."""
    if not tokens.size:
        return Estimate(
            metric="perplexity",
            value=math.nan,
            low=math.nan,
            high=math.nan,
            n=0,
            clusters=0,
            unit="per token",
            ideal=None,
            higher_is_better=False,
            reason=f"no neutral text is held out to be measured on ({tokens.shape[1]})",
        )
    mean = nats.sum() / tokens.sum()
    # Their mean is that of all tokens, and their scatter that of a ratio of sums.
    interval = _interval(mean + (nats - mean * tokens) / tokens.mean())
    return Estimate(
        metric="perplexity",
        unit="per token",
        ideal=None,
        higher_is_better=False,
        **{
            **asdict(interval),
            **{name: math.exp(asdict(interval)[name]) for name in ("value", "low", "high")},
        },
    )


def _compare(
    point: tuple[str, RemovalPoint], other: tuple[str, RemovalPoint]
) -> AttributorDifference:
    """Bias that is left minus that which another leaves, paired by seed and probe."""
    (name, left), (against, base) = point, other
    difference = _estimate("margin_difference", "nats", left.margins - base.margins, better=False)
    numbers = (
        f"{left.bias.value:.3g} against {base.bias.value:.3g} nats, difference "
        f"{difference.value:+.2g} [{difference.low:+.2g}, {difference.high:+.2g}]"
    )
    if math.isnan(difference.low):
        what, numbers = "is not compared with", str(difference.reason)
    elif difference.high < 0:
        what = "leaves less bias than"
    elif difference.low > 0:
        what = "leaves more bias than"
    else:
        what = "is not shown to leave more or less bias than"
    return AttributorDifference(
        attributor=name,
        other=against,
        difference=replace(difference, group={"share": f"{left.share:g}"}),
        sentence=f"with {left.share:.0%} removed {name} {what} {against}: {numbers}",
    )


def _learnt(base: RemovalPoint, full: RemovalPoint) -> Iterator[str]:
    """Whether the rows teach a bias at all: without any there is nothing that removal shows."""
    taught = _estimate("margin_taught", "nats", full.margins - base.margins, better=None)
    if not taught.low > 0:
        yield (
            "training on all rows is not shown to raise the bias on these probes (by "
            f"{taught.value:+.2g} [{taught.low:+.2g}, {taught.high:+.2g}] nats): there is nothing "
            "to remove, and no curve says anything of an attributor"
        )


def _notes(points: Sequence[RemovalPoint], rows: int, seeds: int) -> Iterator[str]:
    for point in points:
        wanted = math.floor(point.share * rows + 0.5)
        if point.removed < wanted:
            yield (
                f"at {point.share:.0%} only {point.removed} of {wanted} rows are removed: the "
                "others have no score"
            )
    if seeds < 2:
        yield "a single seed: intervals are over probes alone, not over trainings"
