"""What a model card says of an edit's numbers, in Markdown."""

from collections.abc import Iterable, Sequence

from equipoise.conclusions import Comparison
from equipoise.export.export import markdown_table, reader_table
from equipoise.export.tables import changes, method_seed, options_json
from equipoise.markdown import markdown_text
from equipoise.report.formatting import visible
from equipoise.report.sentences import verdict_sentence
from equipoise.study.study import plain_study

_OFFICIAL = {True: "the official file", False: "not a known official file", None: "own file"}
_VERSIONS = ("equipoise", "torch", "transformers", "peft", "numpy", "python")


def card_changes(comparisons: Sequence[Comparison]) -> str:
    """What a model card says of an edit: Markdown for `edits.base.write_card`.

    The verdict; a table of the overall changes with intervals, ideal, n, direction and claim; then,
    for each benchmark, how it was measured, on which data, with which seeds, draws and versions.
    """
    study = plain_study("", comparisons=comparisons)
    table = reader_table(changes(study), "changes").drop(columns=["model", "mitigation"])
    parts = []
    for chapter in study.chapters:
        together = " (taken together)" if len(chapter.comparisons[0].afters) > 1 else ""
        models = f"From {chapter.model} to {chapter.mitigation}{together}."
        parts.append(markdown_text(visible(f"{models} {verdict_sentence(chapter.verdict)}")))
    parts.append(
        "The same items before and after, compared in pairs. In brackets: 95 % intervals, of whole "
        "clusters drawn anew; p is corrected (Holm) where a metric has groups. A claim is shown "
        "when its 90 % interval lies inside the margin."
    )
    parts.append(markdown_table(table).strip())
    parts.append("\n".join(f"- {'; '.join(_describe(comparison))}." for comparison in comparisons))
    return "\n\n".join(parts)


def _describe(comparison: Comparison) -> Iterable[str]:
    before = comparison.before
    seeds = [str(seed) for after in comparison.afters if (seed := method_seed(after)) is not None]
    limit = "all" if before.limit is None else f"a seeded choice of {before.limit}"
    groups = sum(bool(change.group) for change in comparison.changes)
    parts = [
        f"{before.benchmark} version {before.version}, split {before.split}, {limit} examples "
        f"(sha256 {before.examples_sha256[:12]}), options {options_json(before.options)}",
        f"measured with seed {before.seed} before and {comparison.after.seed} after",
        f"seeds of the method: {', '.join(seeds) or 'not recorded'}",
        f"{comparison.draws} draws (seed {comparison.seed})",
        f"rows of groups: {groups}, not shown" if groups else "no groups",
    ]
    parts += [
        f"data {use.name} (sha256 {use.sha256[:12]}, {use.licence}, {_OFFICIAL[use.verified]})"
        for use in before.data
    ]
    packages = before.environment
    versions = ", ".join(f"{name} {packages[name]}" for name in _VERSIONS if name in packages)
    return [markdown_text(visible(text)) for text in (*parts, versions) if text]
