"""A study's numbers as pandas DataFrames, one function per table; nothing is rounded or left out.

    from equipoise.export import tables
    tables.changes(equipoise.read_study("runs/gpt2")).query("direction == 'reduced'")

Every table has the same columns for every study. Where a number is missing it is nan, and `reason`
says why where a reason is known. `setting` is the benchmark, with what tells its settings apart
where it was measured in several. No torch.
"""

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import pandas as pd

from equipoise.conclusions import Change, Claim, Comparison, Headline
from equipoise.records import JSON, Measurement
from equipoise.report.provenance import Setting, setting_names, setting_of
from equipoise.report.sentences import margin_text
from equipoise.study.study import Chapter, Study

Row: TypeAlias = dict[str, Any]

_SETTING = "setting benchmark version split options limit"
_SOURCE = "examples_sha256 data data_sha256 data_licence data_official"
_ESTIMATE = (
    f"model mitigation seed {_SETTING} metric group value low high unit ideal higher_is_better n "
    f"clusters reason model_identity measured_with_seed draws {_SOURCE}"
)
_CHAPTER = "model mitigation seeds"
_CHANGE = (
    f"{_SETTING} metric group before before_low before_high after after_low after_high difference "
    "difference_low difference_high nearer nearer_low nearer_high effect unit ideal "
    "higher_is_better n clusters p p_holm direction claim claim_kind claim_margin "
    "claim_margin_relative claim_value claim_value_low claim_value_high claim_p claim_shown "
    "seeds_averaged seed_spread reason before_identity after_identities compared_with_seed draws "
    f"{_SOURCE}"
)
_RANKING = (
    "model locator seed block rank score low high unit prompts times_first spearman spearman_low "
    "reason"
)
_CALIBRATION = (
    "benchmark version options metric slope slope_low slope_high spearman unit ideal strengths "
    "seeds reason"
)
#: Whole numbers that may be missing: pandas would make floats of them.
_WHOLE = ("seed", "limit", "n", "clusters", "seeds_averaged", "compared_with_seed", "draws")


def _to_frame(rows: Iterable[Row], columns: str) -> pd.DataFrame:
    # pandas stores texts as UTF-8, in which half a surrogate pair cannot be written
    cells = (
        {
            name: cell.encode(errors="backslashreplace").decode() if isinstance(cell, str) else cell
            for name, cell in row.items()
        }
        for row in rows
    )
    frame = pd.DataFrame(list(cells), columns=columns.split())
    return frame.astype({name: "Int64" for name in _WHOLE if name in frame})


# --- what changed -----------------------------------------------------------------------------


def changes(study: Study) -> pd.DataFrame:
    """One row per overall change."""
    return _to_frame(
        _change_rows(study.chapters, groups=False), f"model mitigation seeds {_CHANGE}"
    )


def groups(study: Study) -> pd.DataFrame:
    """One row per change of a group."""
    return _to_frame(_change_rows(study.chapters, groups=True), f"{_CHAPTER} {_CHANGE}")


def seeds(study: Study) -> pd.DataFrame:
    """One row per overall change and seed of the method, where it was learnt with several."""
    names = _name_settings(study.chapters)
    rows = (
        {
            **_chapter_cells(chapter, (after,)),
            **_change_cells(comparison, change, names, afters=(after,)),
        }
        for chapter in study.chapters
        for comparison in chapter.comparisons
        for after, after_changes in zip(comparison.afters, comparison.by_seed, strict=False)
        for change in after_changes
    )
    return _to_frame(rows, f"{_CHAPTER} {_CHANGE}")


def verdicts(study: Study) -> pd.DataFrame:
    """One row per headline that a verdict rests on, bias before ability; at least one per chapter.

    `p_holm` and `direction` of the bias headlines are corrected over all of them.
    """
    names = _name_settings(study.chapters)
    rows = (row for chapter in study.chapters for row in _verdict_rows(chapter, names))
    return _to_frame(rows, f"{_CHAPTER} verdict kept over_corrected role {_CHANGE}")


def _name_settings(chapters: Sequence[Chapter]) -> Mapping[Setting, str]:
    return setting_names(
        comparison.before for chapter in chapters for comparison in chapter.comparisons
    )


def _change_rows(chapters: Sequence[Chapter], *, groups: bool) -> Iterator[Row]:
    names = _name_settings(chapters)
    for chapter in chapters:
        for comparison in chapter.comparisons:
            for change in comparison.changes:
                if bool(change.group) == groups:
                    yield {
                        **_chapter_cells(chapter, comparison.afters),
                        **_change_cells(comparison, change, names, afters=comparison.afters),
                    }


def _verdict_rows(chapter: Chapter, names: Mapping[Setting, str]) -> Iterator[Row]:
    verdict = chapter.verdict
    conclusion = {
        "verdict": verdict.direction,
        "kept": verdict.kept,
        "over_corrected": verdict.over_corrected,
    }
    all_afters = [after for comparison in chapter.comparisons for after in comparison.afters]
    roles = [("bias", headline) for headline in verdict.bias]
    roles += [("ability", headline) for headline in verdict.ability]
    for role, headline in roles:
        comparison = _find_comparison(chapter.comparisons, headline)
        afters = all_afters if comparison is None else comparison.afters
        cells = (
            {}
            if comparison is None
            else _change_cells(comparison, headline.change, names, afters=afters)
        )
        yield {**_chapter_cells(chapter, afters), **conclusion, "role": role, **cells}
    if not roles:
        yield {**_chapter_cells(chapter, all_afters), **conclusion}


def _find_comparison(comparisons: Sequence[Comparison], headline: Headline) -> Comparison | None:
    """The comparison that a headline's change came from."""
    named = [
        comparison
        for comparison in comparisons
        if comparison.before.benchmark == headline.benchmark
    ]
    same = [
        comparison
        for comparison in named
        if any(_identify(change) == _identify(headline.change) for change in comparison.changes)
    ]
    return next(iter(same or named), None)


def _identify(change: Change) -> str:
    """What a verdict does not correct; as text, in which nan equals nan."""
    return repr((change.metric, change.group, change.before, change.after, change.p))


def _chapter_cells(chapter: Chapter, afters: Sequence[Measurement]) -> Row:
    edit_seeds = dict.fromkeys(seed for after in afters if (seed := method_seed(after)) is not None)
    return {
        "model": chapter.model,
        "mitigation": chapter.mitigation,
        "seeds": " ".join(map(str, edit_seeds)),
    }


def method_seed(measurement: Measurement) -> int | None:
    """The seed of the last edit of the measured model; None where there is none."""
    edits = measurement.model_info.get("edits")
    last = edits[-1] if isinstance(edits, list) and edits else None
    seed = last.get("seed") if isinstance(last, dict) else None
    return seed if isinstance(seed, int) else None


def _change_cells(
    comparison: Comparison,
    change: Change,
    names: Mapping[Setting, str],
    *,
    afters: Sequence[Measurement],
) -> Row:
    return {
        **_setting_cells(comparison.before, names),
        "metric": change.metric,
        "group": _join_group(change.group),
        "before": change.before,
        "before_low": change.before_low,
        "before_high": change.before_high,
        "after": change.after,
        "after_low": change.after_low,
        "after_high": change.after_high,
        "difference": change.difference,
        "difference_low": change.low,
        "difference_high": change.high,
        "nearer": change.nearer,
        "nearer_low": change.nearer_low,
        "nearer_high": change.nearer_high,
        "effect": change.effect,
        "unit": change.unit,
        "ideal": change.ideal,
        "higher_is_better": change.higher_is_better,
        "n": change.n,
        "clusters": change.clusters,
        "p": change.p,
        "p_holm": change.p_holm,
        "direction": change.direction,
        **({} if change.claim is None else _claim_cells(change, change.claim)),
        "seeds_averaged": change.seeds,
        "seed_spread": change.seed_spread,
        "reason": change.reason,
        "before_identity": comparison.before.model,
        "after_identities": " ".join(after.model for after in afters),
        "compared_with_seed": comparison.seed,
        "draws": comparison.draws,
        **_source_cells(comparison.before),
    }


def _claim_cells(change: Change, claim: Claim) -> Row:
    band = margin_text(change, claim)
    what = f"within {band}" if claim.kind == "within" else f"loss under {band}"
    return {
        "claim": f"{what}: {'shown' if claim.shown else 'not shown'}",
        "claim_kind": claim.kind,
        "claim_margin": claim.margin.size,
        "claim_margin_relative": claim.margin.relative,
        "claim_value": claim.value,
        "claim_value_low": claim.low,
        "claim_value_high": claim.high,
        "claim_p": claim.p,
        "claim_shown": claim.shown,
    }


# --- what was measured, located, checked --------------------------------------------------------


def estimates(study: Study) -> pd.DataFrame:
    """One row per overall estimate."""
    return _to_frame(_estimate_rows(study, groups=False), _ESTIMATE)


def group_estimates(study: Study) -> pd.DataFrame:
    """One row per estimate of a group."""
    return _to_frame(_estimate_rows(study, groups=True), _ESTIMATE)


def _estimate_rows(study: Study, *, groups: bool) -> Iterator[Row]:
    names = setting_names(measured.measurement for measured in study.measured)
    for measured in study.measured:
        for estimate in measured.measurement.estimates:
            if bool(estimate.group) == groups:
                yield {
                    "model": measured.model,
                    "mitigation": measured.mitigation,
                    "seed": measured.seed,
                    **_setting_cells(measured.measurement, names),
                    "metric": estimate.metric,
                    "group": _join_group(estimate.group),
                    "value": estimate.value,
                    "low": estimate.low,
                    "high": estimate.high,
                    "unit": estimate.unit,
                    "ideal": estimate.ideal,
                    "higher_is_better": estimate.higher_is_better,
                    "n": estimate.n,
                    "clusters": estimate.clusters,
                    "reason": estimate.reason,
                    "model_identity": measured.measurement.model,
                    "measured_with_seed": measured.measurement.seed,
                    "draws": measured.measurement.draws,
                    **_source_cells(measured.measurement),
                }


def rankings(study: Study) -> pd.DataFrame:
    """One row per block and seed, with the block's score and its rank, 1 the first."""
    rows = []
    for located in study.located:
        stability = located.stability
        for seed, ranking in zip(stability.seeds, stability.rankings, strict=True):
            ranks = {block: rank for rank, block in enumerate(ranking.order, start=1)}
            for block, score in enumerate(ranking.scores):
                rows.append(
                    {
                        "model": located.model,
                        "locator": located.locator,
                        "seed": seed,
                        "block": block,
                        "rank": ranks[block],
                        "score": score,
                        "low": ranking.low[block],
                        "high": ranking.high[block],
                        "unit": ranking.unit,
                        "prompts": ranking.prompts,
                        "times_first": stability.first.get(block, 0),
                        "spearman": stability.spearman,
                        "spearman_low": stability.spearman_low,
                        "reason": stability.reason,
                    }
                )
    return _to_frame(rows, _RANKING)


def calibrations(study: Study) -> pd.DataFrame:
    """One row per metric: its slope over planted strength and its monotonicity."""
    rows = (
        {
            "benchmark": calibration.benchmark,
            "version": calibration.version,
            "options": options_json(calibration.options),
            "metric": curve.metric,
            "slope": curve.slope,
            "slope_low": curve.slope_low,
            "slope_high": curve.slope_high,
            "spearman": curve.spearman,
            "unit": curve.unit,
            "ideal": curve.ideal,
            "strengths": " ".join(f"{strength:g}" for strength in calibration.strengths),
            "seeds": " ".join(map(str, calibration.seeds)),
            "reason": curve.reason,
        }
        for calibration in study.calibrations
        for curve in calibration.curves
    )
    return _to_frame(rows, _CALIBRATION)


def findings(study: Study) -> pd.DataFrame:
    """One row per finding of an automatic check."""
    return _to_frame(map(dataclasses.asdict, study.findings), "check level where text")


def missing(study: Study) -> pd.DataFrame:
    """One row per step without a result."""
    return _to_frame(map(dataclasses.asdict, study.missing), "what why traceback")


# --- cells that several tables have -------------------------------------------------------------


def _setting_cells(measurement: Measurement, names: Mapping[Setting, str]) -> Row:
    return {
        "setting": names[setting_of(measurement)],
        "benchmark": measurement.benchmark,
        "version": measurement.version,
        "split": measurement.split,
        "options": options_json(measurement.options),
        "limit": measurement.limit,
    }


def options_json(options: Mapping[str, JSON]) -> str:
    """Options on one line, sorted by name."""
    return json.dumps(dict(options), sort_keys=True, ensure_ascii=False)


def _join_group(group: Mapping[str, str]) -> str:
    """Such as "axis=gender"; empty: overall."""
    return "; ".join(f"{key}={name}" for key, name in group.items())


def _source_cells(measurement: Measurement) -> Row:
    """The data that a number rests on; "; " separates several files."""
    return {
        "examples_sha256": measurement.examples_sha256,
        "data": "; ".join(use.name for use in measurement.data),
        "data_sha256": "; ".join(use.sha256 for use in measurement.data),
        "data_licence": "; ".join(use.licence for use in measurement.data),
        "data_official": "; ".join(str(use.verified).lower() for use in measurement.data),
    }


#: Every table of a study, by name, in the order of interest.
TABLES: Mapping[str, Callable[[Study], pd.DataFrame]] = MappingProxyType(
    {
        table.__name__: table
        for table in (
            changes, groups, seeds, verdicts, estimates, group_estimates, rankings, calibrations,
            findings, missing,
        )
    }
)  # fmt: skip
