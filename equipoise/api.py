"""What a user does with a model, the same for Python and for the command line.

Names of plug-ins are accepted wherever plug-ins are. A planted model is asked about its own world:
a benchmark built by name gets that world unless it is told where else to take its examples from.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, Teaches, TellsLabels
from equipoise.conclusions import Ranking, RankStability
from equipoise.edits.edit import Edit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import Scorer
from equipoise.locate.base import Locator
from equipoise.measure import Shards
from equipoise.measure import measure as measure_built
from equipoise.mitigate.base import Mitigation
from equipoise.predictions import Predictions
from equipoise.records import JSON, Measurement, Prompt, Supply
from equipoise.stats.stability import rank_stability

PLANTED = "planted:"
SUPPLY = "genbias"  # the built-in benchmark with a split to learn from
_SOURCES = ("world", "file")  # options that say where a benchmark's examples come from


def measure(
    model: Scorer | Predictions,
    benchmark: AnyBenchmark | str,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 2000,
    shards: Shards | None = None,
) -> Measurement:
    """Put a benchmark to a model; `equipoise.measure.measure` says what the arguments mean.

    A benchmark given by name is built with its defaults, on a planted model with its world.
    """
    if isinstance(benchmark, str):
        benchmark = build_benchmark(benchmark, {}, identity=model.identity)
    return measure_built(
        model, benchmark, split=split, limit=limit, seed=seed, draws=draws, shards=shards
    )


def locate(
    model: LanguageModel,
    locator: Locator | str = "block_influence",
    *,
    supply: Supply | AnyBenchmark | str = SUPPLY,
    seed: int = 0,
) -> Ranking:
    """Rank the model's blocks on the supply's prompts.

    Raises `RecipeError` when the supply's benchmark has none to teach from.
    """
    if isinstance(locator, str):
        locator = plugins.build(Locator, locator)
    learnt = build_supply(supply, {}, identity=model.identity)
    return locator.locate(model, learnt.prompts, seed=seed)


def stability(
    model: LanguageModel,
    locator: Locator | str = "block_influence",
    *,
    supply: Supply | AnyBenchmark | str = SUPPLY,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    sample: int = 100,
) -> RankStability:
    """Rank the model's blocks once a seed, each time on `sample` of the supply's prompts.

    A seed draws the prompts, without replacement, and is the locator's own. A sample as large as
    the supply takes all prompts: the seeds then differ in the locator's chance alone, and a note
    on each ranking says so. The defaults are those of LFTF's appendix A.1.
    Raises `RecipeError` for seeds that are none or not all different, or a sample below 1.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise RecipeError(f"seeds must be all different, got {list(seeds)}; name some numbers once")
    if sample < 1:
        raise RecipeError(f"sample must be at least 1 prompt, got {sample}; raise it")
    if isinstance(locator, str):
        locator = plugins.build(Locator, locator)
    prompts = build_supply(supply, {}, identity=model.identity).prompts
    rankings = [
        _noted(locator.locate(model, drawn(prompts, sample, seed=seed), seed=seed), prompts, sample)
        for seed in seeds
    ]
    return rank_stability(rankings, tuple(seeds), sample=min(sample, len(prompts)))


def drawn(prompts: Sequence[Prompt], sample: int, *, seed: int) -> tuple[Prompt, ...]:
    """So many of the prompts, drawn without replacement, in their own order; all if too few."""
    if sample >= len(prompts):
        return tuple(prompts)
    chosen = np.random.default_rng(seed).choice(len(prompts), size=sample, replace=False)
    return tuple(prompts[place] for place in sorted(chosen.tolist()))


def _noted(ranking: Ranking, prompts: Sequence[Prompt], sample: int) -> Ranking:
    if sample < len(prompts):
        return ranking
    note = f"all {len(prompts)} prompts: seeds differ in nothing but the locator's own chance"
    return dataclasses.replace(ranking, notes=(*ranking.notes, note))


def mitigate(
    model: LanguageModel,
    method: Mitigation | str = "lftf",
    *,
    supply: Supply | AnyBenchmark | str | None = None,
    seed: int = 0,
) -> Edit:
    """Learn an edit from a supply; the model itself is left as it was.

    No supply: that of the benchmark which the method usually learns from (`Mitigation.taught_by`).
    Use the edit in a `with edit.attached(model) as edited:` block, or save it and load the folder.
    """
    if isinstance(method, str):
        method = plugins.build(Mitigation, method)
    source = method.taught_by if supply is None else supply
    found = build_supply(source, {}, identity=model.identity, told=method.told)
    return method.fit(model, found, seed=seed)


def build_benchmark(name: str, options: Mapping[str, JSON], *, identity: str = "") -> AnyBenchmark:
    """The benchmark of a name and options; of the model's own world if that is planted.

    `identity` is the model's. Raises `RecipeError` as `plugins.build` does.
    """
    world = world_of(identity)
    given = dict(options)
    if world is not None and takes_world(name) and not given.keys() & set(_SOURCES):
        given["world"] = world
    return plugins.build(Benchmark, name, given)


def build_supply(
    source: Supply | AnyBenchmark | str,
    options: Mapping[str, JSON],
    *,
    identity: str = "",
    told: tuple[str, ...] = (),
) -> Supply:
    """What a mitigation learns from: a supply, or the training split of a benchmark.

    `told`: of the method (`Mitigation.told`); one that is told "labels" gets the measured items,
    where the benchmark tells them.
    """
    if isinstance(source, Supply):
        return source
    if isinstance(source, str):
        source = build_benchmark(source, options, identity=identity)
    if not isinstance(source, Teaches):
        name = plugins.name_of(source)
        raise RecipeError(
            f"{name} must have a split to learn from, it has none; take genbias (prompts), "
            "stereoset (contrasts) or planted (both)"
        )
    supply = source.supply()
    if "labels" in told and isinstance(source, TellsLabels):
        return dataclasses.replace(supply, measured=tuple(source.labelled()))
    return supply


def world_of(identity: str) -> str | None:
    """The planted world of a model's identity, edited or not; None when it is not planted."""
    if not identity.startswith(PLANTED):
        return None
    return identity.removeprefix(PLANTED).partition("@")[0]


def takes_world(name: str) -> bool:
    """Whether a benchmark's examples can come from a planted world."""
    found = plugins.find(Benchmark, name)
    return dataclasses.is_dataclass(found) and any(
        field.name == "world" for field in dataclasses.fields(found)
    )
