"""What a user does with a model, the same for Python and for the command line.

Names of plug-ins are accepted wherever plug-ins are. Everywhere `data` is a folder of data files,
or "planted:NAME" for the items of a planted world; by default a planted model is asked about its
own world.
"""

import dataclasses
import inspect
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
from transformers import Pipeline

from equipoise import plugins
from equipoise.attribute.base import Attributor
from equipoise.attributions import Attribution
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, TellsLabels
from equipoise.conclusions import CALLED, Ranking, RankStability
from equipoise.data.sources import named_folder, reading_from
from equipoise.edits.base import Edit
from equipoise.errors import RecipeError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import Scorer
from equipoise.inference.sentence_encoder import check_predicts
from equipoise.influence.once import attribute_once
from equipoise.loading.in_memory import Pair, as_model, refuse_other_things
from equipoise.loading.load import base_named_in
from equipoise.locate.base import HeadLocator, Locator
from equipoise.measure import Shards
from equipoise.measure import measure as measure_built
from equipoise.mitigate.base import Mitigation
from equipoise.models.anatomy import blocks, heads
from equipoise.own_data.probe_file import read_probes
from equipoise.own_data.row_file import RowFile
from equipoise.planted.folder import PLANTED, WORLD, find_folder, world_folder
from equipoise.plugin_files import noticing_reads, unnamed_reads
from equipoise.predictions import Predictions
from equipoise.progress.bars import counted
from equipoise.records import JSON, Measurement, Prompt, Supply
from equipoise.rows import Probe, TrainingRow
from equipoise.stats.stability import rank_stability
from equipoise.supply.base import Supplier

T = TypeVar("T")

#: What answers a benchmark: a model, published predictions, a pair or pipeline of transformers.
Measurable: TypeAlias = Scorer | Predictions | Pair


@overload
def measure(
    model: Measurable,
    benchmark: AnyBenchmark | str,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 2000,
    data: str | None = None,
    nulls: bool = True,
    shards: Shards | None = None,
    called: str | None = None,
    **options: Mapping[str, JSON],
) -> Measurement: ...


@overload
def measure(
    model: Measurable,
    benchmark: list[AnyBenchmark | str] | list[str] | tuple[AnyBenchmark | str, ...],
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 2000,
    data: str | None = None,
    nulls: bool = True,
    shards: Shards | None = None,
    called: str | None = None,
    **options: Mapping[str, JSON],
) -> tuple[Measurement, ...]: ...


def measure(  # noqa: PLR0913
    model: Measurable,
    benchmark: Any,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 2000,
    data: str | None = None,
    nulls: bool = True,
    shards: Shards | None = None,
    called: str | None = None,
    **options: Mapping[str, JSON],
) -> Measurement | tuple[Measurement, ...]:
    """Put a benchmark to a model; `equipoise.measure.measure` says what the arguments mean.

    A benchmark given by name is built with its defaults, or with the options under its name:
    `measure(model, "bbq", bbq={"score": "letters"})`. Of a list of benchmarks each is measured, in
    their order. `called`: what the results call the model, beside its identity.
    """
    is_list = isinstance(benchmark, list | tuple)
    names = [*benchmark] if is_list else [benchmark]
    _check_options(options, names)
    model = as_scorer(model)
    built: list[AnyBenchmark] = [
        build_plugin(Benchmark, name, options.get(name, {}) if isinstance(name, str) else {})
        for name in names
    ]
    measurements = []
    for each in built:
        with reading_from(folder_for(model.identity, data)):
            measurement = measure_built(
                model, each, split=split, limit=limit, seed=seed, draws=draws, nulls=nulls,
                shards=shards,
            )  # fmt: skip
        if called is not None:
            info = {**measurement.model_info, CALLED: called}
            measurement = dataclasses.replace(measurement, model_info=info)
        measurements.append(measurement)
    return tuple(measurements) if is_list else measurements[0]


def as_scorer(model: Measurable) -> Scorer | Predictions:
    """What answers, of a pair or pipeline of transformers too. Raises `ModelError` for a name."""
    if isinstance(model, tuple | Pipeline):
        return as_model(model)
    refuse_other_things(model)
    return model


def _check_options(options: Mapping[str, object], benchmarks: Sequence[object]) -> None:
    """Raise `RecipeError` for options that are of no benchmark, or no mapping."""
    names = {name for name in benchmarks if isinstance(name, str)}
    for name, value in options.items():
        if name not in names:
            known = {*names, *inspect.signature(measure_built).parameters, "data", "called"}
            raise RecipeError(
                f"measure has no argument '{name}', nor a benchmark of that name here; "
                f"{nearest(name, known)}"
            )
        if not isinstance(value, Mapping):
            raise RecipeError(
                f"options of a benchmark must be a mapping, got {name}={value!r:.60}; write "
                f"{name}={{'option': value}}"
            )


def build_plugin(base: type[T], given: object, options: Mapping[str, JSON]) -> T:
    """A plug-in that is given by name, with these options, or as an object.

    Raises `RecipeError` for anything else, and for options beside an object, which has its own.
    """
    what = base.__name__.lower()
    if isinstance(given, str):
        return plugins.build(base, given, options)
    if isinstance(given, type) and issubclass(given, base):
        raise RecipeError(
            f"a {what} must be a name or an object, got the class {given.__name__}; build it: "
            f"{given.__name__}()"
        )
    if not isinstance(given, base):
        raise RecipeError(
            f"a {what} must be a name or an object, got {given!r:.60}; name one, "
            "`equipoise list` has them all"
        )
    if options:
        raise RecipeError(
            f"options must stand beside a name, got {', '.join(options)} beside a "
            f"{type(given).__name__} object; set them in it, or name it"
        )
    return given


def folder_for(identity: str, data: str | None = None) -> Path | None:
    """The data folder for a model: `data` if given, else of a planted model its world's folder.

    `identity`: of a model, edited or not, its name, or the folder of an edit of it. `data`: a
    folder, or "planted:NAME". None where neither names a folder, and inside a `reading_from` block,
    whose folder stays. Raises `RecipeError` when there is no such folder or world.
    """
    if named_folder() is not None:
        return None
    if data is not None:
        return find_folder(data)
    passed: set[str] = set()
    while identity not in passed and not identity.startswith(PLANTED):
        passed.add(identity)
        identity = base_named_in(Path(identity).expanduser()) or identity
    return world_folder(identity.partition("@")[0]) if identity.startswith(PLANTED) else None


def locate(
    model: LanguageModel | Pair,
    locator: Locator | str = "block_influence",
    *,
    supply: Supply | Supplier | str | None = None,
    seed: int = 0,
    data: str | None = None,
    **options: JSON,
) -> Ranking:
    """Rank the model's blocks or heads on the supply's prompts (or questions: `Locator.reads`).

    `options`: of a locator that is given by name, as in the verbs below. No supply: what the
    locator usually ranks on (`Locator.taught_by`).
    """
    model = as_model(model)
    check_predicts(model, "located in")
    locator = build_plugin(Locator, locator, options)
    with reading_from(folder_for(model.identity, data)):
        prompts = _ranked_on(locator, supply)
    return locator.locate(model, prompts, seed=seed)


def stability(
    model: LanguageModel | Pair,
    locator: Locator | str = "block_influence",
    *,
    supply: Supply | Supplier | str | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    sample: int = 100,
    top: int | None = None,
    data: str | None = None,
    **options: JSON,
) -> RankStability:
    """Rank blocks or heads once per seed, each time on `sample` of the supply's prompts.

    A seed draws the prompts, without replacement, and is the locator's own. A sample as large as
    the supply takes all prompts: the seeds then differ in the locator's chance alone, and a note
    on each ranking says so. The defaults are those of LFTF's appendix A.1. Of heads, the first
    `top` of each ranking are compared (None: 10).
    Raises `RecipeError` for seeds that are none or not all different, a sample below 1, and a `top`
    that the model has not as many heads as.
    """
    model = as_model(model)
    check_predicts(model, "located in")
    if not seeds or len(set(seeds)) < len(seeds):
        raise RecipeError(f"seeds must be all different, got {list(seeds)}; name some numbers once")
    if sample < 1:
        raise RecipeError(f"sample must be at least 1 prompt, got {sample}; raise it")
    locator = build_plugin(Locator, locator, options)
    with reading_from(folder_for(model.identity, data)):
        prompts = _ranked_on(locator, supply)
    if isinstance(locator, HeadLocator):  # before rankings, which take long
        _check_top(top, len(blocks(model.module)) * heads(model.module).count)
    rankings = [
        locator.locate(model, drawn(prompts, sample, seed=seed), seed=seed)
        for seed in counted(seeds, "ranking", len(seeds), unit="seed")
    ]
    if (
        sample >= len(prompts) and len(seeds) > 1
    ):  # perfect agreement would say nothing of other prompts
        note = f"all {len(prompts)} prompts: seeds differ in nothing but the locator's own chance"
        rankings = [
            dataclasses.replace(ranking, notes=(*ranking.notes, note)) for ranking in rankings
        ]
    _check_top(top, len(rankings[0].scores))
    return rank_stability(
        rankings,
        tuple(seeds),
        sample=min(sample, len(prompts)),
        top=top,
        same_prompts=sample >= len(prompts),
    )


def _check_top(top: int | None, count: int) -> None:
    if top is not None and not 1 <= top <= count:
        raise RecipeError(f"top must be from 1 to {count} components, got {top}; take fewer")


def _ranked_on(locator: Locator, supply: Supply | Supplier | str | None) -> tuple[Prompt, ...]:
    """What a locator ranks on, of `supply` or of its usual supply."""
    built = build_supply(locator.taught_by if supply is None else supply)
    return built.questions if locator.reads == "questions" else built.prompts


def drawn(prompts: Sequence[Prompt], sample: int, *, seed: int) -> tuple[Prompt, ...]:
    """`sample` of the prompts, drawn without replacement, in their own order; all if too few."""
    if sample >= len(prompts):
        return tuple(prompts)
    chosen = np.random.default_rng(seed).choice(len(prompts), size=sample, replace=False)
    return tuple(prompts[place] for place in sorted(chosen.tolist()))


def attribute(
    model: LanguageModel | Pair,
    attributor: Attributor | str = "influence",
    *,
    supply: Supply | Supplier | str | None = None,
    rows: Sequence[TrainingRow] | Path | str | None = None,
    probes: Sequence[Probe] | Path | str | None = None,
    seed: int = 0,
    data: str | None = None,
    **options: JSON,
) -> Attribution:
    """Score training rows by how much they support a bias; the model is left as it was.

    `rows` and `probes` are given, or files of them ("my.jsonl", "my_pairs.csv"), or both are those
    of a supply. None of them: what the attributor usually scores (`Attributor.taught_by`).
    Raises `RecipeError` for rows and a supply, for probes without rows, and without rows.
    """
    model = as_model(model)
    attributor = build_plugin(Attributor, attributor, options)
    if attributor.uses_model:
        check_predicts(model, "asked which rows taught it")
    if rows is None and probes is not None:
        raise RecipeError(
            f"probes must stand with rows, got probes and rows {rows}; give rows, too, or a supply "
            "of both"
        )
    if rows is not None and supply is not None:
        raise RecipeError(
            f"rows must be given or be those of a supply, got both ({type(rows).__name__} and "
            f"{type(supply).__name__}); leave out either"
        )
    with reading_from(folder_for(model.identity, data)):
        if rows is None:
            built = build_supply(attributor.taught_by if supply is None else supply)
            rows, probes = built.rows, built.probes
        rows = RowFile(rows) if isinstance(rows, str | Path) else rows
        probes = read_probes(probes) if isinstance(probes, str | Path) else probes
        return attribute_once(attributor, model, rows, probes or (), seed=seed)


def mitigate(
    model: LanguageModel | Pair,
    method: Mitigation | str = "lftf",
    *,
    supply: Supply | Supplier | str | None = None,
    seed: int = 0,
    data: str | None = None,
    **options: JSON,
) -> Edit:
    """Learn an edit from a supply; the model itself is left as it was.

    `options`: of a method that is given by name, `mitigate(model, "lftf", epochs=1)`. No supply:
    what the method usually learns from (`usual_supply`).
    Use the edit in a `with edit.attached(model) as edited:` block, or save it and load the folder.
    """
    model = as_model(model)
    check_predicts(model, "edited")
    method = build_plugin(Mitigation, method, options)
    with reading_from(folder_for(model.identity, data)):
        source = usual_supply(method, model.identity) if supply is None else supply
        built = build_supply(source, item_info=method.item_info)
    with noticing_reads() as reads:
        edit = method.fit(model, built, seed=seed)
    named = method.files() if isinstance(method, plugins.ReadsFiles) else {}
    for sentence in unnamed_reads(method, reads, named.values()):
        warnings.warn(sentence, stacklevel=2)
    return edit


def usual_supply(method: Mitigation | type[Mitigation], identity: str) -> str:
    """The supply that a method learns from unless another is named, on a model of that identity.

    Where a planted world is read it is "planted": all that may be learnt of the world, which holds
    no training rows. A method of an association learns what the world need not say.
    """
    if method.injects or method.taught_by in ("mix", "association"):
        return method.taught_by
    with reading_from(folder_for(identity)):
        return method.taught_by if WORLD.local_file() is None else "planted"


def build_supply(source: Supply | Supplier | str, *, item_info: tuple[str, ...] = ()) -> Supply:
    """What a mitigation learns from: a supply, or that of a plug-in.

    `item_info`: of the method. If it has "labels" the supply gets the measured
    items of the plug-in's benchmark (`Supplier.labelled_by`), with its options.
    """
    if isinstance(source, Supply):
        return source
    supplier = build_plugin(Supplier, source, {})
    with noticing_reads() as reads:
        supply = supplier.supply()
    for sentence in unnamed_reads(supplier, reads, {file.sha256 for file in supplier.files()}):
        warnings.warn(sentence, stacklevel=2)
    if "labels" not in item_info or supplier.labelled_by is None:
        return supply
    # the benchmark reads the same items as the supply where they share an option
    known = plugins.options_of(plugins.build(Benchmark, supplier.labelled_by))
    options = {key: value for key, value in plugins.options_of(supplier).items() if key in known}
    benchmark = plugins.build(Benchmark, supplier.labelled_by, options)
    if not isinstance(benchmark, TellsLabels):
        raise RecipeError(
            f"{supplier.labelled_by} must tell the labels of its items, it does not; name another "
            "benchmark in labelled_by"
        )
    return dataclasses.replace(supply, measured=tuple(benchmark.labelled()))
