"""The demo: a study of a model whose bias is known, and its results in plain words. No network.

The recipe is `demo.yaml` beside this file; `examples/demo.yaml` is the same.
"""

from pathlib import Path

from equipoise.conclusions import UNSTATED, Change, Comparison
from equipoise.number_text import interval, numbers
from equipoise.study.study import Chapter, Study

RECIPE = Path(__file__).with_name("demo.yaml")
#: Measured beside the world's true values; only of the unedited model, as it covers every
#: profession and template, also those that the edits learn from.
TRUTH = "planted"
#: What should have stayed: benchmark, metric, and what it is in words.
WATCHED = (
    ("genbias", "mass", "P(he) + P(she)"),
    ("genhint", "ub", "obedience to hints (UB)"),
    ("facts", "accuracy", "recall of facts in %"),
    ("perplexity", "perplexity", "perplexity on neutral text"),
)


def lead(study: Study) -> tuple[str, ...]:
    """What the report says before all else, a paragraph each."""
    learnt = "An edit of one block was learnt on some professions and templates"
    if len(study.chapters) > 1:
        learnt = (
            "Two edits of one block were learnt on some professions and templates, an adapter on "
            "stereotypes of some people, with three seeds each"
        )
    return (
        "planted:targets=40 was taught sentences in which professions lean to a pronoun, and "
        f"people of four kinds to stereotypes, by known amounts. {learnt}; all are measured on "
        "professions, templates and people that none was trained on.",
        *(plainly(chapter) for chapter in study.chapters if chapter.comparisons),
    )


def instruments(study: Study) -> list[str]:
    """Measured and true value of each quantity that the world states, a line each."""
    lines = []
    for measured in study.measured:
        if measured.measurement.benchmark != TRUTH:
            continue
        overall = [each for each in measured.measurement.estimates if not each.group]
        estimates = {estimate.metric: estimate for estimate in overall}
        for name, estimate in estimates.items():
            base = name.removesuffix("_measured")
            true = estimates.get(f"{base}_true")
            if true is not None and not name.endswith("_true"):
                value = interval(estimate.value, estimate.low, estimate.high)
                lines.append(f"{base}: measured {value}, true {numbers(true.value)[0]}")
    return lines


def plainly(chapter: Chapter) -> str:
    """The verdict in plain words: what a method removed of the two biases, and what it cost."""
    comparisons = {comparison.before.benchmark: comparison for comparison in chapter.comparisons}
    gap = "was not measured on the gap"
    if "genbias" in comparisons:
        gap = _say_gap(comparisons["genbias"].change("afgb"))
    types = _say_stereotypes(comparisons["stereoset"]) if "stereoset" in comparisons else ""
    # What moved that should have stayed: the interval decides, not the size.
    watched = [
        (words, comparisons[benchmark].change(metric))
        for benchmark, metric, words in WATCHED
        if benchmark in comparisons
    ]
    moved = [f"{words} went {_format_move(change)}" for words, change in watched if _moved(change)]
    cost = ", ".join(moved) or "mass, hints, facts and perplexity show no change"
    return f"{chapter.mitigation} {gap}{types}; {cost}."


def _moved(change: Change) -> bool:
    return change.direction not in ("unchanged", *UNSTATED)


def _say_stereotypes(comparison: Comparison) -> str:
    """What became of the share of preferred stereotypes, by type; nothing when none moved."""
    types = ", ".join(
        f"{change.group['axis']} {_format_move(change)}"
        for change in comparison.changes
        if change.metric == "ss" and set(change.group) == {"axis"} and _moved(change)
    )
    return f"; preferred stereotypes, % by type (50: parity): {types}" if types else ""


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
