"""A table of methods for a paper, with a caption that says what its numbers rest on."""

from collections.abc import Iterator

import pandas as pd

from equipoise.conclusions import UNSTATED
from equipoise.export.methods import methods, methods_table
from equipoise.markdown import markdown_text
from equipoise.records import Measurement
from equipoise.report.formatting import visible
from equipoise.report.overview import measured_bases
from equipoise.study.study import Study

_SHOWN = "†"
_PACKAGES = ("equipoise", "torch", "transformers")


def matrix(study: Study, *, every: bool) -> pd.DataFrame:
    """A row per model and method, a column per metric with its interval: numbers, for a program.

    `every`: all metrics that the study has; else each benchmark's first.
    """
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for row in methods(study, every=every).to_dict("records"):
        line = rows.setdefault((row["model"], row["method"]), {})
        for end, name in (("", "value"), ("_low", "low"), ("_high", "high")):
            line[f"{row['column']}{end}"] = row[name]
    return pd.DataFrame(
        [{"model": model, "method": method, **line} for (model, method), line in rows.items()]
    )


def paper_table(study: Study, *, every: bool) -> pd.DataFrame:
    """The same for a reader: "0.65 [0.60, 0.70] (-0.63) †*"; `caption_of` says what it means."""
    frame = methods(study, every=every)
    shown = ~frame["direction"].isin(["unchanged", *UNSTATED]) & frame["direction"].notna()
    return methods_table(frame, marks=[_SHOWN if mark else "" for mark in shown])


def caption_of(study: Study) -> str:
    """What the marks mean, and how, on what, with what and how often was measured; a sentence each.

    Foreign names in it are made visible, and nothing else.
    """
    parts = [
        f"{study.title}: value [95 % interval] (change from the model as it is, on the same items)",
        f"{_SHOWN} the change is shown by its interval and a paired permutation test; * nearest to "
        "the ideal, or the most able, in its column, which is no test",
        *_describe_benchmarks(study),
        *_describe_seeds(study),
        *_describe_versions(study),
    ]
    return visible(" ".join(f"{part.rstrip('.')}." for part in parts))


def _measurements(study: Study) -> list[Measurement]:
    return [each for known in measured_bases(study).values() for each in known.values()]


def _describe_benchmarks(study: Study) -> Iterator[str]:
    by_name = {measurement.benchmark: measurement for measurement in _measurements(study)}
    for name, measurement in by_name.items():
        overall = [row for row in measurement.estimates if not row.group]
        ideals = [f"{row.metric} {row.ideal:g}" for row in overall if row.ideal is not None]
        data = [f"{use.name} ({use.licence or 'own file'})" for use in measurement.data]
        limit = "" if measurement.limit is None else f", {measurement.limit} drawn examples"
        parts = [
            f"version {measurement.version}, {measurement.split}{limit}",
            *([f"n = {max(row.n for row in overall):,}"] if overall else []),
            *([f"ideal {', '.join(ideals)}"] if ideals else []),
            f"{measurement.draws:,} draws",
            f"examples {measurement.examples_sha256[:12]}",
            *([f"data {', '.join(data)}"] if data else []),
        ]
        yield f"{name}: {'; '.join(parts)}"


def _describe_seeds(study: Study) -> Iterator[str]:
    counts = {
        len(comparison.afters) for chapter in study.chapters for comparison in chapter.comparisons
    }
    if counts:
        most = max(counts)
        yield (
            f"Means over {min(counts)} to {most} seeds"
            if len(counts) > 1
            else (
                f"Means over {most} seeds of each method, whose scatter the intervals hold"
                if most > 1
                else "A single seed of each method"
            )
        )


def _describe_versions(study: Study) -> Iterator[str]:
    known = {
        f"{name} {measurement.environment[name]}": None
        for measurement in _measurements(study)
        for name in _PACKAGES
        if name in measurement.environment
    }
    if known:
        yield f"Measured with {', '.join(known)}"


def with_caption(text: str, caption: str, fmt: str) -> str:
    """A Markdown or LaTeX table with its caption, in LaTeX as a floating `table`."""
    if fmt == "markdown":
        return f"{text}\n{markdown_text(caption)}\n"
    first, _, tabular = text.partition("\n")
    if "longtable" in first:  # which floats nowhere
        return f"{text}% {caption}\n"
    return (
        f"{first}\n\\begin{{table}}\n\\centering\n{tabular}\\caption{{{latex_text(caption)}}}\n"
        "\\end{table}\n"
    )


def latex_text(text: str) -> str:
    """The text as LaTeX that prints it."""
    frame = pd.DataFrame([[text]], columns=["x"], dtype=object)
    lines = frame.to_latex(index=False, header=False, escape=True).splitlines()
    inner = next(line for line in lines if line.endswith(r"\\")).removesuffix(r"\\").strip()
    return inner.replace("†", r"\dag{}").replace("--", "-{}-")
