"""Removing heads on trial: strength and side effects by how many, and against random heads."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from equipoise.edits.edit import EditInfo
from equipoise.edits.head_scales import Head, HeadScaleEdit, label
from equipoise.errors import RecipeError
from equipoise.head_removal.random_heads import KINDS, draw_sets, empirical_p
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, Continuation
from equipoise.stats.elbow import Elbow, find_elbow
from equipoise.stats.resample import cluster_shares, percentile_interval

#: Numbers of heads that are tried (BiasGym, A.4, tries 1 to 50).
COUNTS: Final = (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 30, 40, 50)
_DRAWS: Final = 1000  # bootstrap resamples of the examples


class Strength(Protocol):
    """How strongly a model holds an association."""

    def texts(self) -> tuple[str, ...]:
        """What the model is asked."""

    def measure(self, model: LanguageModel) -> NDArray[np.float64]:
        """The strength on each example; nan where there is none."""

    def stems(self) -> tuple[str, ...]:
        """What each example asks without its frame: intervals resample these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """A model with heads removed for as long as they are tried; every answer is kept."""

    model: LanguageModel  # with an injected token, if any
    strength: Strength | None  # None: it cannot be measured, and is not asked for
    texts: Sequence[str]  # neutral
    scale: float
    means: Mapping[str, Tensor]  # of heads; empty: nothing stands in for them
    _strengths: dict[frozenset[Head], NDArray[np.float64]] = field(default_factory=dict)
    _nats: dict[frozenset[Head], float] = field(default_factory=dict)

    def strengths(self, removed: Sequence[Head]) -> NDArray[np.float64]:
        """The strength on each example without these heads."""
        key, strength = frozenset(removed), self.strength
        if strength is not None and key not in self._strengths:
            with self._edit(key).attached(self.model) as edited:
                self._strengths[key] = strength.measure(edited)
        return self._strengths[key]

    def perplexity(self, removed: Sequence[Head]) -> float:
        """Perplexity on the neutral texts without these heads, by that with them; 1: unchanged."""
        return math.exp(self._mean_nats(frozenset(removed)) - self._mean_nats(frozenset()))

    def _mean_nats(self, key: frozenset[Head]) -> float:
        if key not in self._nats:
            requests = [Continuation(context="", continuation=text) for text in self.texts]
            with self._edit(key).attached(self.model) as edited:
                scored = edited.score(requests)
            total = math.fsum(response.logprob for response in scored)
            self._nats[key] = -total / sum(response.tokens for response in scored)
        return self._nats[key]

    def _edit(self, key: frozenset[Head]) -> HeadScaleEdit:
        removed = tuple(sorted(key))
        info = EditInfo(
            method="trial",
            version="1",
            options={},
            seed=0,
            base=self.model.identity,
            base_fingerprint="",
            trained_on=frozenset(),
            origin="",
        )
        means = {label(*head): self.means[label(*head)] for head in removed} if self.means else {}
        return HeadScaleEdit(info=info, heads=removed, scale=self.scale, means=means)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Strength and perplexity by how many of the candidates are removed, from the first on."""

    counts: tuple[int, ...]
    strengths: NDArray[np.float64]  # [count, example], of examples with a strength at every count
    stems: tuple[str, ...]  # [example]
    missing: int  # examples without a strength at some count
    perplexities: tuple[float, ...]  # relative to none removed
    elbow: Elbow | None  # None: no head, or no example
    cap: int  # the largest count with a rise of perplexity below the limit

    def record(self, *, seed: int) -> dict[str, JSON]:
        """The whole curve with its intervals over examples, for a report."""
        points: list[JSON] = []
        for count, row, ratio in zip(self.counts, self.strengths, self.perplexities, strict=True):
            points.append(
                {"k": count, **mean_record(row, self.stems, seed=seed), "perplexity": ratio}
            )
        return {
            "points": points,
            "examples": self.strengths.shape[1],
            "stems": len(set(self.stems)),
            "missing": self.missing,
            "elbow": None if self.elbow is None else finite_record(asdict(self.elbow)),
            "cap": self.cap,
        }


def sweep(trials: Trials, candidates: Sequence[Head], *, rise: float, seed: int) -> Curve:
    """Remove 0, 1, 2, … of the candidates, up to 50, and find the elbow of the strength.

    `rise`: of perplexity on neutral texts that is too much, 0.02 for 2 %.
    """
    counts = tuple(count for count in COUNTS if count <= len(candidates))
    table = np.stack([trials.strengths(candidates[:count]) for count in counts])
    present = np.asarray(np.isfinite(table).all(axis=0))
    table = table[:, present]
    asked = trials.strength.stems() if trials.strength is not None else ()
    stems = tuple(stem for stem, kept in zip(asked, present.tolist(), strict=True) if kept)
    perplexities = tuple(trials.perplexity(candidates[:count]) for count in counts)
    within = [count for count, ratio in zip(counts, perplexities, strict=True) if ratio < 1 + rise]
    measurable = len(counts) > 1 and table.shape[1] > 0
    return Curve(
        counts=counts,
        strengths=table,
        stems=stems,
        missing=int((~present).sum()),
        perplexities=perplexities,
        elbow=(
            find_elbow(counts, table, clusters=stems, draws=_DRAWS, seed=seed)
            if measurable
            else None
        ),
        cap=max(within, default=0),
    )


def choose_count(
    trials: Trials, candidates: Sequence[Head], curve: Curve, *, rise: float
) -> tuple[int, str | None]:
    """How many heads to remove, and why none or fewer than the elbow has; None: the elbow's.

    The elbow's own count may lie between two that were tried: its perplexity is measured, too.
    """
    elbow = curve.elbow
    if elbow is None:
        return 0, (
            "no effect found: there is no candidate head"
            if not candidates
            else "no effect found: no example has a strength at every k"
        )
    if elbow.k == 0:
        return 0, elbow.reason
    if elbow.k <= curve.cap and trials.perplexity(candidates[: elbow.k]) < 1 + rise:
        return elbow.k, None
    within = [
        count
        for count, ratio in zip(curve.counts, curve.perplexities, strict=True)
        if ratio < 1 + rise and count <= elbow.k
    ]
    capped = max(within, default=0)
    return capped, (
        f"{elbow.k} heads by the elbow, cut to {capped}: more raise perplexity on neutral texts by "
        f"{rise:.0%} or more"
    )


def random_controls(
    trials: Trials,
    chosen: Sequence[Head],
    norms: NDArray[np.float64],
    *,
    draws: int,
    seed: int,
) -> dict[str, JSON]:
    """Strength without as many random heads, of up to `draws` different sets of each kind.

    "layer": from the same blocks; "norm": of similar output length (`norms`, [block, head]). With
    the empirical p, of which 1 / (1 + distinct) is the least; null where no other set exists.
    `overlap`: how many of the chosen heads a set has, for want of others.
    """
    after = float(np.nanmean(trials.strengths(chosen)))
    record: dict[str, JSON] = {}
    for kind in KINDS:
        sets = draw_sets(kind, chosen, norms, most=draws, seed=seed)
        if not sets:
            record[kind] = _no_control("all heads that could be drawn are chosen")
            continue
        values = [float(np.nanmean(trials.strengths(heads))) for heads in sets]
        record[kind] = {
            "strengths": list(values),
            "mean": float(np.mean(values)),
            "draws": draws,
            "distinct": len(sets),
            "overlap": len({*sets[0]} & {*chosen}),
            "p": empirical_p(after, values),
        }
    return record


def draw_control(
    kind: str, chosen: Sequence[Head], norms: NDArray[np.float64], *, seed: int
) -> tuple[tuple[Head, ...], list[str]]:
    """Random heads in place of those chosen, and what is to be said of them.

    Raises `RecipeError` where all heads that could be drawn are chosen.
    """
    sets = draw_sets(kind, chosen, norms, most=1, seed=seed)
    if not sets:
        raise RecipeError(
            f"head_steering.control must have other heads to draw from, and the {len(chosen)} "
            "chosen are all of their blocks; give a smaller k, or leave control out"
        )
    notes = [f"control: random heads, matched by {kind}"]
    if overlap := len({*sets[0]} & {*chosen}):
        notes.append(f"{overlap} of them are chosen heads, for there are no others")
    return sets[0], notes


def uncompared(reason: str) -> dict[str, JSON]:
    """The record of random heads where there is nothing to compare them with."""
    return {kind: _no_control(reason) for kind in KINDS}


def _no_control(reason: str) -> dict[str, JSON]:
    return {"strengths": [], "mean": None, "distinct": 0, "p": None, "reason": reason}


def mean_record(row: NDArray[np.float64], stems: Sequence[str], *, seed: int) -> dict[str, JSON]:
    """Mean of what is not nan, 95 % interval by bootstrap over stems, n; null without any."""
    present = np.isfinite(row)
    row = row[present]
    if not len(row):
        return {"strength": None, "low": None, "high": None, "n": 0, "stems": 0}
    kept = [stem for stem, counts in zip(stems, present, strict=True) if counts]
    shares, count = cluster_shares(kept, draws=_DRAWS, seed=seed)
    mean = float(row.mean())
    low, high, _ = percentile_interval(mean, shares @ row, clusters=count)
    return finite_record(
        {"strength": mean, "low": low, "high": high, "n": len(row), "stems": count}
    )


def finite_record(values: Mapping[str, float | int | bool | str | None]) -> dict[str, JSON]:
    """The values as JSON: null for what is nan."""
    return {
        key: None if isinstance(value, float) and math.isnan(value) else value
        for key, value in values.items()
    }
