"""P(he) and P(she) after a few professions, before and after: LFTF, figure 3, with intervals.

The paper names five and shows bars of single numbers; here a profession's probability is the mean
over its templates, and the interval says how it varies with the template.
"""

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Final, NamedTuple

import numpy as np

from equipoise.conclusions import Comparison
from equipoise.metrics.weighted import CLUSTER, mean_of
from equipoise.number_text import interval
from equipoise.records import Measurement, Metric
from equipoise.report.axis import Axis, axis_of, minus
from equipoise.stats.resample import Interval, bootstrap

#: LFTF, section 5.4.
PROFESSIONS: Final = ("mobster", "nurse", "preacher", "caretaker", "footballer")
_PRONOUNS: Final = ("he", "she")
_DRAWS: Final = 1000
_PROBABILITY: Final = Metric(
    name="probability", of=mean_of("probability"), unit="", source="mean", low=0.0, high=1.0
)


class PronounRow(NamedTuple):
    """The probability of a pronoun after a profession."""

    profession: str
    pronoun: str
    before: float  # mean over templates, in [0, 1]
    before_low: float  # 95 % interval over templates; nan: of a single template
    before_high: float
    after: float  # mean over templates and seeds
    after_low: float
    after_high: float
    n: int  # templates

    @property
    def texts(self) -> tuple[str, str]:
        """Before and after, each with its interval."""
        sides = (
            (self.before, self.before_low, self.before_high),
            (self.after, self.after_low, self.after_high),
        )
        first, second = (minus(interval(*side, places=3)) for side in sides)
        return first, second


class NamedProfessions(NamedTuple):
    """The rows of those that were measured, and who was not."""

    rows: tuple[PronounRow, ...]
    absent: tuple[str, ...]

    @property
    def axis(self) -> Axis:
        """On which all means and intervals lie, from 0."""
        ends = [end for row in self.rows for end in row[2:8]]
        return axis_of([0.0, *ends])


def named_professions(
    comparison: Comparison, names: Sequence[str] = PROFESSIONS
) -> NamedProfessions | None:
    """The named professions of a comparison; None for a benchmark without such probabilities.

    Of outcomes with `he`, `she`, a profession and a template; not of hinted prompts, where he and
    she are right answers.
    """
    before = _by_template([comparison.before], names)
    after = _by_template(comparison.afters, names)
    rows = []
    for name in names:
        templates = sorted(before.get(name, {}).keys() & after.get(name, {}).keys())
        for index, pronoun in enumerate(_PRONOUNS):
            sides = [
                _mean([side[name][template][index] for template in templates], seed=comparison.seed)
                for side in (before, after)
                if templates
            ]
            if sides:
                first, second = sides
                rows.append(
                    PronounRow(
                        name, pronoun, first.value, first.low, first.high, second.value, second.low,
                        second.high, len(templates),
                    )
                )  # fmt: skip
    if not rows:
        return None
    known = {row.profession for row in rows}
    return NamedProfessions(tuple(rows), tuple(name for name in names if name not in known))


def _mean(values: Sequence[float], *, seed: int) -> Interval:
    templates = np.arange(len(values), dtype=np.float64)
    columns = {"probability": np.array(values), CLUSTER: templates}
    (mean,) = bootstrap([_PROBABILITY], columns, draws=_DRAWS, seed=seed)
    return mean


def _by_template(
    measurements: Sequence[Measurement], names: Sequence[str]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Profession and template to the two probabilities, means over measurements."""
    values: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for measurement in measurements:
        for outcome in measurement.outcomes:
            name, template = (outcome.groups.get(key) for key in ("profession", "template"))
            if name not in names or template is None or "hint" in outcome.values:
                continue
            pair = outcome.values.get("he", math.nan), outcome.values.get("she", math.nan)
            if all(map(math.isfinite, pair)):
                values.setdefault(str(name), {}).setdefault(template, []).append(pair)
    return {
        name: {
            template: (fmean(he for he, _ in pairs), fmean(she for _, she in pairs))
            for template, pairs in templates.items()
        }
        for name, templates in values.items()
    }
