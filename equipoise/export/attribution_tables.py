"""Attributions as pandas DataFrames; `export.tables` has them with all others."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from equipoise.export.framing import Row, to_frame
from equipoise.records import Estimate
from equipoise.study.study import Study

_FIELDS = ("value", "low", "high", "unit", "n", "clusters", "reason")
_ATTRIBUTION = (
    "model attributor statistic group value low high unit chance most p n clusters reason"
)
_SCORE = "model attributor id rank score unit reason"


def attributions(study: Study) -> pd.DataFrame:
    """A row per attributor and statistic of its scores.

    Those of labelled rows, the mean score of each kind of row, the leave-out score ("lds"), and
    what models show that were trained without the rows of the highest scores: "bias_left" (nats)
    and "perplexity", by the share that was removed; without a share before any training.
    """
    rows = [
        {**shared, **cells}
        for shared, cells in (*_quality_rows(study), *_profile_rows(study), *_retrained_rows(study))
    ]
    return to_frame(rows, _ATTRIBUTION)


def attribution_scores(study: Study) -> pd.DataFrame:
    """A row per attributor and training row, with the row's score and its rank, 1 the highest."""
    rows: list[Row] = []
    for each in study.attributed:
        attribution = each.attribution
        places = np.argsort(attribution.order)
        for name, place, score in zip(attribution.ids, places, attribution.scores, strict=True):
            rows.append(
                {
                    "model": each.model,
                    "attributor": each.attributor,
                    "id": name,
                    "rank": None if np.isnan(score) else int(place) + 1,
                    "score": float(score),
                    "unit": attribution.unit,
                    "reason": attribution.skipped.get(name),
                }
            )
    return to_frame(rows, _SCORE)


def _quality_rows(study: Study) -> Iterator[tuple[Row, Row]]:
    for validated in study.validated:
        for quality in validated.quality:
            for result in quality.estimates:
                bounds = {"chance": result.chance, "most": result.most, "p": result.p}
                yield (
                    {"model": validated.model, "attributor": quality.attributor},
                    _statistic(result.estimate.metric, result.estimate) | bounds,
                )


def _profile_rows(study: Study) -> Iterator[tuple[Row, Row]]:
    for each in study.attributed:
        for estimate in each.summary.profile:
            yield (
                {"model": each.model, "attributor": each.attributor},
                _statistic(estimate.metric, estimate),
            )


def _retrained_rows(study: Study) -> Iterator[tuple[Row, Row]]:
    for validated in study.validated:
        for score in validated.leave_out:
            shared: Row = {"model": validated.model, "attributor": score.attributor}
            yield shared, _statistic("lds", score.estimate) | {"chance": 0.0, "most": 1.0}
        for curve in validated.removal:
            shared = {"model": validated.model, "attributor": curve.attributor}
            for point in (curve.base, curve.full, *curve.points):
                group = "" if point is curve.base else f"share={point.share:g}"
                for name, estimate in (("bias_left", point.bias), ("perplexity", point.ability)):
                    yield shared, _statistic(name, estimate) | {"group": group}


def _statistic(name: str, estimate: Estimate) -> Row:
    return {
        **{name: getattr(estimate, name) for name in _FIELDS},
        "group": "; ".join(f"{key}={name}" for key, name in estimate.group.items()),
    } | {"statistic": name}
