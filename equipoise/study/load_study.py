"""Load a study from its store: every result, and what is missing and why. No torch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from equipoise.checks.run import check_measurements, check_stored
from equipoise.conclusions import Comparison, Finding, RankStability
from equipoise.errors import StoreError
from equipoise.files.json_records import read_record
from equipoise.records import JSON, Measurement
from equipoise.stats.calibration import Calibration
from equipoise.stats.verdict import verdict_of
from equipoise.study.results import read_results
from equipoise.study.store import Store
from equipoise.study.study import Chapter, Located, Measured, Missing, Study

RESULTS, EDIT, LEARNT = "results", "edit", "learnt.json"
FINDINGS, COMPARISON, STABILITY, CALIBRATION = (
    "findings.json", "comparison.json", "stability.json", "calibration.json",
)  # fmt: skip


#: What the step of a comparison stores; its measurements are steps of their own.
STORED = ("changes", "by_seed", "examples", "notes", "seed", "draws")

_COMPARISON = TypeAdapter(Comparison)
_STORED: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])
_FINDINGS: TypeAdapter[tuple[Finding, ...]] = TypeAdapter(tuple[Finding, ...])
_STABILITY = TypeAdapter(RankStability)
_CALIBRATION = TypeAdapter(Calibration)


def key_of(kind: str, content: Mapping[str, JSON]) -> str:
    """Kind, and the first 20 hex digits of the sha256 of the content's canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:20]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredStep:
    """A step of `study.json`."""

    key: str
    kind: str
    title: str
    content: Mapping[str, Any]
    model: str | None
    mitigation: str | None
    benchmark: str | None
    plugin: str | None
    seed: int | None
    needs: tuple[str, ...]


def read_study(folder: Path | str) -> Study:
    """Everything that a study's folder holds.

    A step that is missing, broken or failed is in `missing`; a comparison of seeds some of which
    failed is that of the others. Raises `StoreError` when the folder is no study.
    """
    store = Store.existing(folder)
    head = store.head()
    return _StudyReader(store, _read_steps(head, store)).study(head)


def _read_steps(head: Mapping[str, Any], store: Store) -> tuple[StoredStep, ...]:
    if not isinstance(head.get("recipe"), Mapping):
        raise StoreError(
            f"study.json in {store.folder} must have its recipe, got {head.get('recipe')!r}; run "
            "the recipe again"
        )
    try:
        rows = [{**entry, "needs": tuple(entry["needs"])} for entry in head["steps"]]
        return tuple(StoredStep(**row) for row in rows)
    except (KeyError, TypeError) as error:
        raise StoreError(
            f"study.json in {store.folder} must list its steps, got {error}; run the recipe again"
        ) from None


class _StudyReader:
    """Reads each step once; what cannot be read goes to `missing`."""

    def __init__(self, store: Store, steps: Sequence[StoredStep]) -> None:
        self.store = store
        self.steps = steps
        self.missing: list[Missing] = []
        self.findings: list[Finding] = []
        self.measurements: dict[str, Measurement] = {}

    def study(self, head: Mapping[str, Any]) -> Study:
        present = [step for step in self.steps if self._is_present(step)]
        measured = tuple(self._read_measured(step) for step in present if step.kind == "measure")
        self.findings += check_measurements(list(self.measurements.values()))
        return Study(
            title=str(head["recipe"].get("title", "")),
            recipe=dict(head["recipe"]),
            measured=measured,
            chapters=tuple(self._chapters(present)),
            located=tuple(self._read_located(step) for step in present if step.kind == "locate"),
            calibrations=tuple(
                read_record(self._file_of(step, CALIBRATION), _CALIBRATION)
                for step in present
                if step.kind == "calibrate"
            ),
            findings=tuple(self.findings),
            missing=tuple(self.missing),
            planned=len(self.steps),
        )

    def _file_of(self, step: StoredStep, name: str) -> Path:
        return self.store.step(step.key) / name

    def _is_present(self, step: StoredStep) -> bool:
        fault = self.store.fault(step.key)
        if fault is None:
            return True
        failure = self.store.failure(step.key)
        why = "not run yet" if fault == "is not there" else f"its stored result {fault}"
        self.missing.append(
            Missing(
                what=step.title,
                why=why if failure is None else failure.why,
                traceback=None if failure is None else failure.traceback or None,
            )
        )
        return False

    def _add_findings(self, step: StoredStep) -> None:
        findings = read_record(self._file_of(step, FINDINGS), _FINDINGS)
        self.findings += findings

    def _read_measured(self, step: StoredStep) -> Measured:
        (measurement,) = read_results(self.store.step(step.key) / RESULTS)
        self.measurements[step.key] = measurement
        self.findings += check_stored(measurement)
        self._add_findings(step)
        return Measured(
            model=str(step.model),
            mitigation=step.mitigation,
            seed=step.seed,
            measurement=measurement,
        )

    def _read_located(self, step: StoredStep) -> Located:
        return Located(
            model=str(step.model),
            locator=str(step.plugin),
            stability=read_record(self._file_of(step, STABILITY), _STABILITY),
        )

    # --- chapters -----------------------------------------------------------------------------

    def _chapters(self, present: Sequence[StoredStep]) -> list[Chapter]:
        """A chapter per model and mitigation of the plan, whether or not anything was compared."""
        planned = [step for step in self.steps if step.kind in ("fit", "compare")]
        pairs = dict.fromkeys((str(step.model), str(step.mitigation)) for step in planned)
        fits = [step for step in present if step.kind == "fit"]
        chapters = []
        for model, mitigation in pairs:
            own_steps = [
                step for step in planned if (step.model, step.mitigation) == (model, mitigation)
            ]
            compared = [self._read_comparison(step) for step in own_steps if step.kind == "compare"]
            comparisons = tuple(step for step in compared if step is not None)
            chapters.append(
                Chapter(
                    model=model,
                    mitigation=mitigation,
                    comparisons=comparisons,
                    verdict=verdict_of(comparisons),
                    edits=tuple(
                        self._read_edit(fit)
                        for fit in fits
                        if (fit.model, fit.mitigation) == (model, mitigation)
                    ),
                )
            )
        return chapters

    def _read_comparison(self, step: StoredStep) -> Comparison | None:
        """The comparison of the measured seeds; None without any."""
        before, *afters = step.needs
        present = [key for key in afters if key in self.measurements]
        if before not in self.measurements or not present:
            return None
        chosen = step if len(present) == len(afters) else _with_afters(step, present)
        if chosen is not step and self.store.fault(chosen.key) is None:
            self._replace_missing(step, len(present), len(afters))
        if self.store.fault(chosen.key) is not None:
            return None
        stored = read_record(self._file_of(chosen, COMPARISON), _STORED)
        self._add_findings(chosen)
        comparison = _COMPARISON.validate_python(
            {
                "before": self.measurements[before],
                "afters": tuple(self.measurements[key] for key in present),
                **stored,
            }
        )
        self.findings += check_stored(comparison)
        return comparison

    def _replace_missing(self, step: StoredStep, present: int, planned: int) -> None:
        """Of a comparison that was made with fewer seeds, say that instead of "not run yet"."""
        self.missing = [
            replace(
                missing, why=f"made with {present} of {planned} seeds, the others have no result"
            )
            if missing.what == step.title
            else missing
            for missing in self.missing
        ]

    def _read_edit(self, step: StoredStep) -> Mapping[str, JSON]:
        """Where an edit came from, and its folder in the store."""
        head = json.loads((self._file_of(step, EDIT) / "edit.json").read_text(encoding="utf-8"))
        info = dict(head["info"])
        return {**info, "content": head["content"], "folder": f"steps/{step.key}/{EDIT}"}


def _with_afters(step: StoredStep, afters: Sequence[str]) -> StoredStep:
    content = {**step.content, "afters": list(afters)}
    return replace(step, content=content, key=key_of(step.kind, content))
