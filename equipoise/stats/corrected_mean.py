"""A judged mean corrected by a small sample that people graded, with a valid interval.

Angelopoulos, Duchi and Zrnic 2023, "PPI++: Efficient prediction-powered inference" (sections 2
and 6, the mean); Rogan and Gladen 1978, "Estimating prevalence from the results of a screening
test"; Lang and Reiczigel 2014, "Confidence limits for prevalence of disease adjusted for estimated
sensitivity and specificity". All take the graded texts to be a random sample.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from equipoise.records import Column

LEVEL = 0.95
FEWEST_LABELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """An estimate of what people would say of all texts, or nan with the reason."""

    value: float
    low: float
    high: float
    error: float  # standard error
    labels: int  # texts that people graded
    n: int  # all texts
    tuning: float = math.nan  # how far the judge is relied on: 0 not at all, 1 fully
    reason: str | None = None


def corrected_mean(
    judged: Sequence[float], labels: Sequence[float], *, clusters: Sequence[int] | None = None
) -> Corrected:
    """The mean grade of all texts by PPI++, of a judge's grades and of people's on some.

    `labels` are nan where nobody graded. With f the judge's grades, Y the labels (n of them, N
    others), the mean is t mean(f over the others) + mean(Y - t f over the labelled), its variance
    var(Y - t f) / n + t^2 var(f) / N, and t in [0, 1] minimizes that: cov(Y, f) / (var(f) (1 +
    n / N)). The interval (Student's t) holds whether or not the judge is any good; a bad judge
    makes it no narrower than that of the labels alone. A missing grade counts as the mean of the
    judge's, which any number may stand for. `clusters`: texts of one number are not independent;
    the variance is then that of the sums of clusters.
    """
    from scipy import special  # where it is used: results are read without it

    f, y = np.asarray(judged, float), np.asarray(labels, float)
    graded = np.isfinite(y)
    n, others = int(graded.sum()), int((~graded).sum())
    if n < FEWEST_LABELS or not np.isfinite(f).any():
        reason = f"needs {FEWEST_LABELS} labelled texts and a judgement, there are {n} labels"
        return Corrected(
            value=math.nan, low=math.nan, high=math.nan, error=math.nan, labels=n, n=len(f),
            reason=reason,
        )  # fmt: skip
    f = np.where(np.isfinite(f), f, f[np.isfinite(f)].mean())
    tuning = _tuning(f, y, graded) if others > 1 else 0.0
    rest = y[graded] - tuning * f[graded]
    value = float(rest.mean()) + (tuning * float(f[~graded].mean()) if others else 0.0)
    units = n
    if clusters is None:
        variance = float(rest.var(ddof=1)) / n
        if others > 1:
            variance += tuning**2 * float(f[~graded].var(ddof=1)) / others
    else:
        shares = np.zeros(len(f))
        shares[graded] = (rest - rest.mean()) / n
        if others:
            shares[~graded] = tuning * (f[~graded] - f[~graded].mean()) / others
        numbers = np.unique(np.asarray(clusters), return_inverse=True)[1]
        units = len(np.unique(numbers[graded]))
        groups = len(np.unique(numbers))
        sums = np.bincount(numbers, shares)
        variance = float(groups / max(1, groups - 1) * (sums**2).sum())
    if units < FEWEST_LABELS:
        return Corrected(
            value=value, low=math.nan, high=math.nan, error=math.nan, labels=n, n=len(f),
            tuning=tuning, reason=f"an interval needs 2 labelled clusters, there are {units}",
        )  # fmt: skip
    error = math.sqrt(variance)
    half = float(special.stdtrit(units - 1, 0.5 + LEVEL / 2)) * error
    return Corrected(
        value=value, low=value - half, high=value + half, error=error, labels=n, n=len(f),
        tuning=tuning,
    )  # fmt: skip


def corrected_share(
    judged: Sequence[bool], labels: Sequence[float], *, clusters: Sequence[int] | None = None
) -> Corrected:
    """The share of texts that hold a stereotype, corrected for the judge's errors.

    Rogan and Gladen: (p + spec - 1) / (sens + spec - 1), with p the judged share of all texts and
    sensitivity and specificity from the labelled texts (labels 0, 1, or nan); in [0, 1]. The
    interval and the standard error are those of Lang and Reiczigel: z^2 texts of share
    1/2 and two labels a class, one right and one wrong, are added, so that two labels that happen
    to be right make nobody sure; it is [0, 1] where the judge is then no better than chance.
    `clusters`: texts of one number are not independent; each count is divided by its design effect.
    nan where the labels are all alike, or the judge is no better than chance.
    """
    f, y = np.asarray(judged, float), np.asarray(labels, float)
    yes, no = y == 1, y == 0
    labelled = int(yes.sum() + no.sum())

    def missing(reason: str) -> Corrected:
        return Corrected(
            value=math.nan, low=math.nan, high=math.nan, error=math.nan, labels=labelled, n=len(f),
            reason=reason,
        )  # fmt: skip

    if not yes.any() or not no.any():
        return missing("needs labelled texts with the stereotype and without")
    sensitivity, specificity = float(f[yes].mean()), float(1 - f[no].mean())
    gain, share = sensitivity + specificity - 1, float(f.mean())
    if gain <= 0:
        return missing("the judge is no better than chance on the labelled texts")
    value = (share + specificity - 1) / gain
    numbers = np.arange(len(f)) if clusters is None else np.asarray(clusters)
    low, high, error = _lang_reiczigel(
        (share, _effective(f, numbers)),
        (sensitivity, _effective(f[yes], numbers[yes])),
        (specificity, _effective(f[no], numbers[no])),
    )
    middle = min(1.0, max(0.0, value))
    return Corrected(
        value=middle, low=min(low, middle), high=max(high, middle), error=error, labels=labelled,
        n=len(f),
    )  # fmt: skip


def _lang_reiczigel(
    judged: tuple[float, float], sensitivity: tuple[float, float], specificity: tuple[float, float]
) -> tuple[float, float, float]:
    """Ends in [0, 1] and the standard error (or nan) of shares, each with its count."""
    from scipy import special  # where it is used: results are read without it

    z = float(special.ndtri(0.5 + LEVEL / 2))
    (p, n), (se, n_se), (sp, n_sp) = (
        ((count * share + added / 2) / (count + added), count + added)
        for (share, count), added in ((judged, z**2), (sensitivity, 2.0), (specificity, 2.0))
    )
    gain = se + sp - 1
    if gain <= 0:
        return 0.0, 1.0, math.nan
    value = (p + sp - 1) / gain
    missed, alarms = se * (1 - se) / n_se, sp * (1 - sp) / n_sp
    variance = (p * (1 - p) / n + value**2 * missed + (1 - value) ** 2 * alarms) / gain**2
    middle = value + 2 * z**2 * (value * missed - (1 - value) * alarms)
    half = z * math.sqrt(variance)
    low, high = (min(1.0, max(0.0, end)) for end in (middle - half, middle + half))
    return low, high, math.sqrt(variance)


def _effective(values: Column, numbers: NDArray[np.int64]) -> float:
    """How many independent texts these (0 or 1) are worth; their clusters where all agree."""
    n, share = len(values), float(values.mean())
    codes = np.unique(numbers, return_inverse=True)[1]
    groups = int(codes.max()) + 1
    alone = share * (1 - share) / max(1, n - 1)
    if groups == 1 or alone == 0:
        return float(groups)
    sums = np.bincount(codes, (values - share) / n)
    return n / max(1.0, groups / (groups - 1) * float((sums**2).sum()) / alone)


def _tuning(f: Column, y: Column, graded: NDArray[np.bool_]) -> float:
    """The judge's share in [0, 1] with the least variance; 0 of a judge that never differs."""
    spread = float(f.var(ddof=1))
    if spread <= 0:
        return 0.0
    n, others = int(graded.sum()), int((~graded).sum())
    covariance = float(np.cov(y[graded], f[graded], ddof=0)[0, 1])
    return min(1.0, max(0.0, covariance / (spread * (1 + n / others))))
