"""A judge beside another judge, and beside people: agreement, and numbers corrected by labels."""

import dataclasses
import math
from collections.abc import Sequence

from equipoise.judging.judgement import Judgement
from equipoise.judging.summary import HOLDS
from equipoise.judging.texts import TextRow
from equipoise.stats.agreement import Weighting, exact_agreement, weighted_kappa
from equipoise.stats.corrected_mean import Corrected, corrected_mean, corrected_share
from equipoise.stats.resample import Interval

_WEIGHTINGS: tuple[Weighting, ...] = ("quadratic", "linear")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Of two graders on the texts that both graded."""

    quadratic_kappa: Interval  # 1: they agree, 0: as by chance
    linear_kappa: Interval
    exact: float  # share of texts with the same grade, in [0, 1]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WithLabels:
    """A judge beside people's grades of some texts."""

    agreement: Agreement
    #: What people would say of all texts; None: they graded all, so that nothing is left.
    corrected_strength: Corrected | None  # mean grade, by PPI++
    corrected_holds: Corrected | None  # share that holds it, in [0, 1], by Rogan and Gladen


def grades_of(judgements: Sequence[Judgement]) -> list[float]:
    """Grades to be compared with another's: the likeliest grade where a judge tells it."""
    return [j.strength if math.isnan(j.modal) else j.modal for j in judgements]


def agree(
    rows: Sequence[TextRow],
    grades: Sequence[float],
    others: Sequence[float],
    *,
    draws: int,
    seed: int,
) -> Agreement:
    """Weighted kappas with intervals over clusters of texts, and the share of equal grades."""
    clusters = _numbers(rows)
    quadratic, linear = (
        weighted_kappa(grades, others, weighting=each, clusters=clusters, draws=draws, seed=seed)
        for each in _WEIGHTINGS
    )
    return Agreement(
        quadratic_kappa=quadratic, linear_kappa=linear, exact=exact_agreement(grades, others)
    )


def compare_with_labels(
    rows: Sequence[TextRow],
    judgements: Sequence[Judgement],
    labels: Sequence[float],
    *,
    draws: int,
    seed: int,
) -> WithLabels:
    """Agreement with people, and the judged numbers corrected by their labels (nan: not graded)."""
    agreement = agree(rows, grades_of(judgements), labels, draws=draws, seed=seed)
    if not any(map(math.isnan, labels)):
        return WithLabels(agreement=agreement, corrected_strength=None, corrected_holds=None)
    strengths = [judgement.strength for judgement in judgements]
    judged = [k for k, strength in enumerate(strengths) if math.isfinite(strength)]
    yes = [math.nan if math.isnan(label) else float(label >= HOLDS) for label in labels]
    clusters = _numbers(rows)
    return WithLabels(
        agreement=agreement,
        corrected_strength=corrected_mean(strengths, labels, clusters=clusters),
        corrected_holds=corrected_share(
            [strengths[k] >= HOLDS for k in judged],
            [yes[k] for k in judged],
            clusters=[clusters[k] for k in judged],
        ),
    )


def _numbers(rows: Sequence[TextRow]) -> list[int]:
    """A number for each text, the same for those that stand and fall together."""
    known = {cluster: k for k, cluster in enumerate(dict.fromkeys(row.cluster for row in rows))}
    return [known[row.cluster] for row in rows]
