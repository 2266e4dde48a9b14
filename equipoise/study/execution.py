"""The computation of each kind of step: read inputs, compute, write files into its folder.

A study keeps a single model in memory at a time, with the edit on it.
"""

import gc
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from equipoise import api, plugins
from equipoise.api import folder_for
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, texts_of
from equipoise.calibrate import calibrate
from equipoise.checks.learnt import learnt_from, read_learnt, write_learnt
from equipoise.checks.run import check_comparison, check_measurement, check_overlap
from equipoise.compare import compare, decompose, reduction
from equipoise.data.sources import reading_from
from equipoise.edits.base import Edit
from equipoise.edits.registry import load_edit
from equipoise.errors import EquipoiseError, RecipeError
from equipoise.files.json_records import write_record
from equipoise.inference.decision_server import DecisionServer, is_server
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import Scorer
from equipoise.inference.sentence_encoder import check_predicts
from equipoise.loading.connect import connect
from equipoise.loading.load import load
from equipoise.locate.base import Locator
from equipoise.measure import choose_examples
from equipoise.mitigate.base import HasParts, Mitigation
from equipoise.records import Measurement
from equipoise.remote.options import is_remote
from equipoise.study.attributing import AttributionSteps
from equipoise.study.changed_examples import with_examples
from equipoise.study.load_study import (
    CALIBRATION,
    COMPARISON,
    CONTROLLED,
    EDIT,
    FACTORIAL,
    FINDINGS,
    LEARNT,
    REDUCTION,
    STABILITY,
    STORED,
    key_of,
)
from equipoise.study.plan import Step
from equipoise.study.recipe import (
    BenchmarkSpec,
    LocatorSpec,
    MitigationSpec,
    ModelSpec,
    Recipe,
    Spec,
)
from equipoise.study.results import read_results, write_results
from equipoise.study.server_content import server_options
from equipoise.study.store import SHARD_SIZE, StepFiles, Store, StoredShards
from equipoise.study.stored_steps import RESULTS
from equipoise.study.written_pairs import with_pairs
from equipoise.supply.base import Supplier
from equipoise.training.resume import checkpoints_in


class OpenModel:
    """Loads models and attaches edits; the last model and edit stay loaded for the next step."""

    def __init__(self, *, device: str, batch_tokens: int | None) -> None:
        self._device = device
        self._batch_tokens = batch_tokens
        self._spec: ModelSpec | None = None
        self._model: LanguageModel | None = None
        self._edit: Path | None = None
        self._edited: LanguageModel | None = None
        self._undo = ExitStack()

    def model(self, spec: ModelSpec, edit: Path | None = None) -> LanguageModel:
        """The model, with the edit saved in `edit` attached if it is given.

        Raises what `load`, `load_edit` and `Edit.attached` raise.
        """
        if self._model is None or self._spec != spec:
            self.close()
            self._model = load(
                spec.name,
                revision=spec.revision,
                dtype=spec.dtype,
                quantize=spec.quantize,
                device=self._device,
                base=spec.base,
                start=spec.start,
                batch_tokens=self._batch_tokens,
                trust_remote_code=spec.trust_remote_code,
            )
            self._spec = spec
        if self._edit != edit:
            self._detach()
            if edit is not None:
                self._edited = self._undo.enter_context(load_edit(edit).attached(self._model))
                self._edit = edit  # only now: an edit that cannot be attached is tried again
        return self._model if self._edited is None else self._edited

    def close(self) -> None:
        """Take the edit off and free the memory."""
        self._detach()
        self._spec = self._model = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _detach(self) -> None:
        self._edit = self._edited = None
        self._undo.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepExecutor:
    """Computes steps; what they need must be in the store."""

    recipe: Recipe
    store: Store
    models: OpenModel

    def run(self, step: Step) -> StepFiles:
        """Compute a step; gives what writes its files. Raises whatever computing it raises."""
        name = "" if step.model is None else step.model.base or step.model.name
        # around every kind of step: fitting reads a supply, and comparing shows texts, of it
        with reading_from(folder_for(name, self.recipe.data)):
            match step:
                case Step(kind="compare"):
                    return self._compare(step)
                case Step(kind="factorial"):
                    return self._factorial(step)
                case Step(kind="reduction"):
                    return self._reduction(step)
                case Step(kind="controlled"):
                    return self._controlled(step)
                case Step(
                    kind="attribute" | "quality" | "lds" | "removal", model=ModelSpec() as model
                ):
                    return self._attribute(step, model)
                case Step(
                    kind="measure", model=ModelSpec() as model, benchmark=BenchmarkSpec() as spec
                ):
                    return self._measure(step, model, spec)
                case Step(
                    kind="fit", model=ModelSpec() as model, mitigation=MitigationSpec() as method
                ):
                    return self._fit(step, model, method)
                case Step(
                    kind="locate", model=ModelSpec() as model, plugin=LocatorSpec() as locator
                ):
                    return self._locate(model, locator)
                case Step(kind="calibrate", plugin=Spec() as benchmark):
                    return self._calibrate(benchmark)
        raise RecipeError(f"a step must name what it is of, got {step.title}; plan it again")

    def _attribute(self, step: Step, spec: ModelSpec) -> StepFiles:
        steps = AttributionSteps(recipe=self.recipe, store=self.store)
        if step.kind == "quality":
            return steps.judge(step)
        model = self.models.model(spec)
        return (
            steps.attribute(step, model) if step.kind == "attribute" else steps.retrain(step, model)
        )

    def _subject(self, model: ModelSpec, edit: Path | None, *, replies: Path) -> Scorer:
        """What is measured: the model, edited or not, in the form that the recipe asks for.

        `replies`: where those of a server are kept until the step is done.
        """
        if is_server(model.name):
            return DecisionServer.parse(model.name)
        if is_remote(model.name):
            return connect(model.name, **server_options(model)).keeping_in(replies)
        opened, chat = self.models.model(model, edit), model.chat_options
        return opened if chat is None else opened.in_chat(**chat)

    def _measure(self, step: Step, model: ModelSpec, spec: BenchmarkSpec) -> StepFiles:
        fit = self.store.step(step.needs[0].key) if step.needs else None
        built: AnyBenchmark = plugins.build(Benchmark, spec.name, spec.options)
        measurement = api.measure(
            self._subject(
                model,
                None if fit is None else fit / EDIT,
                replies=self.store.part(step.key) / "replies.jsonl",
            ),
            built,
            split=spec.split,
            limit=self.recipe.limit,
            seed=self.recipe.seed,
            draws=self.recipe.draws,
            nulls=self.recipe.nulls,
            shards=StoredShards(store=self.store, key=step.key, size=SHARD_SIZE),
        )
        findings = check_measurement(measurement)
        if fit is not None:
            examples, requests = choose_examples(
                built, split=measurement.split, limit=measurement.limit, seed=measurement.seed
            )
            texts = [
                text
                for example, example_requests in zip(examples, requests, strict=True)
                for text in texts_of(built, example, example_requests)
            ]
            findings += check_overlap(read_learnt(fit / LEARNT), measurement, texts)

        return {
            RESULTS: lambda folder: write_results(folder, [measurement]),
            FINDINGS: lambda file: write_record(file, tuple(findings)),
        }

    def _fit(self, step: Step, model: ModelSpec, spec: MitigationSpec) -> StepFiles:
        method = plugins.build(Mitigation, spec.name, spec.options)
        taught_by = self.recipe.supply_of(spec, api.usual_supply(method, model.name))
        supplier = plugins.build(Supplier, taught_by.name, taught_by.options)
        supply = api.build_supply(supplier, item_info=method.item_info)
        opened, seed = self.models.model(model), step.seed or 0
        check_predicts(opened, "edited")
        with checkpoints_in(self.store.part(step.key)):
            if isinstance(method, HasParts):
                find = partial(self._find_part, step)
                edit = method.fit_with(opened, supply, seed=seed, find=find)
            else:
                edit = method.fit(opened, supply, seed=seed)
        learnt = learnt_from(supply, item_info=method.item_info, trained_on=edit.info.trained_on)
        return {EDIT: edit.save, LEARNT: lambda file: write_learnt(file, learnt)}

    def _find_part(self, step: Step, number: int) -> Edit | None:
        """The edit of a part of a step's method that the study has learnt alone, if it has."""
        method = step.content["mitigation"]
        inside = method["inside"] if isinstance(method, dict) else None
        if not isinstance(inside, list):
            return None
        key = key_of("fit", {**step.content, "mitigation": inside[number]})
        return load_edit(self.store.step(key) / EDIT) if self.store.fault(key) is None else None

    def _locate(self, model: ModelSpec, spec: LocatorSpec) -> StepFiles:
        first = self.recipe.seed
        locator = plugins.build(Locator, spec.name, spec.options)
        supply = self.recipe.supply_of(spec, locator.taught_by)
        stability = api.stability(
            self.models.model(model),
            locator,
            supply=plugins.build(Supplier, supply.name, supply.options),
            seeds=tuple(range(first, first + self.recipe.rankings)),
            sample=self.recipe.sample,
        )
        return {STABILITY: lambda file: write_record(file, stability)}

    def _compare(self, step: Step) -> StepFiles:
        measured = self._measured(step)
        # before a single measurement, or that of each seed
        before, count = measured[0], 1 if "before" in step.content else len(measured) // 2
        comparison = compare(
            measured[:count],
            measured[count:],
            margins=self.recipe.margins_of(before.benchmark),
            seed=self.recipe.seed,
            draws=self.recipe.draws,
        )
        try:
            benchmark = plugins.build(Benchmark, before.benchmark, before.options)
            comparison = with_examples(comparison, benchmark, count=self.recipe.examples)
            if self.recipe.examples:
                comparison = with_pairs(comparison, benchmark)
        except EquipoiseError as error:  # files that were there when it was measured
            comparison = replace(
                comparison, notes=(*comparison.notes, f"no examples are shown: {error}")
            )
        findings = check_comparison(comparison)
        stored = {name: getattr(comparison, name) for name in STORED}
        return {
            COMPARISON: lambda file: write_record(file, stored),
            FINDINGS: lambda file: write_record(file, tuple(findings)),
        }

    def _factorial(self, step: Step) -> StepFiles:
        neither, *others = self._measured(step)
        seeds = len(others) // 3
        factorials = decompose(
            neither,
            others[:seeds],
            others[seeds : 2 * seeds],
            others[2 * seeds :],
            seed=self.recipe.seed,
            draws=self.recipe.draws,
        )
        return {FACTORIAL: lambda file: write_record(file, factorials)}

    def _reduction(self, step: Step) -> StepFiles:
        base, *others = self._measured(step)
        seeds = len(others) // 2
        estimates = reduction(
            base,
            others[:seeds],
            others[seeds:],
            seed=self.recipe.seed,
            draws=self.recipe.draws,
        )
        return {REDUCTION: lambda file: write_record(file, estimates)}

    def _controlled(self, step: Step) -> StepFiles:
        _, control, *afters = self._measured(step)
        compared = compare(control, afters, seed=self.recipe.seed, draws=self.recipe.draws)
        overall = tuple(change for change in compared.changes if not change.group)
        return {CONTROLLED: lambda file: write_record(file, overall)}

    def _measured(self, step: Step) -> list[Measurement]:
        """The measurements that a step needs."""
        return [read_results(self.store.step(need.key) / RESULTS)[0] for need in step.needs]

    def _calibrate(self, spec: Spec) -> StepFiles:
        calibration = calibrate(
            spec.name,
            spec.options,
            strengths=self.recipe.strengths,
            limit=self.recipe.limit,
            draws=self.recipe.draws,
        )
        return {CALIBRATION: lambda file: write_record(file, calibration)}
