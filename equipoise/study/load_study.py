"""Load a study from its store: every result, and what is missing and why. No torch."""

import hashlib
import json
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from equipoise.checks.run import check_measurements, check_stored
from equipoise.conclusions import Change, Comparison, Factorial, Finding, RankStability
from equipoise.files.json_records import read_object, read_record
from equipoise.records import JSON, Estimate
from equipoise.stats.calibration import Calibration
from equipoise.stats.verdict import verdict_of
from equipoise.study.attribution_files import read_attribution, read_summary
from equipoise.study.costs import edit_cost, logged_fits
from equipoise.study.store import Store
from equipoise.study.stored_steps import StepReader, StoredStep
from equipoise.study.study import (
    Attributed,
    Chapter,
    Controlled,
    Cost,
    Factored,
    Located,
    Missing,
    Reduced,
    Study,
    Validated,
)
from equipoise.study.validation_files import VALIDATIONS, read_validation

EDIT, LEARNT = "edit", "learnt.json"
FINDINGS, COMPARISON, STABILITY, CALIBRATION, FACTORIAL, REDUCTION, CONTROLLED = (
    "findings.json", "comparison.json", "stability.json", "calibration.json", "factorial.json",
    "reduction.json", "controlled.json",
)  # fmt: skip
ATTRIBUTION, SUMMARY, VALIDATION = "attribution", "summary.json", "validation.json"
#: What the step of a comparison stores; its measurements are steps of their own.
STORED = (
    "changes", "by_seed", "examples", "pairs", "written", "notes", "seed", "draws", "differences",
)  # fmt: skip

T = TypeVar("T")

_COMPARISON = TypeAdapter(Comparison)
_STORED: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_FINDINGS: TypeAdapter[tuple[Finding, ...]] = TypeAdapter(tuple[Finding, ...])
_STABILITY = TypeAdapter(RankStability)
_CALIBRATION = TypeAdapter(Calibration)
_ESTIMATES: TypeAdapter[tuple[Estimate, ...]] = TypeAdapter(tuple[Estimate, ...])
_CHANGES: TypeAdapter[tuple[Change, ...]] = TypeAdapter(tuple[Change, ...])
_FACTORIALS: TypeAdapter[tuple[Factorial, ...]] = TypeAdapter(tuple[Factorial, ...])


def key_of(kind: str, content: Mapping[str, JSON]) -> str:
    """Kind, and the first 20 hex digits of the sha256 of the content's canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


def comparison_sides(befores: Sequence[str], afters: Sequence[str]) -> dict[str, JSON]:
    """What the content of a comparison says of its sides: the keys of their measurements.

    `befores`: that of the model as it is, or of another mitigation with the seed of each after.
    """
    if len(befores) > 1:
        return {"befores": [*befores], "afters": [*afters]}
    return {"before": befores[0], "afters": [*afters]}


def left_of_comparison(
    content: Mapping[str, Any], lost: Container[str]
) -> tuple[list[str], list[str]]:
    """The keys of both sides of a comparison without those that are lost, nor their twins."""
    if "befores" not in content:
        afters = [key for key in content["afters"] if key not in lost]
        return [key for key in (content["before"],) if key not in lost], afters
    pairs = [
        pair
        for pair in zip(content["befores"], content["afters"], strict=True)
        if not any(key in lost for key in pair)
    ]
    return [before for before, _ in pairs], [after for _, after in pairs]


def left_out_of(resolved: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What a recipe as resolved leaves out, as titles of steps, and why; a reason stands once."""
    models: Mapping[str, Any] = resolved.get("models", {})
    methods: dict[tuple[str, str], list[str]] = {}  # by model and reason
    for model, content in models.items():
        for method, reason in content.get("left_out", {}).items():
            methods.setdefault((model, str(reason)), []).append(method)
    return tuple(
        (f"fit on {model} with {' and '.join(labels)}", reason)
        for (model, reason), labels in methods.items()
    )


def left_of_validation(content: Mapping[str, Any], lost: Container[str]) -> dict[str, Any]:
    """The content of a step about attributions without those that are lost."""
    sides = {
        name: [key for key in content[name] if key not in lost]
        for name in ("attributions", "baselines")
    }
    return {**content, **sides}


def read_study(folder: Path | str) -> Study:
    """Everything that a study's folder holds.

    A step that is missing, broken or failed is in `missing`; a comparison of seeds some of which
    failed is that of the others. Raises `StoreError` when the folder is no study.
    """
    return _StudyReader(Store(folder=Path(folder))).study()


class _StudyReader(StepReader):
    """Also what was made of the measurements, and of the models."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.findings: list[Finding] = []

    def study(self) -> Study:
        # measurements before all else: comparisons and the checks across models look them up
        present = self.present()
        measured = self.measured(present)
        for key, measurement in self.measurements.items():
            # anew at each reading, as the files may have been edited since the step's own checks
            self.findings += check_stored(measurement)
            self._add_findings(key)
        self.findings += check_measurements(list(self.measurements.values()))
        left_out = [Missing(what=title, why=why) for title, why in left_out_of(self.recipe)]
        return Study(
            title=str(self.recipe.get("title", "")),
            recipe=self.recipe,
            measured=measured,
            chapters=tuple(self._chapters()),
            located=tuple(
                Located(
                    model=str(step.model),
                    locator=str(step.plugin),
                    stability=self._read(step.key, STABILITY, _STABILITY),
                )
                for step in present
                if step.kind == "locate"
            ),
            calibrations=tuple(
                self._read(step.key, CALIBRATION, _CALIBRATION)
                for step in present
                if step.kind == "calibrate"
            ),
            attributed=tuple(
                Attributed(
                    model=str(step.model),
                    attributor=str(step.plugin),
                    attribution=read_attribution(self.store.step(step.key) / ATTRIBUTION),
                    summary=read_summary(self.store.step(step.key) / SUMMARY),
                )
                for step in present
                if step.kind == "attribute"
            ),
            validated=tuple(self._validated()),
            costs=tuple(self._costs(present)),
            factored=tuple(
                self._read_factored(step) for step in present if step.kind == "factorial"
            ),
            findings=tuple(self.findings),
            missing=(*self.missing.values(), *left_out),
            planned=len(self.steps) + len(left_out),
        )

    def _read(self, key: str, name: str, adapter: TypeAdapter[T]) -> T:
        return read_record(self.store.step(key) / name, adapter)

    def _add_findings(self, key: str) -> None:
        findings = self._read(key, FINDINGS, _FINDINGS)
        self.findings += findings

    def _chapters(self) -> Iterator[Chapter]:
        """A chapter per model and mitigation of the plan, whether or not anything was compared."""
        pairs: dict[tuple[str, str], list[StoredStep]] = {}
        for step in self.steps:
            if step.kind in ("fit", "compare", "reduction", "controlled"):
                pairs.setdefault((str(step.model), str(step.mitigation)), []).append(step)
        stated = self.recipe.get("against")
        against = (
            {key: str(label) for key, label in stated.items()} if isinstance(stated, dict) else {}
        )
        labels = {step.key: str(step.mitigation) for step in self.steps}
        for (model, mitigation), steps in pairs.items():
            compared = [self._read_comparison(step) for step in steps if step.kind == "compare"]
            comparisons = tuple(comparison for comparison in compared if comparison is not None)
            yield Chapter(
                model=model,
                mitigation=mitigation,
                comparisons=comparisons,
                verdict=verdict_of(comparisons),
                edits=tuple(
                    self._read_edit(step)
                    for step in steps
                    if step.kind == "fit" and step.key not in self.missing
                ),
                against=against.get(mitigation),
                reductions=tuple(
                    Reduced(
                        base=self.measurements[step.content["base"]],
                        estimates=self._read(step.key, REDUCTION, _ESTIMATES),
                    )
                    for step in steps
                    if step.kind == "reduction" and step.key not in self.missing
                ),
                controlled=tuple(
                    Controlled(
                        control=labels[step.content["control"][0]],
                        base=self.measurements[step.content["base"]],
                        changes=self._read(step.key, CONTROLLED, _CHANGES),
                    )
                    for step in steps
                    if step.kind == "controlled" and step.key not in self.missing
                ),
            )

    def _costs(self, present: Sequence[StoredStep]) -> Iterator[Cost]:
        logged = logged_fits(self.store)
        for step in present:
            if step.kind == "fit":
                yield edit_cost(
                    self.store.step(step.key) / EDIT,
                    logged.get(step.key, {}),
                    model=str(step.model),
                    mitigation=str(step.mitigation),
                    seed=step.seed,
                )

    def _read_comparison(self, step: StoredStep) -> Comparison | None:
        """The comparison of the measured seeds; None without any."""
        lost = {key for key in step.needs if key not in self.measurements}
        befores, afters = left_of_comparison(step.content, lost)
        if not befores or not afters:
            return None
        key, planned = step.key, len(step.content["afters"])
        # as `plan.without_failed` made the comparison of the seeds that were left
        if lost:
            content = {name: step.content[name] for name in step.content if name != "befores"}
            key = key_of(step.kind, {**content, **comparison_sides(befores, afters)})
        if self.store.fault(key) is not None:
            return None
        if key != step.key and step.key in self.missing:
            why = f"made with {len(afters)} of {planned} seeds, the others have no result"
            self.missing[step.key] = replace(self.missing[step.key], why=why)
        stored = self._read(key, COMPARISON, _STORED)
        self._add_findings(key)
        sides = {
            "before": self.measurements[befores[0]],
            "other_befores": tuple(self.measurements[key] for key in befores[1:]),
            "afters": tuple(self.measurements[key] for key in afters),
        }
        comparison = _COMPARISON.validate_python(sides | stored | {"headline": self.headline(step)})
        self.findings += check_stored(comparison)
        return comparison

    def _validated(self) -> Iterator[Validated]:
        """What is known of attributions, of those of the same rows together."""
        labels = {step.key: str(step.plugin) for step in self.steps if step.kind == "attribute"}
        alike: dict[tuple[str, ...], dict[str, StoredStep]] = {}
        for step in self.steps:
            if step.kind in VALIDATIONS:
                alike.setdefault((str(step.model), *step.needs), {})[step.kind] = step
        for (model, *keys), steps in alike.items():
            read = {kind: self._read_validation(step, labels) for kind, step in steps.items()}
            yield Validated(
                model=model,
                attributors=tuple(labels[key] for key in keys),
                quality=read.get("quality", ()),
                leave_out=read.get("lds", ()),
                removal=read.get("removal", ()),
            )

    def _read_validation(self, step: StoredStep, labels: Mapping[str, str]) -> tuple[Any, ...]:
        """The results of each attribution; () without any."""
        lost = {key for key in step.needs if key in self.missing}
        key = key_of(step.kind, left_of_validation(step.content, lost)) if lost else step.key
        if self.store.fault(key) is not None:
            return ()
        if lost and step.key in self.missing:
            why = f"made with {len(step.needs) - len(lost)} of {len(step.needs)} attributors"
            self.missing[step.key] = replace(self.missing[step.key], why=why)
        return read_validation(self.store.step(key) / VALIDATION, step.kind, labels)

    def _read_factored(self, step: StoredStep) -> Factored:
        labels = {other.key: str(other.mitigation) for other in self.steps}
        return Factored(
            model=str(step.model),
            first=labels[step.content["first"][0]],
            second=labels[step.content["second"][0]],
            both=str(step.mitigation),
            neither=self.measurements[step.content["neither"]],
            factorials=self._read(step.key, FACTORIAL, _FACTORIALS),
        )

    def _read_edit(self, step: StoredStep) -> Mapping[str, JSON]:
        """Where an edit came from, and its folder in the store."""
        head = read_object(self.store.step(step.key) / EDIT / "edit.json")
        return {**head["info"], "content": head["content"], "folder": f"steps/{step.key}/{EDIT}"}
