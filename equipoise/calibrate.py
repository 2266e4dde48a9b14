"""Calibrate: what a benchmark reads when the truth is known.

For each strength of planted bias a model is taught (or taken from the cache), and the benchmark is
put to it. An instrument that measures bias rises with strength and reads its ideal at strength 0.
"""

from collections.abc import Callable, Mapping, Sequence

from equipoise import plugins
from equipoise.benchmarks.base import Benchmark
from equipoise.data.sources import reading_from
from equipoise.errors import RecipeError
from equipoise.inference.scorer import Scorer
from equipoise.measure import measure
from equipoise.planted.folder import world_folder
from equipoise.planted.model import load_planted
from equipoise.planted.world import find_world
from equipoise.records import JSON
from equipoise.stats.calibration import Calibration, Reading, curve

#: The strengths of planted bias that are measured unless others are asked for.
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def calibrate(  # noqa: PLR0913
    benchmark: str,
    options: Mapping[str, JSON] | None = None,
    *,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = (0,),
    world: str = "",
    limit: int | None = None,
    draws: int = 2000,
    load: Callable[[str], Scorer] = load_planted,
) -> Calibration:
    """A benchmark's metrics against the strength of a planted bias.

    Its data files are those of each model's own world, where that has them. `seeds` are worlds that
    deal the same bias differently. `world` is the rest of each world's name: with "targets=40" its
    contrasts are biased by their words alone, whatever the target; else by their targets. `limit`
    and `draws` are those of `measure`; `load` opens a model by its world's name.
    Raises `RecipeError` for no strengths or seeds, for values that no world has, and for an unknown
    benchmark; else as `measure` does.
    """
    if not strengths or not seeds:
        raise RecipeError(
            "calibrating needs a strength and a seed, "
            f"got strengths {list(strengths)} and seeds {list(seeds)}; name at least one of each"
        )
    # by name, as two spellings of a strength are the same world
    rest = f",{world}" if world else ""
    worlds = {
        each.name: each
        for strength in sorted(set(strengths))
        for each in (find_world(f"strength={strength},seed={n}{rest}") for n in sorted(set(seeds)))
    }
    built = plugins.build(Benchmark, benchmark, options)
    measurements = []
    for name in worlds:
        with reading_from(world_folder(name)):
            measurements.append(measure(load(name), built, limit=limit, draws=draws))
    points = list(zip(worlds.values(), measurements, strict=True))
    metrics = [metric.name for metric in built.metrics]
    return Calibration(
        benchmark=benchmark,
        version=measurements[0].version,
        options=measurements[0].options,
        strengths=tuple(sorted({each.strength for each in worlds.values()})),
        seeds=tuple(sorted({each.seed for each in worlds.values()})),
        models=tuple(measurement.model for measurement in measurements),
        curves=tuple(
            curve(
                [
                    Reading(strength=each.strength, seed=each.seed, estimate=m.estimate(metric))
                    for each, m in points
                ]
            )
            for metric in metrics
        ),
    )
