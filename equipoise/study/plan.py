"""Plan: the steps of a study, each with a key computed from its content.

A key covers everything that a result depends on: names, every option with its default, versions,
data hashes, seeds. Batch size, device and paths of the store are left out: results do not depend
on them. A changed default is a new key; so nothing stale is ever taken for new. Building plug-ins
imports them; no model is opened.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal, TypeAlias

from equipoise.errors import RecipeError
from equipoise.records import JSON, Margin
from equipoise.study.load_study import key_of
from equipoise.study.recipe import BenchmarkSpec, ModelSpec, Recipe, Spec
from equipoise.study.resolving import Parts, Resolver

Kind: TypeAlias = Literal["locate", "fit", "measure", "compare", "calibrate"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A thing to do, and all that its result depends on."""

    kind: Kind
    content: Mapping[str, JSON]  # what the key is taken over
    model: ModelSpec | None = None
    mitigation: Spec | None = None
    benchmark: BenchmarkSpec | None = None
    plugin: Spec | None = None  # the locator, or the benchmark to calibrate
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

    def of(self, kind: Kind) -> tuple[Step, ...]:
        """The steps of a kind."""
        return tuple(step for step in self.steps if step.kind == kind)


def plan(recipe: Recipe) -> Plan:
    """The steps of a recipe.

    Raises `RecipeError` with file and line for an unknown plug-in, a misspelt or wrong option, an
    unknown split or metric, and for a recipe that would measure on what it trains on.
    """
    resolver = Resolver(recipe)
    steps = [step for model in recipe.models for step in _plan_model(recipe, resolver.parts(model))]
    steps += [_calibrate_step(recipe, spec, resolver) for spec in recipe.calibrate]
    unique = {step.key: step for step in steps}
    return Plan(recipe=recipe, resolved=resolver.document(), steps=tuple(unique.values()))


def _plan_model(recipe: Recipe, parts: Parts) -> Iterator[Step]:
    """Measure the model, locate, then each mitigation with each seed, then compare."""
    bases = {
        benchmark.label: _measure_step(recipe, parts, benchmark, None)
        for benchmark in recipe.benchmarks
    }
    yield from bases.values()
    for locator in recipe.locators:
        yield _locate_step(recipe, parts, locator)
    edited = [benchmark for benchmark in recipe.benchmarks if benchmark.edited]
    for mitigation in recipe.mitigations:
        fits = [_fit_step(parts, mitigation, seed) for seed in recipe.seeds]
        afters: dict[str, list[Step]] = {benchmark.label: [] for benchmark in edited}
        for fit in fits:
            yield fit
            for benchmark in edited:
                step = _measure_step(recipe, parts, benchmark, fit)
                afters[benchmark.label].append(step)
                yield step
        for benchmark in edited:
            yield compare_step(recipe, bases[benchmark.label], afters[benchmark.label])


def _locate_step(recipe: Recipe, parts: Parts, locator: Spec) -> Step:
    content: dict[str, JSON] = {
        "model": parts.model,
        "locator": parts.locators[locator.label],
        "supply": parts.supply,
        "rankings": recipe.rankings,
        "sample": recipe.sample,
        "seed": recipe.seed,
    }
    return Step(kind="locate", content=content, model=parts.spec, plugin=locator)


def _fit_step(parts: Parts, mitigation: Spec, seed: int) -> Step:
    content: dict[str, JSON] = {
        "model": parts.model,
        "mitigation": parts.mitigations[mitigation.label],
        "supply": parts.supply,
        "seed": seed,
    }
    return Step(kind="fit", content=content, model=parts.spec, mitigation=mitigation, seed=seed)


def _measure_step(recipe: Recipe, parts: Parts, benchmark: BenchmarkSpec, fit: Step | None) -> Step:
    content: dict[str, JSON] = {
        "model": parts.model,
        "edit": None if fit is None else fit.key,
        "benchmark": parts.benchmarks[benchmark.label],
        "seed": recipe.seed,
        "limit": recipe.limit,
        "draws": recipe.draws,
    }
    return Step(
        kind="measure",
        content=content,
        model=parts.spec,
        mitigation=fit.mitigation if fit else None,
        benchmark=benchmark,
        seed=fit.seed if fit else None,
        needs=() if fit is None else (fit,),
    )


def compare_step(recipe: Recipe, before: Step, afters: Sequence[Step]) -> Step:
    """The comparison of a measurement with the measurements after it, of each seed.

    A comparison without the seeds that failed has other content, and so another key.
    """
    first = afters[0]
    if first.benchmark is None or first.mitigation is None:
        raise RecipeError(f"a comparison needs an edited measurement, got {first.title}")
    name = first.benchmark.plugin.name
    margins: dict[str, JSON] = {
        key: asdict(margin) for key, margin in margins_of_benchmark(recipe.margins, name).items()
    }
    content: dict[str, JSON] = {
        "before": before.key,
        "afters": [after.key for after in afters],
        "margins": margins,
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
        needs=(before, *afters),
    )


def without_failed(recipe: Recipe, step: Step, lost: set[str]) -> Step | None:
    """A comparison without the measurements of these keys; None when too little is left."""
    before, *afters = step.needs
    left = [after for after in afters if after.key not in lost]
    if before.key in lost or not left:
        return None
    return step if len(left) == len(afters) else compare_step(recipe, before, left)


def margins_of_benchmark(margins: Mapping[str, Margin], benchmark: str) -> dict[str, Margin]:
    """The margins of a benchmark's metrics."""
    return {key: margin for key, margin in margins.items() if key.rpartition(".")[0] == benchmark}


def _calibrate_step(recipe: Recipe, spec: Spec, resolver: Resolver) -> Step:
    content: dict[str, JSON] = {
        "benchmark": resolver.calibrated(spec),
        "strengths": list(recipe.strengths),
        "limit": recipe.limit,
        "draws": recipe.draws,
    }
    return Step(kind="calibrate", content=content, plugin=spec)
