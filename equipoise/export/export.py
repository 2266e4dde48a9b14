"""A study's numbers for other programs and for papers: CSV, Markdown, LaTeX, and a model card.

CSV holds every number exactly, LaTeX and Markdown hold it rounded, with its interval in one cell.
No torch.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

from equipoise.conclusions import Comparison
from equipoise.errors import RecipeError, nearest
from equipoise.export.change_tables import changes_table, method_seed, seeds_table, verdicts_table
from equipoise.export.latex import latex
from equipoise.export.source_columns import as_json
from equipoise.export.study_tables import (
    calibrations_table,
    estimates_table,
    findings_table,
    missing_table,
    rankings_table,
)
from equipoise.export.table_data import Sheet, exact, is_numeric, rounded
from equipoise.markdown import markdown_text
from equipoise.records import Measurement
from equipoise.report.sanitize import visible
from equipoise.report.sentences import verdict_sentence
from equipoise.report.tables import Table, markdown
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Measured, Study

#: Every table of a study, by name, in the order of interest.
TABLES: Mapping[str, Callable[[Study], Sheet]] = MappingProxyType(
    {
        "changes": lambda study: changes_table(study.chapters),
        "groups": lambda study: changes_table(study.chapters, groups=True),
        "seeds": lambda study: seeds_table(study.chapters),
        "verdicts": lambda study: verdicts_table(study.chapters),
        "estimates": lambda study: estimates_table(study.measured),
        "group_estimates": lambda study: estimates_table(study.measured, groups=True),
        "rankings": lambda study: rankings_table(study.located),
        "calibrations": lambda study: calibrations_table(study.calibrations),
        "findings": lambda study: findings_table(study.findings),
        "missing": lambda study: missing_table(study.missing),
    }
)
#: Every format, by name.
FORMATS: Mapping[str, Callable[[Sheet], str]] = MappingProxyType(
    {
        "csv": lambda sheet: csv_text(exact(sheet)),
        "markdown": lambda sheet: markdown_table(rounded(sheet)),
        "latex": lambda sheet: latex(rounded(sheet)),
    }
)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?|inf)")
_FORMULA = re.compile(r"[=+\-@\t\r\n＝＋－＠]")  # what a spreadsheet computes instead of showing

_VERSIONS = ("equipoise", "torch", "transformers", "peft", "numpy", "python")  # for a card


def export(study: Study, table: str, fmt: str) -> str:
    """A table of the study as text, ending with a line end.

    Raises `RecipeError` with the nearest names for an unknown table or format.
    """
    for what, name, known in (("table", table, TABLES), ("format", fmt, FORMATS)):
        if name not in known:
            raise RecipeError(f"{what} '{name}' is not known; {nearest(name, known)}")
    return FORMATS[fmt](TABLES[table](study))


def plain_study(
    title: str,
    *,
    measurements: Sequence[Measurement] = (),
    comparisons: Sequence[Comparison] = (),
) -> Study:
    """Measurements and comparisons that no study made, as one: named by their models' identities.

    Comparisons of the same two models are one chapter, with its verdict.
    """
    pairs: dict[tuple[str, ...], list[Comparison]] = {}
    for comparison in comparisons:
        pairs.setdefault(
            (comparison.before.model, *(two.model for two in comparison.afters)), []
        ).append(comparison)
    return Study(
        title=title,
        recipe={},
        measured=tuple(
            Measured(model=measurement.model, mitigation=None, seed=None, measurement=measurement)
            for measurement in measurements
        ),
        chapters=tuple(
            Chapter(
                model=before,
                mitigation=", ".join(afters),
                comparisons=tuple(those),
                verdict=verdict_of(those),
                edits=(),
            )
            for (before, *afters), those in pairs.items()
        ),
    )


def csv_text(table: Table) -> str:
    """The table as CSV (RFC 4180, but lines end with a line feed), read back by `csv.reader`.

    A text that a spreadsheet would take for a formula has an apostrophe before it; a number is a
    number. What cannot be seen is shown as `visible` shows it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(_guarded, table.header))
    writer.writerows([_guarded(cell) for cell in row] for row in table.rows)
    return text.getvalue()


def markdown_table(table: Table) -> str:
    """The table in Markdown, whatever is in its cells, ending with a line end."""
    cells = tuple(tuple(map(_marked_down, row)) for row in table.rows)
    return markdown(Table(header=tuple(map(_marked_down, table.header)), rows=cells)) + "\n"


def _guarded(cell: str) -> str:
    shown = visible(cell)
    harmless = _NUMBER.fullmatch(shown) or not _FORMULA.match(shown)
    return shown if harmless else f"'{shown}"


def _marked_down(cell: str) -> str:
    return cell if is_numeric(cell) else markdown_text(visible(cell))


# --- the table of a model card ----------------------------------------------------------------


def card_changes(comparisons: Sequence[Comparison]) -> str:
    """What a model card says of an edit: Markdown for `models.edit_folder.write_card`.

    The verdict; a table of the overall changes with intervals, ideal, n, direction and claim; then,
    for each benchmark, how it was asked, of which data, with which seeds, draws and versions.
    """
    chapters = plain_study("", comparisons=comparisons).chapters
    table = rounded(_without(changes_table(chapters), ("model", "mitigation")))
    parts = [_concluded(chapter) for chapter in chapters]
    parts.append(
        "The same items before and after, compared in pairs. In brackets: 95 % intervals, of whole "
        "clusters drawn anew; p is corrected (Holm) where a metric has groups. A claim is shown "
        "when its 90 % interval lies inside the margin."
    )
    parts.append(markdown_table(table).strip())
    parts.append("\n".join(f"- {'; '.join(_asked(comparison))}." for comparison in comparisons))
    return "\n\n".join(parts)


def _concluded(chapter: Chapter) -> str:
    together = " (taken together)" if len(chapter.comparisons[0].afters) > 1 else ""
    models = f"From {chapter.model} to {chapter.mitigation}{together}."
    return markdown_text(visible(f"{models} {verdict_sentence(chapter.verdict)}"))


def _without(sheet: Sheet, names: Sequence[str]) -> Sheet:
    kept = [k for k, column in enumerate(sheet.columns) if column.name not in names]
    return Sheet(
        columns=tuple(sheet.columns[k] for k in kept),
        rows=tuple(tuple(row[k] for k in kept) for row in sheet.rows),
    )


def _asked(comparison: Comparison) -> Iterable[str]:
    before = comparison.before
    seeds = [str(seed) for after in comparison.afters if (seed := method_seed(after)) is not None]
    limit = "all" if before.limit is None else f"a seeded choice of {before.limit}"
    groups = sum(bool(change.group) for change in comparison.changes)
    said = [
        f"{before.benchmark} version {before.version}, split {before.split}, {limit} examples "
        f"(sha256 {before.examples_sha256[:12]}), options {as_json(before.options)}",
        f"measured with seed {before.seed} before and {comparison.after.seed} after",
        f"seeds of the method: {', '.join(seeds) or 'not recorded'}",
        f"{comparison.draws} draws (seed {comparison.seed})",
        f"rows of groups: {groups}, not shown" if groups else "no groups",
    ]
    said += [
        f"data {use.name} (sha256 {use.sha256[:12]}, {use.licence}, "
        f"{'the official file' if use.verified else 'not the pinned official file'})"
        for use in before.data
    ]
    there = before.environment
    versions = ", ".join(f"{key} {there[key]}" for key in _VERSIONS if key in there)
    return [markdown_text(visible(one)) for one in (*said, versions) if one]
