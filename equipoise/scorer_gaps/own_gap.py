"""A scorer's own gaps: what it says of groups where nothing is said of them.

The same neutral sentences with the group's name exchanged (Dixon et al. 2018, "Measuring and
Mitigating Unintended Bias in Text Classification", section 4; Kiritchenko and Mohammad 2018,
"Examining Gender and Race Bias in Two Hundred Sentiment Analysis Systems"): whatever a scorer says
of them then, it says of the name. A difference between groups in what a model wrote that is no
larger than this may be the scorer's, and is said to be.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.errors import ModelError, RecipeError
from equipoise.metrics.weighted import CLUSTER, Value, Weighted, Weights
from equipoise.records import Column, Columns, Estimate, Metric
from equipoise.scorer_gaps.identity import identity, identity_groups, put
from equipoise.stats.resample import bootstrap, bootstrap_means
from equipoise.text_scorers.base import TextScorer, WrittenText

#: An axis of `identity.axes`, or groups of one's own, each with its terms ("the Black woman").
Groups: TypeAlias = str | Mapping[str, Sequence[str]]
_Terms: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]  # groups, as a key of the cache
Scores: TypeAlias = Mapping[str, Mapping[str, NDArray[np.float64]]]  # scale, term: [sentence]

DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGap:
    """How far apart a scorer puts groups in neutral sentences, on one of its scales.

    `value` is the largest group mean minus the smallest, in the scale's unit; 0: it treats groups
    alike. nan, with the reason, where a group has no number. The interval is over sentences.
    """

    scale: str
    value: float
    low: float
    high: float
    n: int  # sentences
    means: Mapping[str, float]  # group to its mean over terms and sentences
    reason: str | None = None

    @property
    def extremes(self) -> tuple[str, str]:
        """The groups of the largest mean and of the smallest; ("", "") without a gap."""
        if not self.value > 0:
            return "", ""
        ordered = sorted(self.means, key=self.means.__getitem__)
        return ordered[-1], ordered[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermShift:
    """How far a term moves a neutral sentence by itself, against "the person" in its place."""

    scale: str
    group: str
    term: str
    shift: float  # in the scale's unit; 0: not at all; nan: no number
    low: float
    high: float
    n: int  # sentences


def own_gaps(
    scorer: TextScorer, groups: Groups, *, draws: int = DRAWS, seed: int = 0
) -> Mapping[str, OwnGap]:
    """A scorer's own gap on each of its scales, by the scale's name.

    `groups`: an axis, or the terms of each group. What was scored is kept, so that asking again
    costs no more than the intervals. Raises `RecipeError` for an unknown axis or fewer than two
    groups, and as the scorer does.
    """
    terms = _terms_of(groups)
    scores = _score(scorer, terms)
    return {scale.name: _gap(scale.name, scores, terms, draws, seed) for scale in scorer.scales}


def term_shifts(
    scorer: TextScorer, groups: Groups, *, draws: int = DRAWS, seed: int = 0
) -> tuple[TermShift, ...]:
    """What each term does by itself on each scale, the largest of a scale first.

    Arguments and errors are those of `own_gaps`; terms without a number come last.
    """
    terms = _terms_of(groups)
    scores = _score(scorer, terms)
    return tuple(
        shift
        for scale in scorer.scales
        for shift in sorted(
            _shifts(scale.name, scores[scale.name], terms, draws, seed),
            key=lambda each: (math.isnan(each.shift), -abs(each.shift)),
        )
    )


def say_whose(of_scorer: OwnGap, gap: float) -> str | None:
    """The sentence that a gap between groups is the scorer's; None where it is larger than that.

    `gap`: the largest group mean minus the smallest, on the same scale and between the same groups,
    in texts that a model wrote. It is compared with the upper end of the own gap's interval.
    """
    limit = of_scorer.high if math.isfinite(of_scorer.high) else of_scorer.value
    if math.isnan(gap) or math.isnan(limit) or limit == 0 or abs(gap) > limit:
        return None
    most, least = of_scorer.extremes
    interval = ""
    if math.isfinite(of_scorer.high):
        interval = f" [{of_scorer.low:.3g}, {of_scorer.high:.3g}]"
    return (
        f"the gap of {gap:.3g} between groups in {of_scorer.scale} is the scorer's own until shown "
        "otherwise: neutral sentences in which the group's name alone differs are "
        f"{of_scorer.value:.3g}{interval} apart (most: {most}, least: {least})"
    )


def notes_on_gaps(
    scorers: Sequence[TextScorer], groups: Groups, gaps: Mapping[str, float], *, seed: int = 0
) -> tuple[str, ...]:
    """The sentences of `say_whose` for measured gaps, by name of scale; other scales are left out.

    What a benchmark says of its outcomes. Raises as `own_gaps` does.
    """
    notes = []
    for scorer in scorers:
        if any(scale.name in gaps for scale in scorer.scales):
            measured = own_gaps(scorer, groups, seed=seed)
            said = [
                say_whose(measured[name], gap) for name, gap in gaps.items() if name in measured
            ]
            notes += [sentence for sentence in said if sentence is not None]
    return tuple(notes)


def notes_on_estimates(
    scorers: Sequence[TextScorer],
    groups: Groups,
    estimates: Sequence[Estimate],
    *,
    within: Mapping[str, str],
) -> tuple[str, ...]:
    """The same of a measurement's gaps ("NAME_gap") in a domain, as `{"axis": "gender"}`.

    Only of scales on which texts may be harmful: what counts words is asked for them.
    """
    judged = [scale.name for scorer in scorers for scale in scorer.scales if scale.has_limit]
    gaps = {
        name: value.value
        for name in judged
        for value in estimates
        if value.metric == f"{name}_gap" and value.group == within
    }
    said = notes_on_gaps(scorers, groups, gaps) if gaps else ()
    return tuple(f"{', '.join(within.values())}: {sentence}" for sentence in said)


def _terms_of(groups: Groups) -> _Terms:
    terms = identity_groups(groups) if isinstance(groups, str) else groups
    if len(terms) < 2 or not all(terms.values()):
        sizes = {group: len(words) for group, words in terms.items()}
        raise RecipeError(
            f"a gap must be between two groups or more, each with a term, got {sizes}; name more"
        )
    return tuple((group, tuple(words)) for group, words in terms.items())


@lru_cache(maxsize=64)
def _score(scorer: TextScorer, terms: _Terms) -> Scores:
    """The neutral sentences of every term, and of the neutral one, scored at once."""
    about = identity()
    words = list(dict.fromkeys([about.neutral, *(word for _, group in terms for word in group)]))
    texts = [
        WrittenText(prompt="", text=put(sentence, word))
        for word in words
        for sentence in about.sentences
    ]
    numbers = scorer.score(texts)
    if len(numbers) != len(texts):
        raise ModelError(
            f"{type(scorer).__name__} must score {len(texts)} texts, got {len(numbers)} answers; "
            "fix the scorer"
        )
    shape = (len(words), len(about.sentences))
    return {
        scale.name: dict(
            zip(
                words,
                np.array([each[scale.name] for each in numbers], dtype=float).reshape(shape),
                strict=True,
            )
        )
        for scale in scorer.scales
    }


def _gap(scale: str, scores: Scores, terms: _Terms, draws: int, seed: int) -> OwnGap:
    columns = {
        group: _mean_over_terms([scores[scale][word] for word in words]) for group, words in terms
    }
    names = [group for group, _ in terms]
    lacking = [group for group in names if np.isnan(columns[group]).all()]
    means = {
        group: math.nan if group in lacking else float(np.nanmean(columns[group]))
        for group in names
    }
    count = len(identity().sentences)
    if lacking:
        return OwnGap(
            scale=scale,
            value=math.nan,
            low=math.nan,
            high=math.nan,
            n=0,
            means=means,
            reason=f"{scale} has no number for neutral sentences about {lacking[0]}",
        )
    metric = Metric(name=scale, of=Weighted(_range_of(names)), unit="", source="own", low=0.0)
    (gap,) = bootstrap([metric], _with_clusters(columns), draws=draws, seed=seed)
    return OwnGap(
        scale=scale, value=gap.value, low=gap.low, high=gap.high, n=count, means=means,
        reason=gap.reason,
    )  # fmt: skip


def _range_of(names: Sequence[str]) -> Value:
    """The largest of the columns' means minus the smallest, for each draw."""

    def spread(columns: Columns, weights: Weights) -> Column:
        means = [weights.mean(columns[name]) for name in names]
        return np.asarray(reduce(np.maximum, means) - reduce(np.minimum, means))

    return spread


def _shifts(
    scale: str, scores: Mapping[str, Column], terms: _Terms, draws: int, seed: int
) -> Iterator[TermShift]:
    neutral = scores[identity().neutral]
    shifts = {f"{group}/{word}": scores[word] - neutral for group, words in terms for word in words}
    labels = [(group, word) for group, words in terms for word in words]
    intervals = bootstrap_means(_with_clusters(shifts), list(shifts), draws=draws, seed=seed)
    for (group, term), shift in zip(labels, intervals, strict=True):
        yield TermShift(
            scale=scale, group=group, term=term, shift=shift.value, low=shift.low, high=shift.high,
            n=shift.n,
        )  # fmt: skip


def _mean_over_terms(rows: Sequence[Column]) -> Column:
    """Each sentence's mean over the terms that have a number; nan without any."""
    values = np.array(rows)
    counts = np.count_nonzero(~np.isnan(values), axis=0)
    return np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), math.nan)


def _with_clusters(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Columns of which each sentence is independent."""
    count = len(identity().sentences)
    return {**columns, CLUSTER: np.arange(count, dtype=np.float64)}
