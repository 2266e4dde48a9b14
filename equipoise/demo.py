"""The demo: a study of a model whose bias is known, and its results in plain words. No network.

The recipe is `demo.yaml` beside this file; `examples/demo.yaml` is the same.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from equipoise.conclusions import Change, Comparison
from equipoise.records import Measurement
from equipoise.report.sentences import interval, numbers
from equipoise.study.study import Chapter, Study

RECIPE = Path(__file__).with_name("demo.yaml")
#: Measured beside the world's true values; only of the unedited model, as it covers every
#: profession and template, also those that the edits learn from.
TRUTH = "planted"


def lead(study: Study) -> tuple[str, ...]:
    """What the report says before all else, a paragraph each."""
    return (
        "planted:targets=40 was taught sentences in which professions lean to a pronoun, and "
        "people of four kinds to stereotypes, by known amounts. Two edits of one block were learnt "
        "on some professions and templates, an adapter on stereotypes of some people, with three "
        "seeds each; all are measured on professions, templates and people that none was trained "
        "on.",
        *(plainly(chapter) for chapter in study.chapters if chapter.comparisons),
    )


def instruments(study: Study) -> list[str]:
    """Measured and true value of each quantity that the world states, a line each."""
    return [
        line
        for measured in study.measured
        if measured.measurement.benchmark == TRUTH
        for line in _compare_with_truth(measured.measurement)
    ]


def _compare_with_truth(measurement: Measurement) -> Iterable[str]:
    estimates = {
        estimate.metric: estimate for estimate in measurement.estimates if not estimate.group
    }
    for name, estimate in estimates.items():
        base = name.removesuffix("_measured")
        true = estimates.get(f"{base}_true")
        if true is not None and not name.endswith("_true"):
            value = interval(estimate.value, estimate.low, estimate.high)
            yield f"{base}: measured {value}, true {numbers(true.value)[0]}"


def plainly(chapter: Chapter) -> str:
    """The verdict in plain words: what a method removed of the two biases, and what it cost."""
    comparisons = {comparison.before.benchmark: comparison for comparison in chapter.comparisons}
    gap = comparisons["genbias"].change("afgb") if "genbias" in comparisons else None
    removed = "was not measured on the gap" if gap is None else _say_gap(gap)
    moved = _say_stereotypes(comparisons["stereoset"]) if "stereoset" in comparisons else ""
    return f"{chapter.mitigation} {removed}{moved}; {_say_cost(comparisons.values())}."


def _say_stereotypes(comparison: Comparison) -> str:
    """What became of the share of preferred stereotypes, by type; nothing when none moved."""
    moved = [
        change
        for change in comparison.changes
        if change.metric == "ss"
        and set(change.group) == {"axis"}
        and change.direction not in ("unchanged", "unknown")
    ]
    if not moved:
        return ""
    types = ", ".join(f"{change.group['axis']} {_format_move(change)}" for change in moved)
    return f"; preferred stereotypes, % by type (50: parity): {types}"


def _say_gap(gap: Change) -> str:
    share = f"{abs(1 - gap.after / gap.before):.0%}"
    said = {"reduced": f"removed {share} of the gap", "worse": f"widened the gap by {share}"}
    return (
        said.get(gap.direction, "did not show a change of the gap")
        + " between P(he) and P(she), on professions and templates it never saw"
        + f" ({_format_move(gap)})"
    )


def _format_move(change: Change) -> str:
    after = interval(change.after, change.after_low, change.after_high)
    return f"from {numbers(change.before)[0]} to {after}"


#: What should have stayed: benchmark, metric, and what it is in words.
WATCHED = (
    ("genbias", "mass", "P(he) + P(she)"),
    ("genhint", "ub", "obedience to hints (UB)"),
    ("facts", "accuracy", "recall of facts in %"),
    ("perplexity", "perplexity", "perplexity on neutral text"),
)


def _say_cost(comparisons: Iterable[Comparison]) -> str:
    """What moved that should have stayed; the interval decides, not the size."""
    by_benchmark = {comparison.before.benchmark: comparison for comparison in comparisons}
    moved: Sequence[str] = [
        f"{words} went {_format_move(by_benchmark[benchmark].change(metric))}"
        for benchmark, metric, words in WATCHED
        if benchmark in by_benchmark
        and by_benchmark[benchmark].change(metric).direction not in ("unchanged", "unknown")
    ]
    return ", ".join(moved) or "mass, hints, facts and perplexity show no change"
