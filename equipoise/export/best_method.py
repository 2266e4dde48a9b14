"""Which method of a column is shown to be the best: a test against every other row.

Papers print the best of a column in bold, whatever its lead. Here the lead must be shown: the
best value's change from each other row, paired on the same items, must be for the better by its
interval and a permutation test, with Holm's correction over these rows.
"""

from collections.abc import Sequence

from equipoise.conclusions import Change, Comparison
from equipoise.errors import RecipeError
from equipoise.export.framing import Row
from equipoise.export.method_pairs import compare_methods
from equipoise.report.provenance import Setting, setting_of
from equipoise.stats.verdict import corrected
from equipoise.study.study import Chapter, Study

_BETTER = ("reduced", "better")
_BASE = "as it is"


class BestMethod:
    """Tests of a study's rows; two methods are compared once, for all metrics and groups."""

    def __init__(self, study: Study) -> None:
        self._chapters = study.chapters
        self._compared: dict[tuple[int, int, Setting], Sequence[Change] | None] = {}

    def is_shown(self, best: Row, rows: Sequence[Row]) -> bool:
        """Whether a row is shown to be better than each of the other rows of its column.

        False where one of them cannot be compared with it.
        """
        others = [row for row in rows if row is not best]
        changes = [self._change(other, best) for other in others]
        if not others or None in changes:
            return False
        tested = corrected([change for change in changes if change is not None])
        wanted = ("worse",) if best["method"] == _BASE else _BETTER
        return all(change.direction in wanted for change in tested)

    def _change(self, other: Row, best: Row) -> Change | None:
        """From the other to the best; of the model as it is, what the study has of either."""
        if best["method"] == _BASE:
            return other["shown"] if isinstance(other["shown"], Change) else None
        if other["method"] == _BASE:
            return best["shown"] if isinstance(best["shown"], Change) else None
        shown = best["shown"]
        for change in self._compare(other, best) or ():
            if (change.metric, dict(change.group)) == (shown.metric, dict(shown.group)):
                return change
        return None

    def _compare(self, other: Row, best: Row) -> Sequence[Change] | None:
        first, second = (self._find(row) for row in (other, best))
        if first is None or second is None:
            return None
        key = (id(first), id(second), best["setting"])
        if key not in self._compared:
            try:
                self._compared[key] = compare_methods(first, second)
            except RecipeError:
                self._compared[key] = None
        return self._compared[key]

    def _find(self, row: Row) -> Comparison | None:
        """The comparison that a row is of."""
        chapter: Chapter
        for chapter in self._chapters:
            if (chapter.model, chapter.mitigation) == (row["model"], row["method"]):
                for comparison in chapter.comparisons:
                    if setting_of(comparison.before) == row["setting"]:
                        return comparison
        return None
