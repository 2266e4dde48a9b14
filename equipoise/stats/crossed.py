"""An interval over two samples at once: over clusters, and over groups that each cluster goes with.

Professions are a sample of all professions, and templates of all templates. An interval over
professions alone says what other professions would have given in these same sentences. Clark 1973,
"The language-as-fixed-effect fallacy: A critique of language statistics in psychological research",
Journal of Verbal Learning and Verbal Behavior 12, makes a test of both variances, min F'; the
interval here holds the values that this test does not refuse.
"""

import math
from dataclasses import replace

import numpy as np

from equipoise.metrics.weighted import CLUSTER
from equipoise.records import Column, Columns, Metric
from equipoise.stats.resample import LEVEL, Interval, point, select


def over_groups(metric: Metric, over: str) -> Metric:
    """What `crossed_interval` estimates, under a name of its own: "lo_mean_over_template"."""
    source = f"mean over {over}s of {metric.name}; interval: Clark 1973, min F'"
    return replace(metric, name=f"{metric.name}_over_{over}", source=source, margin=None)


def crossed_interval(metric: Metric, columns: Columns, *, over: str) -> Interval:
    """The mean over groups of a metric that is a mean of rows, for other groups and clusters, too.

    Its error is sqrt(v + w), with v the variance of the groups' values over their number and w that
    of the clusters' values over theirs; Student's t has (v + w)^2 / (v^2 / (groups - 1) + w^2 /
    (clusters - 1)) degrees of freedom. What is left of a row when both are known is in v and in w,
    so that the interval is rather too wide. nan, with the reason, with fewer than two of either.
    """
    from scipy import special  # where it is used: results are read without it

    overall = point(metric, columns)
    groups, clusters = (_values_within(metric, columns, key) for key in ("@" + over, CLUSTER))
    count = min(len(groups), len(clusters))
    value = float(np.mean(groups)) if len(groups) else math.nan
    result = replace(overall, value=value, clusters=count)
    if overall.reason is not None or count < 2:
        few = f"an interval over {over}s needs at least 2, and 2 clusters, there are {count}"
        return replace(result, reason=overall.reason or few)
    v, w = (float(np.var(values, ddof=1)) / len(values) for values in (groups, clusters))
    if v + w == 0.0:
        return replace(result, low=value, high=value)
    freedom = (v + w) ** 2 / (v**2 / (len(groups) - 1) + w**2 / (len(clusters) - 1))
    reach = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(v + w)
    return replace(result, low=max(metric.low, value - reach), high=min(metric.high, value + reach))


def _values_within(metric: Metric, columns: Columns, key: str) -> Column:
    """The metric within each group of a key, where it is defined: [group]."""
    codes = columns.get(key, np.array([]))
    values = [
        point(metric, select(columns, codes == c)).value for c in np.unique(codes[codes >= 0])
    ]
    return np.array([value for value in values if math.isfinite(value)])
