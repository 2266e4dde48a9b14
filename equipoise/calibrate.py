"""Calibrate: what a benchmark reads when the truth is known.

For each strength of planted bias a model is taught (or taken from the cache), and the benchmark is
put to it. An instrument that measures bias rises with strength and reads its ideal at strength 0.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.errors import RecipeError
from equipoise.inference.scorer import Scorer
from equipoise.measure import measure
from equipoise.planted.model import load_planted
from equipoise.planted.world import find_world
from equipoise.records import JSON, Measurement
from equipoise.stats.calibration import Calibration, Reading, curve

#: The strengths of planted bias that are measured unless others are asked for.
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
_WORLD = "world"


def calibrate(
    benchmark: str,
    options: Mapping[str, JSON] | None = None,
    *,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = (0,),
    limit: int | None = None,
    draws: int = 2000,
    load: Callable[[str], Scorer] = load_planted,
) -> Calibration:
    """A benchmark's metrics against the strength of a planted bias.

    A benchmark with the option `world` is asked about each model's own world; another is put to
    the models as it is. `seeds` are worlds that deal the same bias differently. `limit` and
    `draws` are those of `measure`; `load` opens a model by its world's name.
    Raises `RecipeError` for no strengths or seeds, for values that no world has, for an unknown
    benchmark, and when `world` is set in the options; else as `measure` does.
    """
    chosen = dict(options or {})
    names = _names(strengths, seeds)
    if _WORLD in chosen:
        raise RecipeError(
            f"calibrating {benchmark} sets the option 'world' itself, got {chosen[_WORLD]!r}; "
            "leave it out"
        )
    measurements = [
        measure(load(name), _about(benchmark, chosen, name), limit=limit, draws=draws)
        for name in names
    ]
    points = [
        (find_world(name), measurement)
        for name, measurement in zip(names, measurements, strict=True)
    ]
    return Calibration(
        benchmark=benchmark,
        version=measurements[0].version,
        options={key: value for key, value in measurements[0].options.items() if key != _WORLD},
        strengths=tuple(sorted({world.strength for world, _ in points})),
        seeds=tuple(sorted({world.seed for world, _ in points})),
        models=tuple(measurement.model for measurement in measurements),
        curves=tuple(
            curve(
                [
                    Reading(
                        strength=world.strength,
                        seed=world.seed,
                        estimate=measurement.estimate(metric),
                    )
                    for world, measurement in points
                ]
            )
            for metric in _metrics(measurements[0])
        ),
    )


def _names(strengths: Sequence[float], seeds: Sequence[int]) -> list[str]:
    if not strengths or not seeds:
        raise RecipeError(
            "calibrating needs a strength and a seed, "
            f"got strengths {list(strengths)} and seeds {list(seeds)}; name at least one of each"
        )
    names = [
        find_world(f"strength={strength},seed={seed}").name
        for strength in sorted(set(strengths))
        for seed in sorted(set(seeds))
    ]
    return list(dict.fromkeys(names))


def _about(benchmark: str, options: Mapping[str, JSON], world: str) -> AnyBenchmark:
    """The benchmark, asking about that world if it can."""
    kind = plugins.find(Benchmark, benchmark)
    has_world = dataclasses.is_dataclass(kind) and any(
        field.name == _WORLD for field in dataclasses.fields(kind)
    )
    return plugins.build(Benchmark, benchmark, {**options, _WORLD: world} if has_world else options)


def _metrics(measurement: Measurement) -> list[str]:
    """Names of the metrics with an overall estimate, in order."""
    return [estimate.metric for estimate in measurement.estimates if not estimate.group]
