"""What each kind of step does: read what it needs, compute, and write files into its folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from equipoise import api, plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, texts_of
from equipoise.calibrate import calibrate
from equipoise.checks.exposure import learnt_from, read_learnt, write_learnt
from equipoise.checks.run import check_comparison, check_measurement, check_overlap
from equipoise.compare import compare
from equipoise.conclusions import Finding
from equipoise.errors import EquipoiseError, RecipeError
from equipoise.files.json_records import write_record
from equipoise.locate.base import Locator
from equipoise.measure import choose_examples
from equipoise.mitigate.base import Mitigation
from equipoise.records import Measurement
from equipoise.study.changed_examples import with_examples
from equipoise.study.load_study import (
    CALIBRATION,
    COMPARISON,
    EDIT,
    FINDINGS,
    LEARNT,
    RESULTS,
    STABILITY,
    StoredComparison,
)
from equipoise.study.open_model import Workbench
from equipoise.study.plan import Step, own_margins
from equipoise.study.recipe import BenchmarkSpec, ModelSpec, Recipe, Spec
from equipoise.study.results import read_results, write_results
from equipoise.study.shards import SIZE, KeptShards
from equipoise.study.store import Store
from equipoise.training.resume import states_kept_in

Fill: TypeAlias = Callable[[Path], None]  # writes a step's files into a folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Doing:
    """Computes steps; what they need must be in the store."""

    recipe: Recipe
    store: Store
    bench: Workbench

    def fill(self, step: Step) -> Fill:
        """Compute a step, and give what writes its files. Raises whatever computing it raises."""
        kinds: Mapping[str, Callable[[Step], Fill]] = {
            "measure": self._measure,
            "fit": self._fit,
            "locate": self._locate,
            "compare": self._compare,
            "calibrate": self._calibrate,
        }
        return kinds[step.kind](step)

    def _measure(self, step: Step) -> Fill:
        fit = self.store.step(step.needs[0].key) if step.needs else None
        model = self.bench.model(_model(step), None if fit is None else fit / EDIT)
        spec = _benchmark(step)
        built = api.build_benchmark(spec.plugin.name, spec.plugin.options, identity=model.identity)
        found = api.measure(
            model,
            built,
            split=spec.split,
            limit=self.recipe.limit,
            seed=self.recipe.seed,
            draws=self.recipe.draws,
            shards=KeptShards(store=self.store, key=step.key, size=SIZE),
        )
        findings = check_measurement(found)
        if fit is not None:
            findings += self._overlap(fit, built, found)

        def fill(folder: Path) -> None:
            write_results(folder / RESULTS, [found])
            write_record(folder / FINDINGS, tuple(findings))

        return fill

    def _overlap(self, fit: Path, built: AnyBenchmark, found: Measurement) -> list[Finding]:
        examples, requests = choose_examples(
            built, split=found.split, limit=found.limit, seed=found.seed
        )
        texts = [
            text
            for example, own in zip(examples, requests, strict=True)
            for text in texts_of(built, example, own)
        ]
        return check_overlap(read_learnt(fit / LEARNT), found, texts)

    def _fit(self, step: Step) -> Fill:
        spec, seed = step.mitigation, step.seed
        if spec is None or seed is None:
            raise RecipeError(f"a fit needs a mitigation and a seed, got {step.title}")
        model = self.bench.model(_model(step))
        method = plugins.build(Mitigation, spec.name, spec.options)
        supply = api.build_supply(
            self.recipe.supply.name,
            self.recipe.supply.options,
            identity=model.identity,
            told=method.told,
        )
        with states_kept_in(self.store.part(step.key)):
            edit = method.fit(model, supply, seed=seed)
        learnt = learnt_from(supply, told=method.told, trained_on=edit.info.trained_on)

        def fill(folder: Path) -> None:
            edit.save(folder / EDIT)
            write_learnt(folder / LEARNT, learnt)

        return fill

    def _locate(self, step: Step) -> Fill:
        spec = _plugin(step)
        model = self.bench.model(_model(step))
        locator = plugins.build(Locator, spec.name, spec.options)
        supply = api.build_supply(
            self.recipe.supply.name, self.recipe.supply.options, identity=model.identity
        )
        first = self.recipe.seed
        found = api.stability(
            model,
            locator,
            supply=supply,
            seeds=tuple(range(first, first + self.recipe.rankings)),
            sample=self.recipe.sample,
        )
        return lambda folder: write_record(folder / STABILITY, found)

    def _compare(self, step: Step) -> Fill:
        before, *afters = [
            read_results(self.store.step(need.key) / RESULTS)[0] for need in step.needs
        ]
        found = compare(
            before,
            afters,
            margins=own_margins(self.recipe.margins, before.benchmark),
            seed=self.recipe.seed,
            draws=self.recipe.draws,
        )
        try:
            benchmark = plugins.build(Benchmark, before.benchmark, before.options)
            found = with_examples(found, benchmark, count=self.recipe.examples)
        except EquipoiseError as error:  # files that were there when it was measured
            found = replace(found, notes=(*found.notes, f"no examples are shown: {error}"))
        findings = check_comparison(found)

        def fill(folder: Path) -> None:
            stored = StoredComparison(
                changes=found.changes,
                by_seed=found.by_seed,
                examples=found.examples,
                notes=found.notes,
                seed=found.seed,
                draws=found.draws,
            )
            write_record(folder / COMPARISON, stored)
            write_record(folder / FINDINGS, tuple(findings))

        return fill

    def _calibrate(self, step: Step) -> Fill:
        spec = _plugin(step)
        found = calibrate(
            spec.name,
            spec.options,
            strengths=self.recipe.strengths,
            limit=self.recipe.limit,
            draws=self.recipe.draws,
        )
        return lambda folder: write_record(folder / CALIBRATION, found)


def _model(step: Step) -> ModelSpec:
    if step.model is None:
        raise RecipeError(f"this step needs a model, got {step.title}")
    return step.model


def _benchmark(step: Step) -> BenchmarkSpec:
    if step.benchmark is None:
        raise RecipeError(f"this step needs a benchmark, got {step.title}")
    return step.benchmark


def _plugin(step: Step) -> Spec:
    if step.plugin is None:
        raise RecipeError(f"this step needs a plug-in, got {step.title}")
    return step.plugin
