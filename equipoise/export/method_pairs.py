"""Method against method on the same items, which a table of methods side by side leaves open."""

from collections.abc import Iterator
from itertools import combinations

import pandas as pd

from equipoise.compare import compare
from equipoise.conclusions import Change, Comparison
from equipoise.errors import RecipeError
from equipoise.export.framing import Row, to_frame
from equipoise.report.provenance import setting_names, setting_of
from equipoise.stats.verdict import corrected
from equipoise.study.study import Chapter, Study

_COLUMNS = (
    "model first second setting benchmark metric first_value first_value_low first_value_high "
    "second_value second_value_low second_value_high difference difference_low difference_high "
    "unit ideal higher_is_better n clusters p p_holm direction seeds_averaged reason"
)

_NUMBERS = (
    "first_value", "first_value_low", "first_value_high", "second_value", "second_value_low",
    "second_value_high", "difference", "difference_low", "difference_high", "ideal", "p", "p_holm",
)  # fmt: skip


def method_pairs(study: Study) -> pd.DataFrame:
    """A row per metric of two methods on a model: the second against the first, paired.

    Overall, on the items that both were measured on, seed by seed where there are several (of
    different numbers of seeds, the first of each). `p_holm` is corrected over the pairs of methods
    of a model and metric, and `direction` says what the second is beside the first.
    """
    names = setting_names(
        comparison.before for chapter in study.chapters for comparison in chapter.comparisons
    )
    rows: list[Row] = []
    for model in dict.fromkeys(chapter.model for chapter in study.chapters):
        chapters = [chapter for chapter in study.chapters if chapter.model == model]
        families: dict[tuple[str, str], list[tuple[Row, Change]]] = {}
        for first, second in combinations(chapters, 2):
            for left, right in _shared(first, second):
                shared = {
                    "model": model,
                    "first": first.mitigation,
                    "second": second.mitigation,
                    "setting": names[setting_of(left.before)],
                    "benchmark": left.before.benchmark,
                }
                try:
                    changes = [
                        change for change in compare_methods(left, right) if not change.group
                    ]
                except RecipeError as error:
                    rows.append({**shared, "reason": str(error)})
                    continue
                for change in changes:
                    family = families.setdefault((shared["setting"], change.metric), [])
                    family.append((shared, change))
        for family in families.values():
            tested = corrected([change for _, change in family])
            for (shared, _), change in zip(family, tested, strict=True):
                rows.append({**shared, **_cells(change)})
    frame = to_frame(rows, _COLUMNS)
    return frame.astype(dict.fromkeys(_NUMBERS, float))


def _shared(first: Chapter, second: Chapter) -> Iterator[tuple[Comparison, Comparison]]:
    """Comparisons of both in the same setting."""
    by_setting = {setting_of(each.before): each for each in second.comparisons}
    for comparison in first.comparisons:
        other = by_setting.get(setting_of(comparison.before))
        if other is not None:
            yield comparison, other


def compare_methods(left: Comparison, right: Comparison) -> list[Change]:
    """The changes from one method to the other, of the metrics that the study shows.

    Raises `RecipeError` where the two cannot be compared.
    """
    seeds = min(len(left.afters), len(right.afters))
    compared = compare(
        left.afters[:seeds],
        right.afters[:seeds],
        seed=left.seed,
        draws=left.draws,
        across=tuple(difference.name for difference in left.differences if difference.across),
    )
    shown = {change.metric for change in left.changes}
    return [change for change in compared.changes if change.metric in shown]


def _cells(change: Change) -> Row:
    same = (
        "metric", "difference", "unit", "ideal", "higher_is_better", "n", "clusters", "p", "p_holm",
        "direction", "reason",
    )  # fmt: skip
    return {
        **{name: getattr(change, name) for name in same},
        **{
            f"{side}_value{end}": getattr(change, f"{field}{end}")
            for side, field in (("first", "before"), ("second", "after"))
            for end in ("", "_low", "_high")
        },
        "difference_low": change.low,
        "difference_high": change.high,
        "seeds_averaged": change.seeds,
    }
