"""Whether a method learnt groups or words, beside a word table that knows no group, in words."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from equipoise.conclusions import UNSTATED, Change
from equipoise.metrics import target_parts
from equipoise.metrics.stereoset import SS_TARGET
from equipoise.number_text import interval
from equipoise.report.provenance import setting_names, setting_of
from equipoise.study.study import Chapter, Controlled, Study

BENCHMARK: Final = "stereoset"  # whose contrasts the controls learn from


def control_sentences(study: Study, chapter: Chapter) -> Iterator[str]:
    """What a chapter's method is beside its controls, or what the control that it is shows.

    Nothing of a method that has none.
    """
    controls = _controls(study)
    if chapter.mitigation in controls:
        what = _describe(study, chapter.mitigation)
        yield f"{what}, for {', '.join(controls[chapter.mitigation])}."
        return
    of_it = [label for label, methods in controls.items() if chapter.mitigation in methods]
    reasons = _left_out(study, chapter.model)
    left_out = {reasons[label] for label in of_it if label in reasons}
    yield from (f"No word table stands beside it: {reason}." for reason in sorted(left_out))
    names = setting_names(controlled.base for controlled in chapter.controlled)
    for controlled in chapter.controlled:
        yield _say(chapter, controlled, names[setting_of(controlled.base)])
    measured = [each for each in chapter.comparisons if each.before.benchmark == BENCHMARK]
    if measured and len(left_out) < 1 <= len(of_it) and not chapter.controlled:
        yield (
            f"Whether it learnt words or groups cannot be told: {BENCHMARK} must be measured with "
            f"targets exchanged (its option exchange), which gives {SS_TARGET}."
        )


def _controls(study: Study) -> Mapping[str, list[str]]:
    """Each control to the methods that it is of."""
    controls = study.recipe.get("controls")
    return {
        label: [str(method) for method in methods]
        for label, methods in (controls.items() if isinstance(controls, dict) else ())
        if isinstance(methods, list)
    }


def _left_out(study: Study, model: str) -> Mapping[str, str]:
    """Each method that cannot act on a model, controls among them, to the reason."""
    models: Any = study.recipe.get("models")
    resolved = models.get(model, {}) if isinstance(models, dict) else {}
    return {str(key): str(why) for key, why in resolved.get("left_out", {}).items()}


def _describe(study: Study, label: str) -> str:
    """What a control shows, by the recipe's options: one that failed has no edit to say it."""
    mitigations: Any = study.recipe.get("mitigations")
    built = mitigations.get(label, {}) if isinstance(mitigations, dict) else {}
    if built.get("options", {}).get("shuffled"):
        return "A control: what lowering words by labels dealt at random gives"
    return "A control: what counting words gives, whoever they are said of"


def _say(chapter: Chapter, controlled: Controlled, name: str) -> str:
    """As in "It learnt words, not groups (stereoset): it is not shown to be better than …"."""
    change = _share(controlled.changes)
    if change is None or not _is_measured(change):
        why = (
            f"{SS_TARGET} was not measured"
            if change is None
            else change.reason or "it has no value"
        )
        return f"Whether it learnt words or groups cannot be told ({name}): {why}."
    # better than a table that made it worse is no merit: it must be better than no edit, too
    since = next(
        (
            _share(comparison.changes)
            for comparison in chapter.comparisons
            if setting_of(comparison.before) == setting_of(controlled.base)
        ),
        None,
    )
    worse_than = [
        beside
        for beside, moved in ((controlled.control, change), ("the model as it is", since))
        if moved is not None and not _is_nearer(moved)
    ]
    base = controlled.base.estimate(SS_TARGET)
    after = interval(change.after, change.after_low, change.after_high)
    table = interval(change.before, change.before_low, change.before_high)
    nearer = interval(change.nearer, change.nearer_low, change.nearer_high)
    if worse_than:
        learnt = (
            "learnt words, not groups"
            if _words_moved(chapter, controlled)
            else "is not shown to have learnt of groups"
        )
        verdict = f"It {learnt} ({name}): it is not shown to be better than"
    else:
        verdict = f"It learnt of groups, not of words alone ({name}): it is better than"
    return (
        f"{verdict} {' and '.join(worse_than) or controlled.control} where targets are exchanged. "
        f"Of ss the target carries {after} points after it and {table} after the control, nearer 0 "
        f"by {nearer}; {interval(base.value, base.low, base.high)} in the model as it is."
    )


def _share(changes: Sequence[Change]) -> Change | None:
    """The overall change of what the target carries."""
    return next((each for each in changes if each.metric == SS_TARGET and not each.group), None)


def _words_moved(chapter: Chapter, controlled: Controlled) -> bool:
    """Whether the score with others in the target's place, which is of the words, is shown to move.

    Where that was not measured, whether the score itself is.
    """
    for comparison in chapter.comparisons:
        if setting_of(comparison.before) != setting_of(controlled.base):
            continue
        overall = {change.metric: change for change in comparison.changes if not change.group}
        score = SS_TARGET.removesuffix(target_parts.TARGET)
        moved = overall.get(score + target_parts.EXCHANGED, overall.get(score))
        if moved is not None:
            return moved.direction not in ("unchanged", *UNSTATED)
    return False


def _is_nearer(change: Change) -> bool:
    """Whether it is shown to be nearer 0, on either side of it."""
    return change.direction in ("reduced", "reversed") and change.nearer_low > 0.0


def _is_measured(change: Change) -> bool:
    return change.direction not in UNSTATED and math.isfinite(change.nearer)
