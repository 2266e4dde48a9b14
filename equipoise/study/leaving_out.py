"""What of a recipe cannot be done on a model, known before anything is: sentences for the plan."""

from collections.abc import Collection, Container, Mapping, Sequence
from importlib.util import find_spec

from equipoise import plugins
from equipoise.attribute.base import Attributor
from equipoise.errors import RecipeError, nearest
from equipoise.loading.model_kind import NamedKind
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation, single_parts
from equipoise.records import JSON, Metric, Supply
from equipoise.study.recipe import BenchmarkSpec, Recipe, Spec
from equipoise.supply.base import Supplier


def why_not_edited(model: str, kind: NamedKind | None, method: Mitigation) -> str | None:
    """Why a method cannot edit a model of this kind; None: it can, or the kind is not known."""
    if kind in ("server", "encoder"):
        what = "behind HTTP" if kind == "server" else "a sentence encoder"
        return f"a model must predict words in memory to be edited, {model} is {what}"
    for part in single_parts(method):
        if kind is not None and kind not in part.kinds:
            name = plugins.name_of(part)
            return f"{name} edits {' or '.join(part.kinds)} models, {model} is {kind}"
    return None


def why_not_taught(label: str, method: Mitigation, spec: Spec, supply: Supply) -> str | None:
    """Why a method cannot learn from a supply; None: the supply has all that it must have.

    What a method refuses of what is there (`Mitigation.refuses`) is asked when nothing is missing.
    """
    if "labels" in method.item_info and plugins.find(Supplier, spec.name).labelled_by is None:
        lacking = "the labels of measured items"
    else:
        lacking = ", ".join(name.replace("_", " ") for name in method.lacks(supply))
    if not lacking:
        reasons = [(part, part.refuses(supply)) for part in single_parts(method)]
        return next(
            (f"{label}: {plugins.name_of(part)}: {why}" for part, why in reasons if why), None
        )
    remedy = f"give it another, as 'supply: {method.taught_by}'"
    if spec.name == method.taught_by:
        remedy = "change the options of the supply, or leave the method out"
    elif spec.name == "planted":
        remedy = "take a world that has them, as planted:targets=40, or leave the method out"
    return f"{label} must be taught with {lacking}, the supply {spec.label} has none; {remedy}"


def why_not_ranked(name: str, locator: Locator, spec: Spec, supply: Supply) -> str | None:
    """Why a locator cannot rank on a supply; None: it can."""
    if locator.reads == "questions" and not supply.questions:
        return (
            f"{name} ranks on questions about an association, and {spec.name} has "
            f"{len(supply.questions)}; give it a supply of its own, as "
            f"'supply: {locator.taught_by}'"
        )
    reason = locator.refuses(supply.prompts)
    return None if reason is None else f"{name}: {reason}"


def check_installed(name: str, attributor: Attributor) -> None:
    """Raise `RecipeError` for a package that an attributor needs and that is not installed."""
    if attributor.needs is not None and find_spec(attributor.needs[0]) is None:
        package, extra = attributor.needs
        raise RecipeError(
            f"{name} needs the package '{package}', which is not installed; run: pip install "
            f"'equipoise[{extra}]'"
        )


def check_attributor(name: str, attributor: Attributor, supply: Supply) -> None:
    """As `check_installed`, and raise `RecipeError` where probes that it reads are missing."""
    check_installed(name, attributor)
    if attributor.reads_probes and not supply.probes:
        raise RecipeError(
            f"{name} looks for what probes show, {supply.origin} has {len(supply.probes)}; name "
            "a supply that has probes, as 'supply: mix'"
        )


def check_headline(benchmark: BenchmarkSpec, known: Collection[str]) -> None:
    """Raise `RecipeError` for a headline that is no metric of the benchmark."""
    for name in benchmark.headline:
        if name not in known:
            raise RecipeError(
                f"{benchmark.name} has no metric '{name}' for a headline; {nearest(name, known)}"
            )


def with_dependants(
    reasons: Mapping[str, JSON], recipe: Recipe, controls: Mapping[str, Sequence[str]]
) -> dict[str, JSON]:
    """The reasons, and those of mitigations that are compared with, or controls of, these alone."""
    against = {spec.label: spec.against for spec in recipe.mitigations if spec.against is not None}
    needed: dict[str, Sequence[str]] = {label: [other] for label, other in against.items()}
    needed |= {label: of for label, of in controls.items() if label not in needed}
    listed = {spec.label for spec in recipe.mitigations}
    all_reasons = dict(reasons)
    while new := [
        label
        for label, others in needed.items()
        if label in listed and label not in all_reasons and all(o in all_reasons for o in others)
    ]:
        for label in new:
            others = ", ".join(needed[label])
            all_reasons[label] = f"it stands beside {others}, which cannot be learnt on this model"
    return all_reasons


def check_margins(
    recipe: Recipe, metrics: Mapping[str, Mapping[str, Metric]], *, unknown: Container[str]
) -> None:
    """Refuse a margin that is of no metric (by benchmark and name), or of a kind it cannot have.

    `unknown`: benchmarks whose metrics cannot be known yet.
    """
    for key, margin in recipe.margins.items():
        name, _, metric = key.rpartition(".")
        if name in unknown:
            continue
        if name not in metrics:
            fault = (
                "a margin is of benchmark.metric with a benchmark of this recipe, got "
                f"'{key}'; {nearest(name or key, metrics)}"
            )
        elif metric not in metrics[name]:
            fault = f"margins: {name} has no metric '{metric}'; {nearest(metric, metrics[name])}"
        elif margin.relative and metrics[name][metric].higher_is_better is None:
            fault = (
                f"margins: {key} is measured against a point, so that its margin must be in "
                f"'{metrics[name][metric].unit}', got {margin.size:.0%}; write a number"
            )
        else:
            continue
        raise RecipeError(f"{recipe.at(recipe.lines['margins'])}: {fault}")
