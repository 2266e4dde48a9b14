"""Whether a method learnt groups or words, beside a word table that knows no group, in words."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from equipoise.conclusions import Change
from equipoise.report.formatting import interval
from equipoise.report.provenance import setting_names, setting_of
from equipoise.study.study import Chapter, Controlled, Study

BENCHMARK: Final = "stereoset"  # whose contrasts the controls learn from
#: The share of `ss` that the target carries, measured where targets are exchanged; 0: none.
TARGET: Final = "ss_target"


def control_sentences(study: Study, chapter: Chapter) -> Iterator[str]:
    """What a chapter's method is beside its controls, or what the control that it is shows.

    Nothing of a method that has none.
    """
    controls = _controls(study)
    if chapter.mitigation in controls:
        yield f"{_describe(chapter)}, for {', '.join(controls[chapter.mitigation])}."
        return
    own = [label for label, methods in controls.items() if chapter.mitigation in methods]
    reasons = _without_controls(study, chapter.model)
    left_out = {reasons[label] for label in own if label in reasons}
    yield from (f"No word table stands beside it: {reason}." for reason in sorted(left_out))
    names = setting_names(controlled.base for controlled in chapter.controlled)
    for controlled in chapter.controlled:
        yield _say(controlled, names[setting_of(controlled.base)])
    measured = [each for each in chapter.comparisons if each.before.benchmark == BENCHMARK]
    if measured and len(left_out) < 1 <= len(own) and not chapter.controlled:
        yield (
            f"Whether it learnt words or groups cannot be told: {BENCHMARK} must be measured with "
            f"targets exchanged (its option exchange), which gives {TARGET}."
        )


def _controls(study: Study) -> Mapping[str, list[str]]:
    """Each control to the methods that it is of."""
    controls = study.recipe.get("controls")
    return {
        label: [str(method) for method in methods]
        for label, methods in (controls.items() if isinstance(controls, dict) else ())
        if isinstance(methods, list)
    }


def _without_controls(study: Study, model: str) -> Mapping[str, str]:
    """Each control that a model's supply leaves out to the reason."""
    models: Any = study.recipe.get("models")
    resolved = models.get(model, {}) if isinstance(models, dict) else {}
    return {str(key): str(why) for key, why in resolved.get("without_controls", {}).items()}


def _describe(chapter: Chapter) -> str:
    """What a control shows."""
    options: Any = chapter.edits[0].get("options") if chapter.edits else {}
    if isinstance(options, dict) and options.get("shuffled"):
        return "A control: what lowering words by labels dealt at random gives"
    return "A control: what counting words gives, whoever they are said of"


def _say(controlled: Controlled, name: str) -> str:
    """As in "It learnt words, not groups (stereoset): what the target carries of ss, 5.7 …"."""
    change = next((each for each in controlled.changes if each.metric == TARGET), None)
    if change is None or not _is_measured(change):
        why = f"{TARGET} was not measured" if change is None else change.reason or "it has no value"
        return f"Whether it learnt words or groups cannot be told ({name}): {why}."
    base = controlled.base.estimate(TARGET)
    after = interval(change.after, change.after_low, change.after_high)
    table = interval(change.before, change.before_low, change.before_high)
    nearer = interval(change.nearer, change.nearer_low, change.nearer_high)
    if change.direction in ("reduced", "reversed") and change.nearer_low > 0.0:
        verdict = f"It learnt of groups, not of words alone ({name}): it is better than"
    else:
        verdict = f"It learnt words, not groups ({name}): it is not shown to be better than"
    return (
        f"{verdict} {controlled.control} where targets are exchanged. Of ss the target carries "
        f"{after} points after it and {table} after the control, nearer 0 by {nearer}; "
        f"{interval(base.value, base.low, base.high)} in the model as it is."
    )


def _is_measured(change: Change) -> bool:
    return change.direction not in ("unknown", "not comparable") and math.isfinite(change.nearer)
