"""A recipe's names made definite: plug-ins built, options with their defaults, versions, hashes.

The content of the keys comes from here. Every mistake that needs no model to be seen is refused
here, with the line of the recipe, and so is a recipe that would measure a method
on what it learns from.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import TypeAdapter

from equipoise import plugins
from equipoise.api import folder_for, usual_supply
from equipoise.attribute.base import Attributor
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data.sources import reading_from
from equipoise.errors import DataError, ModelError, OptionError, RecipeError, StoreError, nearest
from equipoise.group_words.people import target_terms
from equipoise.inference.decision_server import is_server
from equipoise.loading.content import base_contents_of, content_of
from equipoise.loading.load import undecided
from equipoise.loading.model_kind import NamedKind, kind_named
from equipoise.locate.base import Locator
from equipoise.measure import choose_examples, learnt_examples
from equipoise.metrics.stereoset import SS_TARGET
from equipoise.mitigate.base import Mitigation, UsesEdits, single_parts
from equipoise.records import JSON, Metric, Supply
from equipoise.study.contents import NOT_AT_HAND, data_content, plugin_content, why_missing
from equipoise.study.controls import can_answer, find_controls, with_controls
from equipoise.study.leaving_out import (
    check_attributor,
    check_headline,
    check_margins,
    why_not_edited,
    why_not_ranked,
    why_not_taught,
    with_dependants,
)
from equipoise.study.recipe import BenchmarkSpec, Entry, ModelSpec, Recipe, Spec
from equipoise.study.retraining import leave_out_of, removal_of
from equipoise.study.server_content import server_content
from equipoise.study.supplied import Supplied, supply_sha256
from equipoise.supply.base import Supplier

T = TypeVar("T")

#: What the recipe as resolved repeats from the recipe.
_PLAIN = {
    *("title", "strengths", "seeds", "data", "seed", "limit", "draws", "rankings", "sample"),
    *("examples", "nulls"),
}
_REMEDY = "measure another split, or say 'edited: false' to ask unedited models only"


class Resolver:
    """Builds the plug-ins of a recipe; each complaint names the recipe's line.

    `document`: the recipe as resolved, as JSON by label, which replays the study. Filled by
    `resolve_model` and `resolve_calibration`.
    """

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.mitigations: dict[str, Mitigation] = {}
        self._learnt_by_edits: dict[str, frozenset[str]] = {}  # text hashes, by mitigation
        for spec in recipe.mitigations:
            self.mitigations[spec.label] = built = self._build(Mitigation, spec)
            for part in single_parts(built):
                if isinstance(part, UsesEdits):
                    with self._at(spec):
                        learnt = self._learnt_by_edits.get(spec.label, frozenset())
                        self._learnt_by_edits[spec.label] = learnt | part.learnt()
        self.controls = find_controls(recipe, self.mitigations)
        self.recipe = recipe = with_controls(recipe, self.controls)
        for spec in self.controls.added:
            self.mitigations[spec.label] = self._build(Mitigation, spec)
        self.targeted: set[str] = set()  # benchmarks that tell what the target carries
        self.missing: dict[str, str] = {}  # why files of benchmarks are not at hand, by label
        self.unread: set[str] = set()  # names of benchmarks whose metrics are not known
        self.unanswered: set[str] = set()  # benchmarks that no control can be asked
        locators = {spec.label: self._build(Locator, spec) for spec in recipe.locators}
        self.locators: dict[str, Locator] = locators
        self.attributors = {s.label: self._build(Attributor, s) for s in recipe.attributors}
        self.baselines = {label for label, built in self.attributors.items() if built.baseline}
        self.of_bias: set[str] = set()  # benchmarks with a metric of bias; the others have no share
        self.unlabelled: set[str] = set()  # attributors whose rows have no labels
        line = recipe.lines.get("attribution", 0)
        with self._at(Entry(name="attribution", label="attribution", line=line)):
            self.leave_out = leave_out_of(recipe.attribution)
            self.removal = removal_of(recipe.attribution)
        self.document: dict[str, Any] = {
            **TypeAdapter(Recipe).dump_python(recipe, mode="json", include=_PLAIN),
            "models": {},
            "mitigations": {
                label: plugin_content(built) for label, built in self.mitigations.items()
            },
            "locators": {label: plugin_content(built) for label, built in locators.items()},
            "attributors": {
                label: plugin_content(built) for label, built in self.attributors.items()
            },
            "attribution": dataclasses.asdict(recipe.attribution) if recipe.attributors else None,
            "headline": {
                spec.label: [*spec.headline] for spec in recipe.benchmarks if spec.headline
            },
            "against": {
                spec.label: spec.against for spec in recipe.mitigations if spec.against is not None
            },
            "controls": {label: [*of] for label, of in self.controls.methods.items()},
            "calibrate": {},
            "margins": {key: dataclasses.asdict(margin) for key, margin in recipe.margins.items()},
        }

    def resolve_calibration(self, spec: Spec) -> JSON:
        """The content of a benchmark to be calibrated with planted bias."""
        resolved = plugin_content(self._build(Benchmark, spec))
        self.document["calibrate"][spec.label] = resolved
        return resolved

    def resolve_model(self, spec: ModelSpec) -> Mapping[str, Any]:
        """The content of a model's steps: "model", "chat", "supply", and "benchmarks" by label."""
        if is_server(spec.name) and (spec.chat is not None or spec.start != "auto"):
            raise RecipeError(
                f"{self.recipe.at(spec.line)}: {spec.name} must be asked as it is; leave its chat "
                "and start out"
            )
        if spec.chat is not None and undecided(spec.name) != spec.name:
            raise RecipeError(
                f"{self.recipe.at(spec.line)}: {spec.name} must be asked with the template of "
                "decisions, which has turns of its own; leave its chat out"
            )
        data = self.recipe.data
        with self._at(spec, line=spec.line if data is None else self.recipe.lines["data"]):
            folder = folder_for(spec.base or spec.name, data)
        with reading_from(folder):
            resolved = self._resolve(spec)
        self.document["models"][spec.label] = resolved
        return resolved

    def _resolve(self, spec: ModelSpec) -> dict[str, JSON]:
        supplied: JSON = None
        given = Supplied(self._resolve_supply)
        taught = {
            entry.label: self.recipe.supply_of(
                entry, usual_supply(self.mitigations[entry.label], spec.name)
            )
            for entry in self.recipe.mitigations
        }
        kind = self._kind(spec)
        left_out = self._leave_out(spec, kind, taught, given)
        # a recipe that only measures needs no files of a supply
        shared = (self.recipe.supply.name, self.recipe.supply.options)
        if shared in [(s.name, s.options) for s in (*taught.values(), *self._read_supplies())]:
            supplied = given.of(self.recipe.supply)[1]
        contents = {label: given.of(spec)[1] for label, spec in taught.items()}
        taught_by: dict[str, JSON] = {
            label: content for label, content in contents.items() if content != supplied
        }
        located_on = self._resolve_located(given, supplied)
        attributed_on = self._resolve_attributed(given)
        benchmarks: dict[str, JSON] = {}
        metrics: dict[str, dict[str, Metric]] = {}  # by name of benchmark and their own
        for benchmark in self.recipe.benchmarks:
            built: AnyBenchmark = self._build(Benchmark, benchmark)
            with self._at(benchmark):
                split = benchmark.split or built.splits[0]
                if split not in built.splits:
                    raise RecipeError(
                        f"{benchmark.name} has no split '{split}'; {nearest(split, built.splits)}"
                    )
                # they may depend on the options, and be refused with them
                self._note_metrics(benchmark, built, metrics)
            learning = {label: supply for label, supply in taught.items() if label not in left_out}
            if learning and benchmark.edited:
                self._refuse_leak(benchmark, built, split, learning, given)
            about_data: dict[str, JSON] = {"split": split, "data": data_content(built, split)}
            reason = None if about_data["data"] else why_missing(built, split)
            if reason is not None:
                self.missing.setdefault(benchmark.label, reason)
            with self._at(benchmark):  # a judge's files may be missing
                benchmarks[benchmark.label] = plugin_content(built) | about_data
        edited = [each.label for each in self.recipe.benchmarks if each.edited]
        joining = {c.label: given.of(taught[c.label])[0] for c in self.controls.added}
        left_out = left_out | self.controls.leave_out(
            spec.label, kind=kind, supplies=joining,
            unread=edited if self.unanswered.issuperset(edited) else (),
        )  # fmt: skip
        check_margins(self.recipe, metrics, unknown=self.unread)
        code = spec.trust_remote_code
        with self._at(spec):
            server = server_content(spec)
            bases = base_contents_of(spec.name, base=spec.base, code=code)
            content = content_of(undecided(spec.name), code=code)
        return {
            "model": {
                "name": spec.name,
                "revision": spec.revision,
                "dtype": spec.dtype,
                "base": spec.base,
                "start": spec.start,
                "content": content,
                # only where there are any, so that all other models keep their keys
                **({"quantize": spec.quantize} if spec.quantize != "auto" else {}),
                **({"base_contents": [*bases]} if bases else {}),
                **({"trust_remote_code": True} if spec.trust_remote_code else {}),
                **({} if server is None else {"server": server}),
            },
            "chat": None if spec.chat_options is None else dict(spec.chat_options),
            "supply": supplied,
            # only where they differ, so that all other recipes keep their keys
            **({"taught_by": taught_by} if taught_by else {}),
            **({"located_on": located_on} if located_on else {}),
            **({"attributed_on": attributed_on} if attributed_on else {}),
            **({"left_out": left_out} if left_out else {}),
            "benchmarks": benchmarks,
        }

    def _note_metrics(
        self,
        benchmark: BenchmarkSpec,
        built: AnyBenchmark,
        metrics: dict[str, dict[str, Metric]],
    ) -> None:
        """Add a benchmark's metrics, and refuse a headline that names none of them.

        Of a task that is read with documents that are not at hand they are not known yet.
        """
        try:
            named = {metric.name: metric for metric in built.metrics}
        except NOT_AT_HAND as error:
            self.missing[benchmark.label] = " ".join(str(error).split())
            self.unread.add(benchmark.name)
            return
        check_headline(benchmark, named)
        metrics.setdefault(benchmark.name, {}).update(named)
        ideals = [each for each in built.metrics if each.ideal is not None]
        if any(each.higher_is_better is None for each in ideals):
            self.of_bias.add(benchmark.label)
        if SS_TARGET in named:
            self.targeted.add(benchmark.label)

    def _leave_out(
        self, spec: ModelSpec, kind: NamedKind | None, taught: Mapping[str, Spec], given: Supplied
    ) -> dict[str, JSON]:
        """Of each mitigation that this model cannot be taught, the reason; controls have theirs.

        Refuses one that cannot learn from the supply that the recipe names for it.
        """
        reasons: dict[str, JSON] = {}
        for entry in self.recipe.mitigations:
            if entry in self.controls.added:
                continue
            method = self.mitigations[entry.label]
            reason = why_not_edited(spec.label, kind, method)
            if reason is None:
                supply = taught[entry.label]
                reason = why_not_taught(entry.label, method, supply, given.of(supply)[0])
                named = entry.supply is not None or "supply" in self.recipe.lines
                if reason is not None and named:
                    raise RecipeError(f"{self.recipe.at(entry.line)}: {reason}")
            if reason is not None:
                reasons[entry.label] = reason
        return with_dependants(reasons, self.recipe, self.controls.methods)

    def _kind(self, spec: ModelSpec) -> NamedKind | None:
        with self._at(spec):
            return kind_named(spec.name, revision=spec.revision, base=spec.base)

    def _resolve_supply(self, spec: Spec) -> tuple[Supply, dict[str, JSON]]:
        """What is supplied, and its content."""
        supplier = self._build(Supplier, spec)
        with self._at(spec):
            supply = supplier.supply()
        return supply, plugin_content(supplier) | {"sha256": supply_sha256(supply)}

    def _read_supplies(self) -> list[Spec]:
        """What the locators and attributors read."""
        located = [
            self.recipe.supply_of(entry, self.locators[entry.label].taught_by)
            for entry in self.recipe.locators
        ]
        return located + [
            self.recipe.supply_of(entry, self.attributors[entry.label].taught_by)
            for entry in self.recipe.attributors
        ]

    def _resolve_located(self, given: Supplied, supplied: JSON) -> dict[str, JSON]:
        """Contents of the supplies that locators do not share with the recipe, by their labels.

        Refuses a locator of questions whose supply has none, and prompts that it cannot rank on.
        """
        contents: dict[str, JSON] = {}
        for entry in self.recipe.locators:
            locator = self.locators[entry.label]
            spec = self.recipe.supply_of(entry, locator.taught_by)
            supply, content = given.of(spec)
            reason = why_not_ranked(entry.name, locator, spec, supply)
            if reason is not None:
                raise RecipeError(f"{self.recipe.at(entry.line)}: {reason}")
            if content != supplied:
                contents[entry.label] = content
        return contents

    def _resolve_attributed(self, given: Supplied) -> dict[str, JSON]:
        """Contents of the supplies whose rows are attributed, by the attributors' labels.

        Refuses a supply without rows.
        """
        contents: dict[str, JSON] = {}
        for entry in self.recipe.attributors:
            attributor = self.attributors[entry.label]
            spec = self.recipe.supply_of(entry, attributor.taught_by)
            supply, contents[entry.label] = given.of(spec)
            if all(row.biased is None for row in supply.rows):
                self.unlabelled.add(entry.label)
            if not len(supply.rows):
                raise RecipeError(
                    f"{self.recipe.at(entry.line)}: {entry.name} scores training rows, and "
                    f"{spec.name} has {len(supply.rows)}; give it a supply of its own, as "
                    f"'supply: {attributor.taught_by}'"
                )
            with self._at(entry):
                check_attributor(entry.name, attributor, supply)
        return contents

    @contextmanager
    def _at(self, entry: Entry, *, line: int | None = None) -> Iterator[None]:
        """Say which line an error is about, the entry's unless another is given."""
        try:
            yield
        except (DataError, RecipeError, ModelError, StoreError) as error:
            line = entry.line if line is None else line
            if isinstance(error, OptionError) and isinstance(entry, Spec):
                line = entry.lines.get(error.option, line)
            raise RecipeError(f"{self.recipe.at(line)}: {error}") from None

    def _build(self, base: type[T], spec: Spec) -> T:
        with self._at(spec):
            return plugins.build(base, spec.name, spec.options)

    def _learnt(
        self, taught: Mapping[str, Spec], given: Supplied
    ) -> tuple[dict[frozenset[str], str], dict[str, Supply]]:
        """Text hashes to the first method that learns them, and what each method learns from."""
        sources: dict[frozenset[str], str] = {}
        learners: dict[str, Supply] = {}
        for label, spec in taught.items():
            method = self.mitigations[label]
            if label in self._learnt_by_edits:
                hashes = self._learnt_by_edits[label]
                sources.setdefault(hashes, f"the edits of '{label}' learnt from")
            if any(p.learns and not isinstance(p, UsesEdits) for p in single_parts(method)):
                supply, hashes = given.of(spec)[0], given.hashes(spec)
                sources.setdefault(hashes, f"'{label}' learns from {supply.origin}")
                learners[label] = supply
        return sources, learners

    def _refuse_leak(
        self,
        benchmark: BenchmarkSpec,
        built: AnyBenchmark,
        split: str,
        taught: Mapping[str, Spec],
        given: Supplied,
    ) -> None:
        """Refuse to measure what a mitigation learns from: the same texts, or the same terms.

        `taught`: the supply of each mitigation, by its label.
        """
        sources, learners = self._learnt(taught, given)
        if not sources:
            return
        try:
            examples, requests = choose_examples(
                built, split=split, limit=self.recipe.limit, seed=self.recipe.seed
            )
        except NOT_AT_HAND:
            return  # its step will say so; the others go on
        self.unanswered |= set() if can_answer(requests) else {benchmark.label}
        where = self.recipe.at(benchmark.line)
        for hashes, source in sources.items():
            learnt = learnt_examples(hashes, built, examples, requests)
            if learnt:
                raise RecipeError(
                    f"{where}: {len(learnt)} of the {len(examples)} examples of {benchmark.label} "
                    f"({split}) are among what {source}, the first is '{learnt[0]}'; {_REMEDY}"
                )
        # Other sentences about the same targets would measure what was learnt of these. By terms:
        # that StereoSet's official splits share peoples under other names is a check's warning.
        terms = target_terms(examples)
        for label, supply in learners.items():
            shared = sorted(target_terms(supply.contrasts + supply.dev_contrasts) & terms)
            if shared:
                names = ", ".join(f"{axis}/{term}" for axis, term in shared[:10])
                raise RecipeError(
                    f"{where}: {len(shared)} target terms of {benchmark.label} ({split}) are among "
                    f"what '{label}' learns from {supply.origin}: {names}; {_REMEDY}"
                )
