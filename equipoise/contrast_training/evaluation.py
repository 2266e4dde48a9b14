"""Evaluation on held-out texts: the bias of each type, and what training has cost.

The margin is that of the benchmark `stereoset`: mean log-probability per token of the stereotyping
text minus that of the other, in nats; 0: parity, above 0: the stereotype is preferred. Whole texts
are compared, and of two sentences the second, given the first.

LMS is StereoSet's language-modelling score (Nadeem et al. 2021, section 4; `metrics/preference.py`
has the benchmark's): how often a text that makes sense is likelier, per token, than another that
does not. Here every example counts once. Perplexity is that of all tokens of the passages together.
Every example and passage is compared with itself before training, so that a change is known more
precisely than the value.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.special import ndtri

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import Passage, TokenizedContrast, TokenizedText
from equipoise.inference.batches import Batches
from equipoise.inference.forward import at_full_speed
from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.records import JSON, Column, Metric
from equipoise.stats.resample import Interval, bootstrap, bootstrap_means

DRAWS = 1000  # of the intervals of an evaluation
_LEAST = 1e-6  # nats per token; below it margins differ by rounding


# --- side effects -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffect:
    """A quantity that training may harm, in words; the option that limits it is keep_<key>."""

    key: str
    name: str
    move: str  # the harmful direction: "fall" or "rise"
    moved: str
    unit: str


#: Points of held-out LMS, in [0, 100].
LMS = SideEffect(key="lms", name="held-out LMS", move="fall", moved="fallen", unit=" points")
_PLAIN = "perplexity of held-out plain texts"
#: Percent of the perplexity per token of held-out plain texts.
PERPLEXITY = SideEffect(key="perplexity", name=_PLAIN, move="rise", moved="risen", unit=" %")

#: The largest acceptable change of each limited side effect.
SideEffectLimits: TypeAlias = Mapping[SideEffect, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SideEffectChange:
    """How far a side effect has moved since before training; above 0: for the worse."""

    effect: SideEffect
    change: Interval  # 95 %; 0: as before training
    now: float

    def over(self, limit: float) -> bool:
        """Whether the change is above the limit; so is a value that is not a number."""
        return not self.change.value <= limit

    def shown_over(self, limit: float) -> bool:
        """Whether the change is above the limit and significantly above 0."""
        return self.change.value > limit and self.change.low > 0

    def describe(self) -> str:
        """For people, with the interval."""
        change = self.change
        return (
            f"{self.effect.name} had {self.effect.moved} by {change.value:.2f}{self.effect.unit} "
            f"[{change.low:.2f}, {change.high:.2f}]"
        )

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; a value that is not finite is None."""
        return {
            self.effect.key: _finite_or_none(self.now),
            self.effect.move: _finite_or_none(self.change.value),
            "low": _finite_or_none(self.change.low),
            "high": _finite_or_none(self.change.high),
            "n": self.change.n,
        }


# --- bias -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeBias:
    """The bias of a type on the held-out contrasts."""

    axis: str
    margin: Interval  # mean, nats per token; interval over target terms
    ss: Interval  # percent that prefer the stereotype, ties counting half; 50: parity
    spread: float  # standard deviation over contrasts, nats per token

    def half_band(self, points: float) -> float:
        """The mean margin (nats per token) at which SS would be 50 + `points`, in (0, 50).

        If margins were normal with this spread: spread * z(1/2 + points / 100).
        """
        return self.spread * float(ndtri(0.5 + points / 100))

    def as_json(self) -> dict[str, JSON]:
        """For an edit's report; a missing interval is None."""
        return {
            "margin": self.margin.value,
            "low": _finite_or_none(self.margin.low),
            "high": _finite_or_none(self.margin.high),
            "ss": self.ss.value,
            "ss_low": _finite_or_none(self.ss.low),
            "ss_high": _finite_or_none(self.ss.high),
            "spread": self.spread,
            "items": self.margin.n,
        }


def type_biases(
    margins: Column, contrasts: Sequence[TokenizedContrast], *, seed: int
) -> dict[str, TypeBias]:
    """The bias of every type, by name, sorted; from the contrasts' `margins_of`."""
    return {
        axis: _bias(axis, margins[rows], [contrasts[row].target for row in rows], seed=seed)
        for axis, rows in _rows_by_type(contrasts).items()
    }


def overall_bias(margins: Column, contrasts: Sequence[TokenizedContrast], *, seed: int) -> TypeBias:
    """The bias of all types together, every contrast counting once."""
    targets = [f"{contrast.axis}/{contrast.target}" for contrast in contrasts]
    return _bias("overall", margins, targets, seed=seed)


def _bias(axis: str, margins: Column, targets: Sequence[str], *, seed: int) -> TypeBias:
    columns = {
        "margin": margins,
        "ss": 50.0 + 50.0 * np.sign(margins),
        # Contrasts about the same target term are not independent of each other.
        CLUSTER: _number(targets),
    }
    margin, ss = bootstrap([_MARGIN, _SS], columns, draws=DRAWS, seed=seed)
    return TypeBias(axis=axis, margin=margin, ss=ss, spread=float(margins.std()))


def margins_of(forward: PackedForward, contrasts: Sequence[TokenizedContrast]) -> Column:
    """Each contrast's margin, in nats per token: [contrast]."""
    means = mean_logprobs(forward, _scored_pairs(contrasts))
    return means[0::2] - means[1::2]


def _scored_pairs(
    contrasts: Sequence[TokenizedContrast],
) -> list[tuple[TokenizedText, tuple[int, ...]]]:
    return [(text, pair.scored_positions(text)) for pair in contrasts for text in pair.pair]


def margin_spreads(
    forward: PackedForward, contrasts: Sequence[TokenizedContrast]
) -> dict[str, float]:
    """The standard deviation of each type's margins, in nats per token; 1 where it is 0."""
    margins = margins_of(forward, contrasts)
    spreads = {axis: float(margins[rows].std()) for axis, rows in _rows_by_type(contrasts).items()}
    return {axis: spread if spread > _LEAST else 1.0 for axis, spread in spreads.items()}


def mean_logprobs(
    forward: PackedForward, texts: Sequence[tuple[TokenizedText, Sequence[int]]]
) -> Column:
    """Mean log-probability (nats per token) at some positions (1 or more) of each text: [text]."""
    means = np.full(len(texts), math.nan)
    batches = Batches(forward.model, [len(text.ids) for text, _ in texts])
    with at_full_speed(forward.model.module):
        for batch in batches:
            with batches.retry_smaller():
                scored = [texts[row] for row in batch]
                readout = forward.read([text for text, _ in scored], [where for _, where in scored])
                logprobs = forward.logprobs(readout).cpu().double()  # not all devices have float64
                means[batch] = [float(values.mean()) for values in readout.split(logprobs)]
    return means


# --- evaluation -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The result of an evaluation."""

    biases: Mapping[str, TypeBias]  # by type
    changes: Sequence[SideEffectChange] = ()  # of the limited side effects
    overall: TypeBias | None = None  # of all types together; None: no contrasts


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
        self._unrelated = {  # by the row of the contrast
            row: (contrast.unrelated, contrast.scored_positions(contrast.unrelated))
            for row, contrast in enumerate(contrasts)
            if LMS in effects and contrast.unrelated is not None
        }
        self._seed = seed
        self._before: dict[SideEffect, Column] = {}

    def __call__(self) -> Evaluation:
        """Evaluate the model as it is now."""
        pairs = _scored_pairs(self._contrasts)
        means = mean_logprobs(self._forward, [*pairs, *self._unrelated.values()])
        first, second = means[0 : len(pairs) : 2], means[1 : len(pairs) : 2]
        changes = []
        if self._unrelated:
            changes.append(self._lms_fall(first, second, means[len(pairs) :]))
        if self._passages:
            changes.append(self._perplexity_rise())
        margins, contrasts, seed = first - second, self._contrasts, self._seed
        return Evaluation(
            biases=type_biases(margins, contrasts, seed=seed),
            changes=changes,
            overall=overall_bias(margins, contrasts, seed=seed) if contrasts else None,
        )

    def _lms_fall(self, first: Column, second: Column, unrelated: Column) -> SideEffectChange:
        rows = list(self._unrelated)
        signs = [np.sign(means[rows] - unrelated) for means in (first, second)]
        lms = 50.0 + 25.0 * (signs[0] + signs[1])  # percent per contrast; ties count half
        before = self._before.setdefault(LMS, lms)
        clusters = _number([self._contrasts[row].target for row in rows])
        columns = {"fall": before - lms, CLUSTER: clusters}
        (fall,) = bootstrap_means(columns, ["fall"], draws=DRAWS, seed=self._seed)
        return SideEffectChange(effect=LMS, change=fall, now=float(lms.mean()))

    def _perplexity_rise(self) -> SideEffectChange:
        texts = [(passage.text, passage.text.positions) for passage in self._passages]
        tokens = np.array([len(positions) for _, positions in texts], dtype=np.float64)
        nats = -mean_logprobs(self._forward, texts) * tokens
        before = self._before.setdefault(PERPLEXITY, nats)
        clusters = _number([passage.document for passage in self._passages])
        columns = {"more": nats - before, "tokens": tokens, CLUSTER: clusters}
        (more,) = bootstrap([_MORE], columns, draws=DRAWS, seed=self._seed)
        with np.errstate(over="ignore"):  # infinite, and over any limit
            now = float(np.exp(nats.sum() / tokens.sum()))
            # Nats are resampled, not percent of perplexity: between few documents they vary evenly.
            percent = replace(
                more,
                value=float(100.0 * np.expm1(more.value)),
                low=float(100.0 * np.expm1(more.low)),
                high=float(100.0 * np.expm1(more.high)),
            )
        return SideEffectChange(effect=PERPLEXITY, change=percent, now=now)


_MARGIN = Metric(name="margin", of=mean_of("margin"), unit="nats per token", source="mean")
_SS = Metric(name="ss", of=mean_of("ss"), unit="%", source="mean", low=0.0, high=100.0)
_MORE = Metric(
    name="more",
    of=lambda columns: float(columns["more"].sum() / columns["tokens"].sum()),
    unit="nats",
    source="nats more than before / tokens",
    higher_is_better=False,
)


def _rows_by_type(contrasts: Sequence[TokenizedContrast]) -> dict[str, list[int]]:
    axes = [contrast.axis for contrast in contrasts]
    return {
        axis: [row for row, name in enumerate(axes) if name == axis] for axis in sorted(set(axes))
    }


def _number(labels: Sequence[str]) -> Column:
    """Each label by its place in sorted order."""
    names = {label: float(index) for index, label in enumerate(sorted(set(labels)))}
    return np.array([names[label] for label in labels], dtype=np.float64)


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
