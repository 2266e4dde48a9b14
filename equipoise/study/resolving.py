"""A recipe's names made definite: plug-ins built, options with their defaults, versions, hashes.

The content of the keys comes from here. Every mistake that needs no model to be seen is refused
here, with the line of the recipe, and so is a recipe that would measure a method
on what it learns from.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from equipoise import plugins
from equipoise.api import folder_for
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data.sources import reading_from
from equipoise.errors import (
    DataError,
    EquipoiseError,
    ModelError,
    OptionError,
    RecipeError,
    StoreError,
    nearest,
)
from equipoise.loading.checkpoint import content_sha256
from equipoise.locate.base import Locator
from equipoise.measure import choose_examples, learnt_examples
from equipoise.mitigate.base import Mitigation, ReadsFiles, UsesEdits
from equipoise.planted.folder import PLANTED
from equipoise.planted.model import cache_key
from equipoise.planted.teaching import Budget
from equipoise.planted.world import find_world
from equipoise.records import JSON, Metric, Supply, target_terms, text_sha256
from equipoise.study.recipe import BenchmarkSpec, ModelSpec, Recipe, Spec
from equipoise.supply.base import Supplier

T = TypeVar("T")

#: What the recipe as resolved repeats from the recipe.
_PLAIN = {
    *("title", "strengths", "seeds", "data", "seed", "limit", "draws", "rankings", "sample"),
    "examples",
}
_REMEDY = "measure another split, or say 'edited: false' to ask unedited models only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The content of a model's steps, as JSON by label."""

    spec: ModelSpec
    model: JSON
    supply: JSON
    benchmarks: Mapping[str, JSON]
    mitigations: Mapping[str, JSON]
    locators: Mapping[str, JSON]


class Resolver:
    """Builds the plug-ins of a recipe; each complaint names the recipe's line."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._of_edits: dict[str, frozenset[str]] = {}  # what saved edits learnt, by method
        self.mitigations = {
            mitigation.label: self._mitigation(mitigation) for mitigation in recipe.mitigations
        }
        self.locators = {
            locator.label: self._build(Locator, locator) for locator in recipe.locators
        }
        self.resolved: dict[str, Parts] = {}
        self.calibrations: dict[str, JSON] = {}

    def parts(self, spec: ModelSpec) -> Parts:
        """The content of the steps of a model."""
        with reading_from(self._folder(spec)):
            return self._read_parts(spec)

    def _read_parts(self, spec: ModelSpec) -> Parts:
        supplier, supply = self._supplier(), None
        if supplier is not None:
            with self._at(self.recipe.supply):
                supply = supplier.supply()
        benchmarks = {}
        metrics: list[tuple[BenchmarkSpec, Mapping[str, Metric]]] = []
        for benchmark in self.recipe.benchmarks:
            built, split = self._benchmark(benchmark)
            metrics.append((benchmark, self._metrics(benchmark, built)))
            if supply is not None and benchmark.edited:
                self._refuse_leak(benchmark, built, split, supply)
            about_data: dict[str, JSON] = {"split": split, "data": _data(built, split)}
            benchmarks[benchmark.label] = _plugin(built) | about_data
        self._check_margins(metrics)
        parts = Parts(
            spec=spec,
            model={
                "name": spec.name,
                "revision": spec.revision,
                "dtype": spec.dtype,
                "base": spec.base,
                "content": self._content(spec),
            },
            supply=None if supply is None else _plugin(supplier) | {"sha256": _hash_supply(supply)},
            benchmarks=benchmarks,
            mitigations={label: _plugin(built) for label, built in self.mitigations.items()},
            locators={label: _plugin(built) for label, built in self.locators.items()},
        )
        self.resolved[spec.label] = parts
        return parts

    def calibrated(self, spec: Spec) -> JSON:
        """A benchmark to be calibrated with planted bias."""
        self.calibrations[spec.label] = _plugin(self._build(Benchmark, spec))
        return self.calibrations[spec.label]

    def document(self) -> dict[str, JSON]:
        """The recipe as resolved: what replays the study."""
        models: dict[str, JSON] = {
            label: {
                "model": part.model,
                "supply": part.supply,
                "benchmarks": dict(part.benchmarks),
            }
            for label, part in self.resolved.items()
        }
        return {
            **TypeAdapter(Recipe).dump_python(self.recipe, mode="json", include=_PLAIN),
            "models": models,
            "mitigations": {label: _plugin(part) for label, part in self.mitigations.items()},
            "locators": {label: _plugin(part) for label, part in self.locators.items()},
            "calibrate": dict(self.calibrations),
            "margins": {
                key: dataclasses.asdict(margin) for key, margin in self.recipe.margins.items()
            },
        }

    # --- building -----------------------------------------------------------------------------

    @contextmanager
    def _at(self, spec: Spec | ModelSpec | BenchmarkSpec) -> Iterator[None]:
        """Say which line an error is about."""
        try:
            yield
        except (RecipeError, ModelError, StoreError) as error:
            line = spec.line
            if isinstance(error, OptionError) and isinstance(spec, Spec):
                line = spec.lines.get(error.option, line)
            raise RecipeError(f"{self.recipe.at(line)}: {error}") from None

    def _build(self, base: type[T], spec: Spec) -> T:
        with self._at(spec):
            return plugins.build(base, spec.name, spec.options)

    def _mitigation(self, spec: Spec) -> Mitigation:
        built: Mitigation = self._build(Mitigation, spec)
        if isinstance(built, UsesEdits):
            with self._at(spec):
                self._of_edits[spec.label] = built.learnt()
        return built

    def _benchmark(self, benchmark: BenchmarkSpec) -> tuple[AnyBenchmark, str]:
        with self._at(benchmark.plugin):
            built = plugins.build(Benchmark, benchmark.plugin.name, benchmark.plugin.options)
            split = benchmark.split or built.splits[0]
            if split not in built.splits:
                name = benchmark.plugin.name
                raise RecipeError(f"{name} has no split '{split}'; {nearest(split, built.splits)}")
        return built, split

    def _metrics(self, benchmark: BenchmarkSpec, built: AnyBenchmark) -> Mapping[str, Metric]:
        """By name; they may depend on the options, and be refused with them."""
        with self._at(benchmark.plugin):
            return {metric.name: metric for metric in built.metrics}

    def _check_margins(
        self, metrics_by_benchmark: Sequence[tuple[BenchmarkSpec, Mapping[str, Metric]]]
    ) -> None:
        """Each margin must be of a metric of some benchmark of its name, if that is measured."""
        for key, margin in self.recipe.margins.items():
            benchmark, _, metric = key.rpartition(".")
            known_metrics = [
                (spec, known)
                for spec, known in metrics_by_benchmark
                if spec.plugin.name == benchmark
            ]
            if known_metrics and not any(metric in known for _, known in known_metrics):
                first, known = known_metrics[0]
                with self._at(first.plugin):
                    raise RecipeError(
                        f"margins: {benchmark} has no metric '{metric}'; {nearest(metric, known)}"
                    )
            for spec, known in known_metrics:
                pointed = metric in known and known[metric].higher_is_better is None
                if margin.relative and pointed:
                    with self._at(spec.plugin):
                        raise RecipeError(
                            f"margins: {key} is measured against a point, so that its margin must "
                            f"be in '{known[metric].unit}', got {margin.size:.0%}; write a number"
                        )

    def _folder(self, spec: ModelSpec) -> Path | None:
        """The data folder of a model's steps; None: the usual folder."""
        data = self.recipe.data
        line = spec.line if data is None else self.recipe.lines["data"]
        with self._at(replace(spec, line=line)):
            return folder_for(spec.name, data)

    def _supplier(self) -> Supplier | None:
        """What is learnt from; None when nothing is to be learnt or located."""
        if not (self.mitigations or self.locators):
            return None
        return self._build(Supplier, self.recipe.supply)

    def _refuse_leak(
        self, benchmark: BenchmarkSpec, built: AnyBenchmark, split: str, supply: Supply
    ) -> None:
        sources = self._sources(supply)
        if not sources:
            return
        try:
            examples, requests = choose_examples(
                built, split=split, limit=self.recipe.limit, seed=self.recipe.seed
            )
        except (DataError, OSError):
            return  # its step will say so; the others go on
        for hashes, source in sources.items():
            learnt = learnt_examples(hashes, built, examples, requests)
            if learnt:
                raise RecipeError(
                    f"{self.recipe.at(benchmark.line)}: {len(learnt)} of the {len(examples)} "
                    f"examples of {benchmark.label} ({split}) are among what {source}, the first "
                    f"is '{learnt[0]}'; {_REMEDY}"
                )
        shared = sorted(
            target_terms(supply.contrasts + supply.dev_contrasts) & target_terms(examples)
        )
        learners = [
            label
            for label, method in self.mitigations.items()
            if method.learns and label not in self._of_edits
        ]
        if shared and learners:
            names = ", ".join(f"{axis}/{term}" for axis, term in shared[:10])
            raise RecipeError(
                f"{self.recipe.at(benchmark.line)}: {len(shared)} target terms of "
                f"{benchmark.label} ({split}) are among what '{learners[0]}' learns from "
                f"{supply.origin}: {names}; {_REMEDY}"
            )

    def _sources(self, supply: Supply) -> dict[frozenset[str], str]:
        """Hashes of the texts that are learnt from, each set with the first method that does."""
        sources: dict[frozenset[str], str] = {}
        supplied = frozenset(text_sha256(text) for text in supply.learnt_texts())
        for label, method in self.mitigations.items():
            if label in self._of_edits:
                sources.setdefault(self._of_edits[label], f"the edits of '{label}' learnt from")
            elif method.learns:
                sources.setdefault(supplied, f"'{label}' learns from {supply.origin}")
        return sources

    def _content(self, spec: ModelSpec) -> str | None:
        """What settles a model that is not of the Hub; None where the name and revision do."""
        if spec.name.startswith(PLANTED):
            with self._at(spec):
                world = find_world(spec.name)
            return cache_key(world, Budget(), seed=world.seed)
        folder = Path(spec.name).expanduser()
        return content_sha256(folder) if folder.is_dir() else None


def _hash_supply(supply: Supply) -> str:
    """sha256 (hex) of all that is supplied: its files may be others than those measured."""
    text = json.dumps(dataclasses.asdict(supply), sort_keys=True)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _plugin(built: object) -> dict[str, JSON]:
    version = (
        built.version if isinstance(built, Benchmark | Mitigation | Locator | Supplier) else ""
    )
    return {
        "name": plugins.name_of(built),
        "version": version,
        "file_sha256": plugins.file_sha256_of(built),
        "options": plugins.options_of(built),
        "inside": [_plugin(inner) for inner in _inside(built)],
        **({"files": dict(built.files())} if isinstance(built, ReadsFiles) else {}),
    }


def _inside(built: object) -> Iterator[object]:
    """The plug-ins that are options of another: they have versions and files of their own."""
    if dataclasses.is_dataclass(built):
        values = (getattr(built, field.name) for field in dataclasses.fields(built) if field.init)
        yield from (
            value for value in values if isinstance(value, Benchmark | Mitigation | Locator)
        )


def _data(built: AnyBenchmark, split: str) -> JSON:
    """Names and hashes of the files behind a benchmark; empty while they are missing."""
    try:
        return [{"name": file.name, "sha256": file.sha256} for file in built.files(split)]
    except (EquipoiseError, OSError):
        return []
