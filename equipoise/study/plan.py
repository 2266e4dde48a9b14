"""Plan: the steps of a study, each with a key computed from its content.

A key covers everything that a result depends on: names, every option with its default, versions,
data hashes, seeds. Batch size, device and paths of the store are left out: results do not depend
on them. A changed default is a new key; so nothing stale is ever taken for new. Building plug-ins
imports them; no model is opened.
"""

import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, Literal, TypeAlias

from equipoise import plugins
from equipoise.mitigate.base import HasParts
from equipoise.null_references import null_versions
from equipoise.records import JSON
from equipoise.study.load_study import (
    comparison_sides,
    key_of,
    left_of_comparison,
    left_of_validation,
    left_out_of,
)
from equipoise.study.recipe import BenchmarkSpec, ModelSpec, Recipe, Spec
from equipoise.study.resolving import Resolver
from equipoise.study.validation_files import VALIDATIONS

Kind: TypeAlias = Literal[
    "locate", "attribute", "quality", "lds", "removal", "fit", "measure", "compare", "factorial",
    "reduction", "controlled", "calibrate",
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Step:
    """A thing to do, and all that its result depends on."""

    kind: Kind
    content: Mapping[str, JSON]  # what the key is taken over
    model: ModelSpec | None = None
    mitigation: Spec | None = None
    benchmark: BenchmarkSpec | None = None
    plugin: Spec | None = None  # the locator or attributor, or the benchmark to calibrate
    seed: int | None = None  # of the mitigation
    needs: tuple["Step", ...] = ()

    @cached_property
    def key(self) -> str:
        """What it is stored under: `load_study.key_of` its kind and content."""
        return key_of(self.kind, self.content)

    @property
    def title(self) -> str:
        """What it is, for a reader: "measure stereoset on gpt2 with parity, seed 1"."""
        what = self.benchmark.label if self.benchmark else self.plugin.label if self.plugin else ""
        on = f" on {self.model.label}" if self.model else ""
        by = f" with {self.mitigation.label}" if self.mitigation else ""
        seed = "" if self.seed is None else f", seed {self.seed}"
        return " ".join(f"{self.kind} {what}{on}{by}{seed}".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every step, in the order in which they are done."""

    recipe: Recipe
    resolved: Mapping[str, JSON]  # the recipe with every option and version, as JSON
    steps: tuple[Step, ...]
    #: Labels of benchmarks whose files are not at hand, and why; their steps will say so again.
    missing: tuple[tuple[str, str], ...] = ()

    @property
    def left_out(self) -> tuple[tuple[str, str], ...]:
        """What this recipe cannot do, as "fit on MODEL with METHOD", and the reason of each."""
        return left_out_of(self.resolved)

    def of(self, kind: Kind) -> tuple[Step, ...]:
        """The steps of a kind."""
        return tuple(step for step in self.steps if step.kind == kind)


def plan(recipe: Recipe) -> Plan:
    """The steps of a recipe.

    Raises `RecipeError` with file and line for an unknown plug-in, a misspelt or wrong option, an
    unknown split or metric, for a method that cannot learn from the supply that the recipe names,
    and for a recipe that would measure on what it trains on.
    """
    with recipe.in_folder():
        return _plan(recipe)


def _plan(recipe: Recipe) -> Plan:
    resolver = Resolver(recipe)
    recipe = resolver.recipe  # with its controls
    steps = [step for model in recipe.models for step in _plan_model(resolver, model)]
    for spec in recipe.calibrate:
        calibrated: dict[str, JSON] = {
            "benchmark": resolver.resolve_calibration(spec),
            "strengths": list(recipe.strengths),
            "limit": recipe.limit,
            "draws": recipe.draws,
        }
        steps.append(Step(kind="calibrate", content=calibrated, plugin=spec))
    # labels are in no key: the same thing under two names, or asked twice, is done once
    unique = {step.key: step for step in steps}
    return Plan(
        recipe=recipe,
        resolved=resolver.document,
        steps=tuple(unique.values()),
        missing=tuple(resolver.missing.items()),
    )


def _plan_model(resolver: Resolver, model: ModelSpec) -> Iterator[Step]:
    """Measure the model, locate, attribute, then each mitigation with each seed, then compare.

    Last the comparisons with other mitigations, and the factorials of those that are made of two.
    """
    recipe, resolved = resolver.recipe, resolver.resolve_model(model)
    learnt_from: dict[str, JSON] = {"model": resolved["model"], "supply": resolved["supply"]}
    bases = [_measure_step(resolver, model, spec, None) for spec in recipe.benchmarks]
    yield from bases
    for locator in recipe.locators:
        located: dict[str, JSON] = {
            "locator": resolver.document["locators"][locator.label],
            "rankings": recipe.rankings,
            "sample": recipe.sample,
            "seed": recipe.seed,
        }
        ranked_on = resolved.get("located_on", {}).get(locator.label, resolved["supply"])
        content = learnt_from | {"supply": ranked_on} | located
        yield Step(kind="locate", content=content, model=model, plugin=locator)
    yield from _plan_attributions(resolver, model, resolved)
    measured: dict[str, Mapping[str, Sequence[Step]]] = {}  # by mitigation and benchmark
    taught_by = resolved.get("taught_by", {})
    left_out = resolved.get("left_out", {})
    controls = resolver.controls
    for mitigation in recipe.mitigations:
        if mitigation.label in left_out:
            continue
        method = resolver.document["mitigations"][mitigation.label]
        afters: dict[str, list[Step]] = {spec.label: [] for spec in recipe.benchmarks}
        measured[mitigation.label] = afters
        supplied = {"supply": taught_by[mitigation.label]} if mitigation.label in taught_by else {}
        uses_seed = resolver.mitigations[mitigation.label].uses_seed
        seeds = recipe.seeds if uses_seed else recipe.seeds[:1]
        for seed in seeds:
            fitted: dict[str, JSON] = {
                **learnt_from,
                **supplied,
                "mitigation": method,
                "seed": seed,
            }
            fit = Step(kind="fit", content=fitted, model=model, mitigation=mitigation, seed=seed)
            yield fit
            # all that is measured with an edit in a row: `OpenModel` attaches it once
            for spec in recipe.benchmarks:
                answered = mitigation not in controls.added or spec.label not in resolver.unanswered
                if spec.edited and answered:
                    afters[spec.label].append(_measure_step(resolver, model, spec, fit))
                    yield afters[spec.label][-1]
        if mitigation.against is None:
            for base, edited in zip(bases, afters.values(), strict=True):
                if edited:
                    yield _compare_step(recipe, (base,), edited)
    yield from _plan_against(resolver, bases, measured)
    yield from _plan_factorials(resolver, bases, measured)
    yield from _plan_controlled(resolver, bases, measured)


def _plan_controlled(
    resolver: Resolver, bases: Sequence[Step], measured: Mapping[str, Mapping[str, Sequence[Step]]]
) -> Iterator[Step]:
    """Compare methods with their word tables where it is told what the target carries.

    `measured`: the measurements of each mitigation, by benchmark.
    """
    tables = [label for label in resolver.controls.tables if label in measured]
    for table, base in product(sorted(tables), bases):
        label = base.benchmark.label if base.benchmark else ""
        if label not in resolver.targeted or not measured[table][label]:
            continue
        for method in resolver.controls.methods[table]:
            if method not in measured:
                continue
            sides = (("control", measured[table][label]), ("afters", measured[method][label]))
            yield _step_beside_base("controlled", resolver.recipe, ("base", base), *sides)


def _plan_against(
    resolver: Resolver, bases: Sequence[Step], measured: Mapping[str, Mapping[str, Sequence[Step]]]
) -> Iterator[Step]:
    """Compare mitigations with other mitigations, which may be listed after them.

    `measured`: the measurements of each mitigation, by benchmark.
    """
    recipe = resolver.recipe
    for mitigation in recipe.mitigations:
        if mitigation.against is None or mitigation.label not in measured:
            continue
        tuned = measured[mitigation.against]
        for base, (label, edited) in zip(bases, measured[mitigation.label].items(), strict=True):
            if edited:
                befores, afters = tuned[label], edited
                if len(befores) > 1:
                    befores, afters = _for_each_seed(befores, afters)
                yield _compare_step(recipe, befores, afters)
                if label in resolver.of_bias:
                    # how much of what the other one added is taken away again
                    sides = zip(
                        ("tuned", "afters"), _for_each_seed(tuned[label], edited), strict=True
                    )
                    yield _step_beside_base("reduction", recipe, ("base", base), *sides)


def _plan_attributions(
    resolver: Resolver, model: ModelSpec, resolved: Mapping[str, Any]
) -> Iterator[Step]:
    """Score the training rows with every attributor, and judge all that score the same rows."""
    alike: dict[str, list[Step]] = {}  # by supply
    for attributor in resolver.recipe.attributors:
        content: dict[str, JSON] = {
            "model": resolved["model"],
            "supply": resolved["attributed_on"][attributor.label],
            "attributor": resolver.document["attributors"][attributor.label],
            "seed": resolver.recipe.seed,
        }
        step = Step(kind="attribute", content=content, model=model, plugin=attributor)
        yield step
        alike.setdefault(json.dumps(content["supply"], sort_keys=True), []).append(step)
    for steps in alike.values():
        for kind, settings in _validations(resolver, steps[0]):
            content = {"model": resolved["model"], "supply": steps[0].content["supply"], **settings}
            yield _validation_step(kind, content, steps, resolver.baselines)


def _validations(resolver: Resolver, first: Step) -> Iterator[tuple[Kind, dict[str, JSON]]]:
    """What is asked of attributions, and with which settings; `first` is any of them."""
    recipe = resolver.recipe
    shared: dict[str, JSON] = {"seed": recipe.seed, "draws": recipe.draws}
    if first.plugin is not None and first.plugin.label not in resolver.unlabelled:
        yield "quality", shared | {"shares": list(recipe.attribution.shares)}
    if resolver.leave_out is not None:
        # which probes are in the key, as models were once measured on those that score rows
        judged: dict[str, JSON] = {"judged_on": "dev_probes"}
        yield "lds", shared | judged | {"leave_out": plugins.options_of(resolver.leave_out)}
    if resolver.removal is not None:
        yield "removal", shared | {"removal": plugins.options_of(resolver.removal)}


def _validation_step(
    kind: Kind, content: Mapping[str, JSON], attributions: Sequence[Step], baselines: Container[str]
) -> Step:
    """How good attributions of the same rows are, all of them together.

    Without those that failed it has other content, and so another key.
    """
    named = {step.key: step.plugin.label if step.plugin else "" for step in attributions}
    compared = [key for key, label in named.items() if label in baselines]
    sides: dict[str, JSON] = {"attributions": [*named], "baselines": [*compared]}
    return Step(
        kind=kind,
        content={**content, **sides},
        model=attributions[0].model,
        needs=tuple(attributions),
    )


def _plan_factorials(
    resolver: Resolver, bases: Sequence[Step], measured: Mapping[str, Mapping[str, Sequence[Step]]]
) -> Iterator[Step]:
    """`measured`: the measurements of each mitigation, by benchmark."""
    for label in measured:
        cells = [cell for cell in (*_listed_parts(resolver, label), label) if cell in measured]
        for spec, base in zip(resolver.recipe.benchmarks, bases, strict=True):
            if len(cells) == 3 and spec.edited:
                steps = _for_each_seed(*(measured[cell][spec.label] for cell in cells))
                sides = zip(("first", "second", "both"), steps, strict=True)
                yield _step_beside_base("factorial", resolver.recipe, ("neither", base), *sides)


def _listed_parts(resolver: Resolver, label: str) -> list[str]:
    """The labels of a mitigation's parts, of those that the recipe lists alone, too.

    The same method with the same options, files and version, whatever it is called.
    """
    listed = resolver.document["mitigations"]
    if not isinstance(resolver.mitigations[label], HasParts):
        return []
    same = [
        next((other for other, method in listed.items() if method == part), None)
        for part in listed[label]["inside"]
    ]
    return [other for other in same if other is not None]


def _for_each_seed(*sides: Sequence[Step]) -> list[Sequence[Step]]:
    """The measurements of each side, seed by seed; what no seed changes stands for every seed."""
    seeds = max(map(len, sides))
    return [side if len(side) == seeds else [side[0]] * seeds for side in sides]


def _step_beside_base(
    kind: Kind, recipe: Recipe, base: tuple[str, Step], *edited: tuple[str, Sequence[Step]]
) -> Step:
    """A step about a measurement of the model as it is, and those of each seed with edits.

    Each under the name that the content has for it. The last are of the mitigation that it is of.
    """
    name, alone = base
    content: dict[str, JSON] = {
        name: alone.key,
        **{side: [step.key for step in steps] for side, steps in edited},
        "seed": recipe.seed,
        "draws": recipe.draws,
    }
    return Step(
        kind=kind,
        content=content,
        model=alone.model,
        mitigation=edited[-1][1][0].mitigation,
        benchmark=alone.benchmark,
        needs=(alone, *(step for _, steps in edited for step in steps)),
    )


def _measure_step(
    resolver: Resolver, model: ModelSpec, benchmark: BenchmarkSpec, fit: Step | None
) -> Step:
    recipe, resolved = resolver.recipe, resolver.document["models"][model.label]
    content: dict[str, JSON] = {
        "model": resolved["model"],
        "chat": resolved["chat"],
        "edit": None if fit is None else fit.key,
        "benchmark": resolved["benchmarks"][benchmark.label],
        "seed": recipe.seed,
        "limit": recipe.limit,
        "draws": recipe.draws,
        "nulls": dict(null_versions()) if recipe.nulls else None,
    }
    return Step(
        kind="measure",
        content=content,
        model=model,
        mitigation=fit.mitigation if fit else None,
        benchmark=benchmark,
        seed=fit.seed if fit else None,
        needs=() if fit is None else (fit,),
    )


def _compare_step(recipe: Recipe, befores: Sequence[Step], afters: Sequence[Step]) -> Step:
    """The comparison of measurements, of each seed, with the model as it is or that of each seed.

    A comparison without the seeds that failed has other content, and so another key.
    """
    first = afters[0]
    margins = recipe.margins_of(first.benchmark.name) if first.benchmark else {}
    content: dict[str, JSON] = {
        **comparison_sides([step.key for step in befores], [step.key for step in afters]),
        "margins": {key: asdict(margin) for key, margin in margins.items()},
        "seed": recipe.seed,
        "draws": recipe.draws,
        "examples": recipe.examples,
    }
    return Step(
        kind="compare",
        content=content,
        model=first.model,
        mitigation=first.mitigation,
        benchmark=first.benchmark,
        needs=(*befores, *afters),
    )


def without_failed(recipe: Recipe, step: Step, lost: Container[str]) -> Step | None:
    """A step as it can be done without what has these keys: a comparison with the seeds left.

    None when it lacks what it cannot do without.
    """
    left = [need for need in step.needs if need.key not in lost]
    if len(left) == len(step.needs):
        return step
    if step.kind in VALIDATIONS and left:
        content, needs = left_of_validation(step.content, lost), tuple(left)
        return replace(step, content=content, needs=needs)
    if step.kind != "compare":
        return None
    befores, afters = left_of_comparison(step.content, lost)
    by_key = {need.key: need for need in step.needs}
    if not befores or not afters:
        return None
    return _compare_step(recipe, [by_key[key] for key in befores], [by_key[key] for key in afters])
