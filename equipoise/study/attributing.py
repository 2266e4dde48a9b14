"""The steps of a study about training rows: score them, judge the scores, train without rows."""

from contextlib import ExitStack
from dataclasses import dataclass, replace

from equipoise import api, plugins
from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.errors import RecipeError
from equipoise.files.json_records import write_record
from equipoise.inference.language_model import LanguageModel
from equipoise.influence.retraining import judging_probes
from equipoise.influence.score_files import scores_in
from equipoise.records import Supply
from equipoise.stats.attribution_quality import QualitySettings, judge_attributions
from equipoise.study.attribution_files import (
    read_attribution,
    summarize_attribution,
    write_attribution,
)
from equipoise.study.load_study import ATTRIBUTION, SUMMARY, VALIDATION
from equipoise.study.plan import Step
from equipoise.study.recipe import AttributorSpec, Recipe, Spec
from equipoise.study.retraining import leave_out_of, removal_of
from equipoise.study.store import StepFiles, Store
from equipoise.study.validation_files import write_validation
from equipoise.supply.base import Supplier
from equipoise.training.resume import checkpoints_in


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributionSteps:
    """Computes them; what they need must be in the store."""

    recipe: Recipe
    store: Store

    def attribute(self, step: Step, model: LanguageModel) -> StepFiles:
        """Score the rows of the supply; what is done survives a kill."""
        attributor, supply = self._attributor(step)[0], self._supply(step)
        with ExitStack() as kept:
            self._keep(step, kept)
            attribution = api.attribute(model, attributor, supply=supply, seed=self.recipe.seed)
        summary = summarize_attribution(attribution, supply.rows, count=self.recipe.examples)
        return {
            ATTRIBUTION: lambda folder: write_attribution(folder, attribution),
            SUMMARY: lambda file: write_record(file, summary),
        }

    def judge(self, step: Step) -> StepFiles:
        """How well the scores of all attributors tell the labelled rows."""
        settings = QualitySettings(
            shares=self.recipe.attribution.shares,
            draws=self.recipe.draws,
            permutations=self.recipe.draws,
            seed=self.recipe.seed,
        )
        results = judge_attributions(
            self._attributions(step),
            self._supply(step.needs[0]).rows,
            baselines=self._baselines(step),
            settings=settings,
        )
        return {VALIDATION: lambda file: write_validation(file, results)}

    def retrain(self, step: Step, model: LanguageModel) -> StepFiles:
        """What models show that are trained on parts of the rows."""
        supply = self._supply(step.needs[0])
        attributions, baselines = self._attributions(step), self._baselines(step)
        seed = self.recipe.seed
        removal = removal_of(self.recipe.attribution)
        leave_out = leave_out_of(self.recipe.attribution)
        with ExitStack() as kept:
            self._keep(step, kept)
            if step.kind == "removal" and removal is not None:
                curves = removal.curves(model, supply, attributions, against=baselines, seed=seed)
                return {VALIDATION: lambda file: write_validation(file, curves)}
            if leave_out is None:
                raise RecipeError(f"a step must say what is trained, got {step.title}; plan again")
            probes, notes = judging_probes(supply)
            retrained = leave_out.retrain(model, supply.rows, probes, seed=seed)
        scores = [
            replace(score, notes=(*notes, *score.notes))
            for score in retrained.score(
                attributions, baselines=baselines, draws=self.recipe.draws, seed=seed
            )
        ]
        return {VALIDATION: lambda file: write_validation(file, scores)}

    def _keep(self, step: Step, kept: ExitStack) -> None:
        part = self.store.part(step.key)
        kept.enter_context(checkpoints_in(part))
        kept.enter_context(scores_in(part / "scores"))

    def _attributor(self, step: Step) -> tuple[Attributor, Spec]:
        """The attributor of a step, and the supply that it scores."""
        spec = step.plugin
        if not isinstance(spec, AttributorSpec):
            raise RecipeError(f"a step must name its attributor, got {spec}; plan it again")
        attributor = plugins.build(Attributor, spec.name, spec.options)
        return attributor, self.recipe.supply_of(spec, attributor.taught_by)

    def _supply(self, step: Step) -> Supply:
        _, spec = self._attributor(step)
        return plugins.build(Supplier, spec.name, spec.options).supply()

    def _attributions(self, step: Step) -> dict[str, Attribution]:
        """By the keys of their steps."""
        return {
            need.key: read_attribution(self.store.step(need.key) / ATTRIBUTION, by_probe=True)
            for need in step.needs
        }

    def _baselines(self, step: Step) -> list[str]:
        return [need.key for need in step.needs if self._attributor(need)[0].baseline]
