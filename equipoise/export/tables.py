"""A study's numbers as pandas DataFrames, a function per table; nothing is rounded or left out.

    from equipoise.export import tables
    tables.changes(equipoise.read_study("runs/gpt2")).query("direction == 'reduced'")

Every table has the same columns for every study. Where a number is missing it is nan, and `reason`
says why where a reason is known. `setting` is the benchmark, with what tells its settings apart
where it was measured in several. No torch.
"""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd

from equipoise.conclusions import Change, Claim, Comparison, title_of
from equipoise.export.attribution_tables import attribution_scores, attributions
from equipoise.export.framing import Row, to_frame
from equipoise.export.method_pairs import method_pairs
from equipoise.export.methods import methods
from equipoise.export.training_tables import costs, curves
from equipoise.records import JSON, Estimate, Measurement
from equipoise.report.chapters import identify_change
from equipoise.report.provenance import Setting, setting_names, setting_of
from equipoise.report.sentences import margin_text
from equipoise.stats.calibration import Curve
from equipoise.stats.stability import score_variances
from equipoise.study.study import Chapter, Measured, Study

_SETTING = "setting benchmark version split options limit"
_SOURCE = "examples_sha256 data data_sha256 data_licence data_official"
_ESTIMATE = (
    f"model mitigation seed {_SETTING} metric group value low high unit ideal higher_is_better n "
    f"clusters reason model_identity measured_with_seed draws {_SOURCE}"
)
_REFERENCE = _ESTIMATE.replace(" metric ", " kind name says items metric ")
_CHAPTER = "model mitigation against seeds"
_CHANGE = (
    f"{_SETTING} metric group before before_low before_high after after_low after_high difference "
    "difference_low difference_high nearer nearer_low nearer_high effect unit ideal "
    "higher_is_better n clusters p p_holm direction claim claim_kind claim_margin "
    "claim_margin_relative claim_value claim_value_low claim_value_high claim_p claim_shown "
    "seeds_averaged seed_spread reason differences before_identity after_identities "
    "compared_with_seed draws "
    f"{_SOURCE}"
)
_FACTORIAL = (
    f"model first second both {_SETTING} metric quantity value low high unit ideal n clusters "
    f"seeds_averaged reason {_SOURCE}"
)
_RANKING = (
    "model locator seed block rank score low high unit prompts times_first variance spearman "
    "spearman_low reason"
)
_CALIBRATION = (
    "benchmark version options metric slope slope_low slope_high spearman unit ideal strengths "
    "seeds reason"
)


# --- what changed -----------------------------------------------------------------------------


def changes(study: Study) -> pd.DataFrame:
    """A row per overall change."""
    return to_frame(_change_rows(study.chapters, study, groups=False), f"{_CHAPTER} {_CHANGE}")


def groups(study: Study) -> pd.DataFrame:
    """A row per change of a group."""
    return to_frame(_change_rows(study.chapters, study, groups=True), f"{_CHAPTER} {_CHANGE}")


def seeds(study: Study) -> pd.DataFrame:
    """A row per overall change and seed of the method, where it was learnt with several."""
    by_seed = [
        dataclasses.replace(
            chapter,
            comparisons=tuple(
                comparison.of_seed(index)
                for comparison in chapter.comparisons
                # of a single seed there is no `by_seed`
                for index in range(len(comparison.by_seed))
            ),
        )
        for chapter in study.chapters
    ]
    return to_frame(_change_rows(by_seed, study, groups=False), f"{_CHAPTER} {_CHANGE}")


def verdicts(study: Study) -> pd.DataFrame:
    """A row per headline that a verdict rests on, bias before ability; no chapter lacks a row.

    `p_holm` and `direction` of the bias headlines are corrected over all of them.
    """
    names = _name_settings(study)
    rows = (row for chapter in study.chapters for row in _verdict_rows(chapter, names))
    return to_frame(rows, f"{_CHAPTER} verdict kept over_corrected role {_CHANGE}")


def _name_settings(study: Study) -> Mapping[Setting, str]:
    return setting_names(
        comparison.before for chapter in study.chapters for comparison in chapter.comparisons
    )


def _change_rows(chapters: Sequence[Chapter], study: Study, *, groups: bool) -> Iterator[Row]:
    names = _name_settings(study)
    return (
        _change_cells(comparison, change, names) | _chapter_cells(chapter, comparison.afters)
        for chapter in chapters
        for comparison in chapter.comparisons
        for change in comparison.changes
        if bool(change.group) == groups
    )


def _verdict_rows(chapter: Chapter, names: Mapping[Setting, str]) -> Iterator[Row]:
    verdict = chapter.verdict
    conclusion = {
        "verdict": verdict.direction,
        "kept": verdict.kept,
        "over_corrected": verdict.over_corrected,
    }
    all_afters = [after for comparison in chapter.comparisons for after in comparison.afters]
    headlines = [("bias", headline) for headline in verdict.bias]
    headlines += [("ability", headline) for headline in verdict.ability]
    for role, headline in headlines:
        benchmark, key = headline.benchmark, identify_change(headline.benchmark, headline.change)
        # a headline names its benchmark, of which there may be comparisons in several settings
        named = [each for each in chapter.comparisons if title_of(each.before) == benchmark]
        same = [
            each
            for each in named
            if any(identify_change(benchmark, change) == key for change in each.changes)
        ]
        comparison = next(iter(same or named), None)
        cells = _chapter_cells(chapter, all_afters)
        if comparison is not None:
            cells = _change_cells(comparison, headline.change, names)
            cells |= _chapter_cells(chapter, comparison.afters)
        yield cells | conclusion | {"role": role}
    if not headlines:
        yield _chapter_cells(chapter, all_afters) | conclusion


def _chapter_cells(chapter: Chapter, afters: Sequence[Measurement]) -> Row:
    edit_seeds = dict.fromkeys(seed for after in afters if (seed := method_seed(after)) is not None)
    return {
        "model": chapter.model,
        "mitigation": chapter.mitigation,
        "against": chapter.against,
        "seeds": " ".join(map(str, edit_seeds)),
    }


def method_seed(measurement: Measurement) -> int | None:
    """The seed of the last edit of the measured model; None where there is none."""
    edits = measurement.model_info.get("edits")
    last = edits[-1] if isinstance(edits, list) and edits else None
    seed = last.get("seed") if isinstance(last, dict) else None
    return seed if isinstance(seed, int) else None


def _change_cells(comparison: Comparison, change: Change, names: Mapping[Setting, str]) -> Row:
    return {
        **_setting_cells(comparison.before, names),
        **_field_cells(change),
        "difference_low": change.low,
        "difference_high": change.high,
        **({} if change.claim is None else _claim_cells(change, change.claim)),
        "seeds_averaged": change.seeds,
        "differences": "; ".join(difference.text for difference in comparison.differences),
        "before_identity": " ".join(
            before.model for before in (comparison.before, *comparison.other_befores)
        ),
        "after_identities": " ".join(after.model for after in comparison.afters),
        "compared_with_seed": comparison.seed,
        "draws": comparison.draws,
    }


def _claim_cells(change: Change, claim: Claim) -> Row:
    band = margin_text(change, claim)
    what = f"within {band}" if claim.kind == "within" else f"loss under {band}"
    return {
        "claim": f"{what}: {'shown' if claim.shown else 'not shown'}",
        "claim_margin": claim.margin.size,
        "claim_margin_relative": claim.margin.relative,
        "claim_value_low": claim.low,
        "claim_value_high": claim.high,
        **{f"claim_{name}": getattr(claim, name) for name in ("kind", "value", "p", "shown")},
    }


# --- what was measured, located, checked --------------------------------------------------------


def estimates(study: Study) -> pd.DataFrame:
    """A row per overall estimate."""
    return to_frame(_estimate_rows(study, groups=False), _ESTIMATE)


def group_estimates(study: Study) -> pd.DataFrame:
    """A row per estimate of a group."""
    return to_frame(_estimate_rows(study, groups=True), _ESTIMATE)


def _estimate_rows(study: Study, *, groups: bool) -> Iterator[Row]:
    names = setting_names(measured.measurement for measured in study.measured)
    return (
        {**_measured_cells(measured, names), **_field_cells(estimate)}
        for measured in study.measured
        for estimate in measured.measurement.estimates
        if bool(estimate.group) == groups
    )


def _measured_cells(measured: Measured, names: Mapping[Setting, str]) -> Row:
    return {
        "model": measured.model,
        "mitigation": measured.mitigation,
        "seed": measured.seed,
        **_setting_cells(measured.measurement, names),
        "model_identity": measured.measurement.model,
        "measured_with_seed": measured.measurement.seed,
        "draws": measured.measurement.draws,
    }


def references(study: Study) -> pd.DataFrame:
    """A row per number that an estimate is read against, on the same items.

    `kind` "null": of a rule that knows of no bias; "without": of the model, without the items that
    have a known fault, and as NAME_change how that differs from all items. `says`: which.
    """
    names = setting_names(measured.measurement for measured in study.measured)
    rows = (
        {
            **_measured_cells(measured, names),
            **_field_cells(estimate),
            **{name: getattr(reference, name) for name in ("kind", "name", "says", "items")},
        }
        for measured in study.measured
        for reference in measured.measurement.references
        for estimate in reference.estimates
    )
    return to_frame(rows, _REFERENCE)


def rankings(study: Study) -> pd.DataFrame:
    """A row per block and seed, with the block's score and its rank, 1 the first.

    `variance`: of the block's score over seeds.
    """
    rows = (
        {
            "model": located.model,
            "locator": located.locator,
            "seed": seed,
            "block": block,
            "rank": int(place) + 1,
            "score": score,
            "low": ranking.low[block],
            "high": ranking.high[block],
            "unit": ranking.unit,
            "prompts": ranking.prompts,
            "times_first": located.stability.first.get(block, 0),
            "variance": variances[block],
            "spearman": located.stability.spearman,
            "spearman_low": located.stability.spearman_low,
            "reason": located.stability.reason,
        }
        for located in study.located
        for variances in [score_variances(located.stability.rankings)]
        for seed, ranking in zip(located.stability.seeds, located.stability.rankings, strict=True)
        for block, (score, place) in enumerate(
            # `order` has the block of each place, its argsort the place of each block
            zip(ranking.scores, np.argsort(ranking.order), strict=True)
        )
    )
    return to_frame(rows, _RANKING)


def calibrations(study: Study) -> pd.DataFrame:
    """A row per metric: its slope over planted strength and its monotonicity."""
    rows = (
        {
            **_fields_of(curve),
            "benchmark": calibration.benchmark,
            "version": calibration.version,
            "options": options_json(calibration.options),
            "strengths": " ".join(f"{strength:g}" for strength in calibration.strengths),
            "seeds": " ".join(map(str, calibration.seeds)),
        }
        for calibration in study.calibrations
        for curve in calibration.curves
    )
    return to_frame(rows, _CALIBRATION)


def factorials(study: Study) -> pd.DataFrame:
    """A row per quantity of `conclusions.Factorial`, of each metric of bias.

    For each mitigation that is made of two others (`both` of `first` and `second`).
    """
    names = setting_names(factored.neither for factored in study.factored)
    rows = (
        {
            **_setting_cells(factored.neither, names),
            **_fields_of(estimate),
            **{name: getattr(factored, name) for name in ("model", "first", "second", "both")},
            "metric": factorial.metric,
            "quantity": estimate.metric,
            "ideal": factorial.ideal,
            "seeds_averaged": factorial.seeds,
        }
        for factored in study.factored
        for factorial in factored.factorials
        for estimate in factorial.estimates
    )
    return to_frame(rows, _FACTORIAL)


def findings(study: Study) -> pd.DataFrame:
    """A row per finding of an automatic check."""
    return to_frame(map(dataclasses.asdict, study.findings), "check level where text")


def missing(study: Study) -> pd.DataFrame:
    """A row per step without a result."""
    return to_frame(map(dataclasses.asdict, study.missing), "what why traceback")


# --- cells of several tables --------------------------------------------------------------------


def _setting_cells(measurement: Measurement, names: Mapping[Setting, str]) -> Row:
    """How it was measured, and the data that a number rests on; "; " separates several files."""
    return {
        "setting": names[setting_of(measurement)],
        "benchmark": measurement.benchmark,
        "version": measurement.version,
        "split": measurement.split,
        "options": options_json(measurement.options),
        "limit": measurement.limit,
        "examples_sha256": measurement.examples_sha256,
        "data": "; ".join(use.name for use in measurement.data),
        "data_sha256": "; ".join(use.sha256 for use in measurement.data),
        "data_licence": "; ".join(use.licence for use in measurement.data),
        "data_official": "; ".join(
            "own" if use.verified is None else str(use.verified).lower() for use in measurement.data
        ),
    }


def options_json(options: Mapping[str, JSON]) -> str:
    """Options on one line, sorted by name."""
    return json.dumps(dict(options), sort_keys=True, ensure_ascii=False)


def _fields_of(record: Change | Estimate | Curve) -> Row:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _field_cells(record: Change | Estimate) -> Row:
    """Every field; the group as in "axis=gender", empty: overall."""
    return _fields_of(record) | {
        "group": "; ".join(f"{key}={name}" for key, name in record.group.items())
    }


#: Every table of a study, by name, in the order of interest.
TABLES: Mapping[str, Callable[[Study], pd.DataFrame]] = MappingProxyType(
    {
        table.__name__: table
        for table in (
            changes, groups, methods, method_pairs, seeds, verdicts, factorials, estimates,
            group_estimates, references, rankings, curves, costs, attributions,
            attribution_scores, calibrations, findings, missing,
        )
    }
)  # fmt: skip
