"""How much each training row supports a bias, and how far such scores can be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from equipoise.frames import as_frame
from equipoise.notebook import AttributionView
from equipoise.records import Column, Estimate

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_BY_PROBE: Final = 2**22  # numbers of a matrix [row, probe] that is kept


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Attribution(AttributionView):
    """A score for each training row; a higher score means more support of the bias."""

    attributor: str
    ids: tuple[str, ...]  # of the rows, in the order of the training set
    scores: Column  # [row], what rows are ranked by; nan where a row has none
    unit: str  # "cosine", "nats", …
    probes: int  # behind the scores; 0: it looks at none
    #: Scores by one group of probes alone, e.g. a type of bias: [row] each.
    by_group: Mapping[str, Column] = field(default_factory=dict)
    #: [row, probe], or [row, part of the probes], with the scores as its mean along the second
    #: axis; None: the scores are no such mean, or there are more than `MOST_BY_PROBE`.
    by_probe: NDArray[np.float64] | None = None
    contrastive: bool = False  # a probe with its sentences exchanged would give `-by_probe`
    skipped: Mapping[str, str] = field(default_factory=dict)  # id of a row without score, and why
    notes: tuple[str, ...] = ()
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def order(self) -> NDArray[np.int64]:
        """Indices of rows, from the highest score to the lowest; ties in the order of the rows.

        Rows without a score come last.
        """
        return np.argsort(-self.scores, kind="stable")  # nan sorts last

    def select(self, share: float) -> tuple[int, ...]:
        """Indices of the rows of the highest scores, as many as `share` of all, rounded.

        A row without a score is never taken. Raises `ValueError` for a share outside of 0 to 1.
        """
        if not 0 <= share <= 1:
            raise ValueError(f"a share must be in 0 to 1, got {share}")
        count = math.floor(share * len(self.ids) + 0.5)
        scored = len(self.ids) - int(np.isnan(self.scores).sum())
        return tuple(self.order[: min(count, scored)].tolist())

    def to_frame(self) -> "DataFrame":
        """A row per training row, in their order: id, score, and "@GROUP" by each group."""
        groups = {f"@{name}": column.tolist() for name, column in self.by_group.items()}
        return as_frame(
            {"id": name, "score": score, **{key: values[index] for key, values in groups.items()}}
            for index, (name, score) in enumerate(zip(self.ids, self.scores.tolist(), strict=True))
        )


# --- how far it can be trusted ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEstimate:
    """A statistic of an attribution, between what chance gives and the most that there can be."""

    estimate: Estimate  # its metric: "coverage"; its group, for a share: {"share": "0.35"}
    chance: float  # what random scores give on average
    most: float  # what perfect scores give; coverage of a small share cannot reach 1
    p: float = math.nan  # share of random orders that do as well; nan: not tested
    #: Share of random exchanges of a probe's sentences that do as well: small where it matters
    #: which of them is the biased; nan: not tested.
    p_swapped: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributorDifference:
    """A statistic of an attributor minus that of another, on the same draws."""

    attributor: str
    other: str
    difference: Estimate  # low > 0: above the other
    sentence: str  # what follows, for a reader


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionQuality:
    """How well the scores of an attributor tell rows that are labelled biased from the others."""

    attributor: str
    rows: int  # labelled
    biased: int  # of these
    estimates: tuple[QualityEstimate, ...]
    versus: tuple[AttributorDifference, ...] = ()  # each baseline
    #: Ids of rows that support the bias beyond chance, most certain first; None: not tested.
    supporting: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()

    def value(self, metric: str, share: float | None = None) -> QualityEstimate:
        """The estimate of a metric, at a share if it has shares; `KeyError` lists the known."""
        group = {} if share is None else {"share": f"{share:g}"}
        for quality in self.estimates:
            if quality.estimate.metric == metric and dict(quality.estimate.group) == group:
                return quality
        known = sorted(
            {" at ".join((q.estimate.metric, *q.estimate.group.values())) for q in self.estimates}
        )
        raise KeyError(f"no estimate of {metric!r} at {group or 'no share'}; known: {known}")

    def to_frame(self) -> "DataFrame":
        """A row per estimate: attributor, metric, share, value, interval, chance, most, p."""
        return as_frame(
            {
                "attributor": self.attributor,
                "metric": quality.estimate.metric,
                "share": quality.estimate.group.get("share"),
                "value": quality.estimate.value,
                "low": quality.estimate.low,
                "high": quality.estimate.high,
                "chance": quality.chance,
                "most": quality.most,
                "p": quality.p,
                "p_swapped": quality.p_swapped,
                "n": quality.estimate.n,
                "reason": quality.estimate.reason,
            }
            for quality in self.estimates
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveOutScore:
    """Linear datamodeling score: does the sum of a subset's scores order what it taught?

    Spearman's rank correlation, over random subsets of the rows, of what a model that was trained
    on the subset shows of the probes, on average or of each, with the sum of the subset's scores.
    1: the scores foretell the order of the models; 0: as chance would.
    """

    attributor: str
    estimate: Estimate  # metric "lds"
    by_probe: Column  # [probe], of each; nan where its outcomes or the scores do not differ
    outcome: str  # what is foretold: "margin" or "loss", of the probes
    subsets: int
    seeds: int  # models of each subset
    fraction: float  # of the rows, in a subset
    #: How well a model foretells that of another seed on the same subsets: Spearman's, mean over
    #: pairs of seeds. Where it is near 0 no attribution can do well. nan: a single seed.
    agreement: float
    versus: tuple[AttributorDifference, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalPoint:
    """Models trained on what is left when a share of the rows is removed."""

    share: float  # removed; 0: none
    removed: int  # rows
    steps: int  # of the optimizer, the same at every share; 0: the base model
    bias: Estimate  # mean over probes and seeds of the margin, in nats; higher: more biased
    ability: Estimate  # perplexity of held-out neutral texts
    #: Bias minus that of the models trained on all rows, paired by probe and seed; None of those.
    change: Estimate | None
    margins: NDArray[np.float64]  # [seed, probe], log p(stereotype) - log p(antistereotype)
    nats: NDArray[np.float64]  # [seed, text], mean over tokens of each neutral text


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalCurve:
    """Bias and ability after training without the rows that an attributor ranks highest."""

    attributor: str
    base: RemovalPoint  # before any training
    full: RemovalPoint  # trained on all rows
    points: tuple[RemovalPoint, ...]  # by rising share
    versus: tuple[AttributorDifference, ...] = ()  # bias left minus that of another, by share
    notes: tuple[str, ...] = ()

    def to_frame(self) -> "DataFrame":
        """A row per point: attributor, model, share, bias, ability and change with intervals."""
        named = [("base", self.base), ("full", self.full), *(("removed", p) for p in self.points)]
        return as_frame(
            {
                "attributor": self.attributor,
                "model": name,
                "share": point.share,
                "removed": point.removed,
                **_interval("bias", point.bias),
                **_interval("ability", point.ability),
                **({} if point.change is None else _interval("change", point.change)),
            }
            for name, point in named
        )


def _interval(name: str, estimate: Estimate) -> dict[str, float]:
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
