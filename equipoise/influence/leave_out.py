"""Leave-out check: do the scores foretell what models show that were trained on parts of the rows?

The linear datamodeling score of Park et al. 2023, "TRAK: Attributing Model Behavior at Scale",
section 2: random subsets of the rows, a model trained on each, and the rank correlation of what it
shows with the sum of its rows' scores. The models do not depend on an attributor, so that the same
serve all of them.
"""

import hashlib
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass as plain_dataclass
from functools import partial
from itertools import combinations
from typing import Annotated, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy.stats import rankdata

from equipoise.attributions import Attribution, LeaveOutScore
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.retraining import Outcome, Results, Retraining, Shown, results_of
from equipoise.progress.bars import counted
from equipoise.records import OPTIONS, Column, Estimate
from equipoise.rows import Probe, TrainingRow
from equipoise.stats.attributor_difference import compare_attributors
from equipoise.stats.resample import percentile_interval
from equipoise.training.text_training import TextTraining

_METRIC: Final = "lds"
_DIGITS: Final = 12  # of a sum of scores that count, relative to all scores

Table: TypeAlias = NDArray[np.float64]
#: Places of rows and a seed to what a model trained on them shows: the "outcomes" of probes.
Show: TypeAlias = Callable[[NDArray[np.int64], int], Shown]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class LeaveOut:
    """How many models are trained, on what, and what is measured of them."""

    subsets: Annotated[int, Field(ge=2)] = 100  # random parts of the rows
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of the rows, in a part
    seeds: Annotated[int, Field(ge=1)] = 3  # models of each part; their mean is foretold
    #: of a probe: log p of its biased sentence minus that of the unbiased, or the biased
    #: sentence's mean log p per token, in nats
    outcome: Outcome = "margin"
    #: what sums of scores foretell: the mean outcome over probes, as scores are a mean over
    #: probes, or, as Park et al. do whose scores are of one probe each, every probe's
    foretell: Literal["mean", "probes"] = "mean"
    training: TextTraining = TextTraining()  # its share is of no effect

    def members(self, rows: int, *, seed: int) -> NDArray[np.bool_]:
        """Which rows are in each part: [subset, row], the same number in each.

        Raises `RecipeError` where a part would hold none of the rows, or all.
        """
        size = math.floor(self.fraction * rows + 0.5)
        if not 0 < size < rows:
            raise RecipeError(
                f"a part must hold some of the rows and not all, a fraction of {self.fraction} of "
                f"{rows} rows is {size}; change fraction, or give more rows"
            )
        generator = np.random.default_rng((seed, 7))
        members = np.zeros((self.subsets, rows), dtype=bool)
        for part in members:
            part[generator.permutation(rows)[:size]] = True
        return members

    def retrain(
        self,
        model: LanguageModel,
        rows: Sequence[TrainingRow],
        probes: Sequence[Probe],
        *,
        seed: int,
    ) -> "Retrained":
        """Train on every part with every seed, and measure; the model is left as it was.

        In `checkpoints_in` a run that was killed goes on where it was. Raises `RecipeError` for
        probes that cannot be measured, and as `TextTraining.fit`.
        """
        retraining = Retraining(
            model=model, rows=rows, probes=probes, training=self.training, outcome=self.outcome
        )
        about = f"{retraining.key()} {self.subsets} {self.fraction} {seed}"
        with results_of("leave-out", hashlib.sha256(about.encode()).hexdigest()) as results:

            def show(places: NDArray[np.int64], number: int) -> Shown:
                return retraining.trained(places.tolist(), seed=number)

            return self.gather(show, len(rows), results=results, seed=seed)

    def gather(
        self, show: Show, rows: int, *, seed: int, results: Results | None = None
    ) -> "Retrained":
        """As `retrain`, with models of any kind: `show` trains and measures them."""
        members = self.members(rows, seed=seed)
        outputs: list[list[Sequence[float]]] = []
        for k, part in counted(enumerate(members), "training on parts", len(members), unit="part"):
            outputs.append([])
            for number in range(seed, seed + self.seeds):
                compute = partial(show, np.flatnonzero(part), number)
                shown = compute() if results is None else results.get(f"{k} {number}", compute)
                outputs[k].append(shown["outcomes"])
        return Retrained(members=members, outputs=np.array(outputs), settings=self)


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class Retrained:
    """What models show that were trained on parts of the rows."""

    members: NDArray[np.bool_]  # [subset, row]
    outputs: NDArray[np.float64]  # [subset, seed, probe], higher: more biased
    settings: LeaveOut

    @property
    def agreement(self) -> float:
        """As in `LeaveOutScore`: how well models of a seed foretell those of another."""
        pairs = combinations(range(self.outputs.shape[1]), 2)
        ranks = [
            rankdata(self._targets(shown), axis=0) for shown in self.outputs.transpose(1, 0, 2)
        ]
        between = [_correlations(ranks[first], ranks[second]) for first, second in pairs]
        return _mean(np.array(between))

    def score(
        self,
        attributions: Mapping[str, Attribution],
        *,
        baselines: Collection[str] = (),
        draws: int = 2000,
        seed: int = 0,
    ) -> tuple[LeaveOutScore, ...]:
        """The linear datamodeling score of each attribution, and its difference to each baseline.

        Intervals are over subsets and probes, from the same draws for all. nan with a reason where
        the scores do not differ, or nothing that was measured does. Raises `RecipeError` for an
        attribution of other rows, or an unknown baseline.
        """
        rows = self.members.shape[1]
        for name, attribution in attributions.items():
            if len(attribution.ids) != rows:
                raise RecipeError(
                    f"an attribution must be of the {rows} rows that parts were drawn from, "
                    f"'{name}' is of {len(attribution.ids)}; attribute these rows"
                )
        unknown = [name for name in baselines if name not in attributions]
        if unknown:
            raise RecipeError(
                f"baselines must be among the attributions, got {unknown}; known: {[*attributions]}"
            )
        foretold = {name: self.foretold(item.scores) for name, item in attributions.items()}
        shown = self.outputs.mean(1)
        by_probe = {name: spearman(sums, shown) for name, sums in foretold.items()}
        values = {name: self._value(sums) for name, sums in foretold.items()}
        drawn = dict(zip(foretold, self._drawn([*foretold.values()], draws, seed), strict=True))
        estimates = {
            name: self._estimate(values[name], drawn[name], attributions[name]) for name in drawn
        }
        return tuple(
            LeaveOutScore(
                attributor=name,
                estimate=estimate,
                by_probe=by_probe[name],
                outcome=self.settings.outcome,
                subsets=len(self.members),
                seeds=self.settings.seeds,
                fraction=self.settings.fraction,
                agreement=self.agreement,
                versus=tuple(
                    compare_attributors(
                        (name, estimate.value),
                        (other, estimates[other].value),
                        drawn[name] - drawn[other],
                        metric=_METRIC,
                        n=estimate.n,
                        clusters=estimate.clusters,
                        reason=estimate.reason or estimates[other].reason,
                    )
                    for other in baselines
                    if other != name
                ),
                notes=tuple(self._notes(by_probe[name], attributions[name])),
            )
            for name, estimate in estimates.items()
        )

    def foretold(self, scores: Column) -> Column:
        """The sum of the scores of each subset: [subset]; nan where scores do not differ.

        A row without a score counts as the mean of the others: neither for nor against.
        """
        scored = scores[~np.isnan(scores)]
        if not len(scored) or np.ptp(scored) == 0:
            return np.full(len(self.members), math.nan)
        sums = self.members @ np.where(np.isnan(scores), scored.mean(), scores)
        # sums of the same numbers in another order may differ in their last digits
        return np.asarray(np.round(sums / np.abs(scored).sum(), _DIGITS))

    def _drawn(self, foretold: Sequence[Column], draws: int, seed: int) -> Table:
        """Scores when subsets and probes are drawn with replacement: [attributor, draw]."""
        generator = np.random.default_rng((seed, 8))
        shown = self.outputs.mean(1)
        subsets, probes = shown.shape
        values = np.full((len(foretold), draws), math.nan)
        for draw in range(draws):
            chosen = generator.integers(subsets, size=subsets)
            columns = generator.integers(probes, size=probes)
            ranks = rankdata(self._targets(shown[chosen][:, columns]), axis=0)
            for k, sums in enumerate(foretold):
                values[k, draw] = _mean(_correlations(rankdata(sums[chosen])[:, None], ranks))
        return values

    def _value(self, foretold: Column) -> float:
        return _mean(spearman(foretold, self._targets(self.outputs.mean(1))))

    def _targets(self, shown: Table) -> Table:
        """What is foretold: [subset, 1], or [subset, probe]."""
        return shown.mean(1, keepdims=True) if self.settings.foretell == "mean" else shown

    def _estimate(self, value: float, drawn: Column, attribution: Attribution) -> Estimate:
        low = high = math.nan
        subsets, _, probes = self.outputs.shape
        units = min(subsets, probes)
        if not math.isnan(value):
            low, high, reason = percentile_interval(
                value, drawn, clusters=units, within=(-1.0, 1.0)
            )
        elif np.isnan(self.foretold(attribution.scores)).any():
            reason = (
                f"the scores of {len(attribution.ids)} rows do not differ: they foretell nothing"
            )
        else:
            reason = f"what {subsets} models show does not differ: nothing is to be foretold"
        return Estimate(
            metric=_METRIC,
            value=value,
            low=low,
            high=high,
            n=probes,
            clusters=units,
            unit="rank correlation",
            ideal=1.0,
            higher_is_better=True,
            reason=reason,
        )

    def _notes(self, by_probe: Column, attribution: Attribution) -> Iterator[str]:
        unscored = int(np.isnan(attribution.scores).sum())
        if unscored:
            yield f"{unscored} rows without a score count as the mean of the others"
        yield (
            "foretold is the mean over probes"
            if self.settings.foretell == "mean"
            else "foretold is each probe; the value is the mean over them"
        )
        same = int(np.isnan(by_probe).sum())
        if 0 < same < len(by_probe) and self.settings.foretell == "probes":
            yield f"{same} probes, on which all models agree, are left out"
        if math.isnan(self.agreement):
            yield "a single seed: how far models differ by chance is not known"


def spearman(values: Column, shown: Table) -> Column:
    """Rank correlation of values, [subset], with each column of [subset, probe]: [probe].

    Ties get their mean rank; nan where either side does not differ.
    """
    return _correlations(rankdata(values, nan_policy="propagate")[:, None], rankdata(shown, axis=0))


def _correlations(first: Table, second: Table) -> Column:
    """Pearson's correlation of columns; nan where a column is constant."""
    first, second = first - first.mean(0), second - second.mean(0)
    spread = np.sqrt((first**2).sum(0) * (second**2).sum(0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, (first * second).sum(0) / spread, math.nan)


def _mean(values: Column) -> float:
    """Mean of what is not nan; nan where all of it is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan
