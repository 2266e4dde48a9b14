"""What edits' records say of their training, by step: losses, held-out bias, trajectories.

BiasUnlearn, figure 3 (losses by step) and figure 4 (SS by step, several methods in one picture),
with what they lack: how many items are behind a point, and its interval. What a record does not
hold, or holds in another form, is left out.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from equipoise.records import JSON
from equipoise.study.study import Study

#: A number of a record, in which a missing one is None.
_Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]
_NUMBERS = TypeAdapter(tuple[_Number, ...])
_PARITY = 50.0

#: Side effects of an evaluation: key, unit.
_SIDE_EFFECTS = {"lms": ("held-out LMS", "%"), "perplexity": ("held-out perplexity", "")}
#: Of a column of a trajectory, what it is a mean over (`trajectory_n`), where not dev prompts.
_TRAJECTORY_OF = {"ub": "hinted", "perplexity": "texts"}
_OF_TYPES = "95 % interval over the contrasts' target terms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A quantity of an edit by the steps of its training, or by the number of its edits.

    `low`, `high`: nan where there is no interval. `n`: items behind each point; None: a loss, whose
    items change from step to step.
    """

    model: str  # the recipe's labels
    method: str
    seed: int | None
    quantity: str  # "loss, forgetting", "SS, gender", "afgb"
    over: str  # "steps" or "edits"
    unit: str
    x: tuple[float, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    n: int | None
    band: str  # what `low` and `high` are; "": there are none
    rule: str  # how points came about
    ideal: float | None = None


def study_curves(study: Study) -> list[Curve]:
    """Every curve of every edit, in the order of the study's chapters, each edit once."""
    seen: set[str] = set()
    curves: list[Curve] = []
    for chapter in study.chapters:
        for edit in chapter.edits:
            # a method that is compared with two others has a chapter for each
            key = f"{chapter.model} {chapter.mitigation} {edit.get('seed')} {edit.get('content')}"
            if key not in seen:
                seen.add(key)
                curves += edit_curves(edit, model=chapter.model, method=chapter.mitigation)
    return curves


def edit_curves(edit: Mapping[str, JSON], *, model: str, method: str) -> Iterator[Curve]:
    """The curves of an edit's report."""
    report, seed = edit.get("report"), edit.get("seed")
    if not isinstance(report, dict):
        return
    shared = {"model": model, "method": method, "seed": seed if isinstance(seed, int) else None}
    for read in (_losses, _evaluations, _trajectory):
        try:
            yield from read(report, shared)
        except (ValidationError, KeyError, TypeError, AttributeError):
            continue  # of another version, or edited


def _losses(report: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Curve]:
    """The loss and its parts (`training.loss_curves`)."""
    stored = dict(report.get("curves", {}))
    if not stored:
        return []
    every = int(stored.pop("every"))
    x = _NUMBERS.validate_python(stored.pop("steps"))
    rule = "each step" if every == 1 else f"means of {every} steps, each at its last"
    return [
        _curve(
            shared, f"loss, {name}", x, values, over="steps", unit="", rule=rule
        )
        for name, values in stored.items()
    ]  # fmt: skip


def _evaluations(report: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Curve]:
    """SS of held-out contrasts, overall and by type, and what is limited."""
    stored: Sequence[Mapping[str, Any]] = report.get("evaluations", ())
    if not stored:
        return []
    curves = []
    kinds: dict[str, list[Mapping[str, Any]]] = {}
    for evaluation in stored:
        step = {"steps": evaluation["steps"]}
        if "overall" in evaluation:
            kinds.setdefault("SS, overall", []).append({**evaluation["overall"], **step})
        for axis, bias in evaluation["types"].items():
            kinds.setdefault(f"SS, {axis}", []).append({**bias, **step})
        for key in _SIDE_EFFECTS.keys() & evaluation.keys():
            kinds.setdefault(key, []).append({**evaluation[key], **step})
    if len(stored[0]["types"]) == 1:  # which is all that there is
        kinds.pop("SS, overall", None)
    rule = "each evaluation of held-out items"
    for kind, points in kinds.items():
        x = [point["steps"] for point in points]
        if kind in _SIDE_EFFECTS:
            name, unit = _SIDE_EFFECTS[kind]
            values = [point[kind] for point in points]
            n = int(points[0]["n"])
            curves.append(_curve(shared, name, x, values, over="steps", unit=unit, rule=rule, n=n))
            continue
        ends = [[point.get(f"ss_{end}") for point in points] for end in ("low", "high")]
        curves.append(
            _curve(
                shared, kind, x, [point["ss"] for point in points], over="steps", unit="%",
                rule=rule, n=int(points[0]["items"]), ends=ends, band=_OF_TYPES, ideal=_PARITY,
            )
        )  # fmt: skip
    return curves


def _trajectory(report: Mapping[str, Any], shared: Mapping[str, Any]) -> list[Curve]:
    """What an editor measured after so many edits: columns of equal length, one of them "edits".

    NAME_low and NAME_high are the interval of NAME; what a column means, and of how many prompts
    or texts it is, stands beside them.
    """
    stored: Mapping[str, Any] = report.get("trajectory", {})
    if "edits" not in stored:
        return []
    x, counts = stored["edits"], report.get("trajectory_n", {})
    meanings = report.get("trajectory_meanings", {})
    names = [name for name in stored if isinstance(stored[name], list) and name != "edits"]
    curves = []
    for name in names:
        stem = name.removesuffix("_low").removesuffix("_high")
        if stem != name and stem in names:
            continue
        known = f"{name}_low" in names and f"{name}_high" in names
        ends = [stored[f"{name}_{end}"] for end in ("low", "high")] if known else None
        rule = f"as the editor measured; {meanings[name]}" if name in meanings else "as measured"
        n = counts.get(_TRAJECTORY_OF.get(name, "dev"))
        curves.append(
            _curve(
                shared, name, x, stored[name], over="edits", unit="", rule=rule,
                n=n if isinstance(n, int) else None,
                ends=ends, band="95 % interval" if known else "",
            )
        )  # fmt: skip
    return curves


def _curve(  # noqa: PLR0913
    shared: Mapping[str, Any],
    quantity: str,
    x: Sequence[float],
    values: Sequence[float | None],
    *,
    over: str,
    unit: str,
    rule: str,
    n: int | None = None,
    ends: Sequence[Sequence[float | None]] | None = None,
    band: str = "",
    ideal: float | None = None,
) -> Curve:
    """Raises `ValidationError` for what is no number, `KeyError` for unequal lengths."""
    missing = [None] * len(values)
    columns = [
        _NUMBERS.validate_python(list(column)) for column in (x, values, *(ends or (missing,) * 2))
    ]
    if len({len(column) for column in columns}) > 1:
        raise KeyError(f"{quantity}: columns must be equally long, got {[*map(len, columns)]}")
    has_band = any(map(math.isfinite, (*columns[2], *columns[3])))
    return Curve(
        **shared,
        quantity=quantity,
        over=over,
        unit=unit,
        x=columns[0],
        values=columns[1],
        low=columns[2],
        high=columns[3],
        n=n,
        band=band if has_band else "",
        rule=rule,
        ideal=ideal,
    )
