"""The steps that a study has stored, and the measurements among them. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from equipoise.errors import StoreError
from equipoise.records import JSON, Measurement
from equipoise.study.results import read_results
from equipoise.study.store import Store
from equipoise.study.study import Measured, Missing

RESULTS: Final = "results"  # the folder of a measurement, in its step's


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
    needs: list[str]


def read_measured(folder: Path | str) -> tuple[Measured, ...]:
    """The measurements that a study's folder holds, alone and unchecked: quicker than `read_study`.

    Raises `StoreError` when the folder is no study.
    """
    reader = StepReader(Store(folder=Path(folder)))
    return reader.measured(reader.present())


class StepReader:
    """Reads each step once; what cannot be read goes to `missing`."""

    def __init__(self, store: Store) -> None:
        self.store = store
        head = store.head()
        if not isinstance(head.get("recipe"), dict):
            raise StoreError(
                f"study.json in {store.folder} must have its recipe, got {head.get('recipe')!r}; "
                "run the recipe again"
            )
        self.recipe: dict[str, JSON] = head["recipe"]
        try:
            self.steps = [
                StoredStep(**step | {"needs": [*step["needs"]]}) for step in head["steps"]
            ]
        except (KeyError, TypeError) as error:
            raise StoreError(
                f"study.json in {store.folder} must list its steps, got {error}; run the recipe "
                "again"
            ) from None
        self.missing: dict[str, Missing] = {}  # by key
        self.measurements: dict[str, Measurement] = {}

    def present(self) -> list[StoredStep]:
        """The steps with a whole result; the others go to `missing`."""
        return [step for step in self.steps if self._is_present(step)]

    def measured(self, present: Sequence[StoredStep]) -> tuple[Measured, ...]:
        """The measurements among some steps, in the plan's order."""
        return tuple(self._read_measured(step) for step in present if step.kind == "measure")

    def headline(self, step: StoredStep) -> tuple[str, ...]:
        """The metrics that the recipe names for a benchmark; none: the benchmark's own."""
        stated = self.recipe.get("headline")
        chosen = stated.get(str(step.benchmark)) if isinstance(stated, dict) else None
        return tuple(map(str, chosen)) if isinstance(chosen, list) else ()

    def _is_present(self, step: StoredStep) -> bool:
        fault = self.store.fault(step.key)
        if fault is None:
            return True
        why = "not run yet" if fault == "is not there" else f"its stored result {fault}"
        failure = self.store.failure(step.key) or Missing(what="", why=why)
        # a failure is kept by content, and may have been recorded under other labels
        self.missing[step.key] = replace(failure, what=step.title)
        return False

    def _read_measured(self, step: StoredStep) -> Measured:
        (measurement,) = read_results(self.store.step(step.key) / RESULTS)
        if step.benchmark not in (None, measurement.benchmark):
            measurement = replace(measurement, label=str(step.benchmark))
        if chosen := self.headline(step):
            measurement = replace(measurement, headline=chosen)
        self.measurements[step.key] = measurement
        return Measured(
            model=str(step.model),
            mitigation=step.mitigation,
            seed=step.seed,
            measurement=measurement,
        )
