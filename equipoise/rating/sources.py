"""Where pairs come from: a finished study, two results folders, or two files of texts."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data.documents import read_content
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.files.rows import FileRow, read_rows
from equipoise.rating.pairs import PairSet, VariantText, pair_texts
from equipoise.records import Measurement
from equipoise.stats.pairing import ITEM
from equipoise.study import results
from equipoise.study.changed_examples import items_of
from equipoise.study.load_study import read_study
from equipoise.study.study import Measured
from equipoise.study.written_pairs import prompt_of

_COLUMNS: Final = ("id", "prompt", "text", "group")


def read_pairs(
    sources: Sequence[Path], *, variants: Sequence[str] = (), benchmark: str | None = None
) -> PairSet:
    """The pairs of a study's folder, or of two results folders or files of texts.

    `variants`: two of a study's, needed where it has more. `benchmark`: whose texts, needed where
    several have some. A file has rows with "id", "prompt", "text" and perhaps "group"; other
    columns of numbers are automatic scores. Raises `RecipeError`, `DataError` and `StoreError`.
    """
    if len(sources) == 1:
        return _pairs_of_study(sources[0], variants, benchmark)
    if variants:
        raise RecipeError(
            f"variants are chosen of a study, got --variant {variants[0]} beside {len(sources)} "
            "places of texts; leave it out"
        )
    if len(sources) != 2:
        raise RecipeError(f"texts must be of two variants, got {len(sources)} places; name two")
    names = [place.stem if place.is_file() else place.resolve().name for place in sources]
    first, second = names if names[0] != names[1] else [str(place) for place in sources]
    texts = [_texts_of_place(place, benchmark) for place in sources]
    return pair_texts((first, second), *texts)


# --- a study ----------------------------------------------------------------------------------


def _pairs_of_study(folder: Path, names: Sequence[str], benchmark: str | None) -> PairSet:
    if folder.is_file() or (folder / results.FILE).is_file():
        raise RecipeError(
            f"two variants must be compared, got the texts of one, {folder}; name the other's "
            "place after it"
        )
    study = read_study(folder)
    by_variant: dict[str, list[Measured]] = {}
    for measured in study.measured:
        by_variant.setdefault(_variant_of(measured), []).append(measured)
    chosen = _choose_variants(folder, by_variant, names)
    sides, notes = [], []
    for name in chosen:
        seeds = sorted({each.seed for each in by_variant[name] if each.seed is not None})
        if len(seeds) > 1:
            notes.append(f"of '{name}' the texts of seed {seeds[0]} are shown, of {len(seeds)}")
        alike = [each for each in by_variant[name] if each.seed in (None, *seeds[:1])]
        sides.append([each.measurement for each in alike])
    label = _choose_benchmark(folder, sides, benchmark)
    first, second = (_texts_of(_find(side, label)) for side in sides)
    paired = pair_texts(chosen, first, second)
    return replace(paired, notes=(*notes, *paired.notes))


def _variant_of(measured: Measured) -> str:
    if measured.mitigation is None:
        return measured.model
    return f"{measured.mitigation} on {measured.model}"


def _choose_variants(
    folder: Path, by_variant: Mapping[str, Sequence[Measured]], names: Sequence[str]
) -> tuple[str, str]:
    for name in names:
        if name not in by_variant:
            raise RecipeError(
                f"'{name}' is no variant that {folder} has measured; {nearest(name, by_variant)}"
            )
    chosen = [*dict.fromkeys(names)] or [*by_variant]
    if len(by_variant) < 2:
        raise RecipeError(
            f"two variants must be compared, {folder} has measured {len(by_variant)} "
            f"({', '.join(by_variant)}); add a mitigation to its recipe and run it again"
        )
    if len(chosen) != 2:
        known = ", ".join(f"'{name}'" for name in by_variant)
        raise RecipeError(
            f"two variants must be compared, got {len(chosen)} of {folder}, which has {known}; "
            "name two, each with --variant"
        )
    return chosen[0], chosen[1]


def _choose_benchmark(place: Path, sides: Sequence[Sequence[Measurement]], name: str | None) -> str:
    """The label of a benchmark whose texts all sides have."""
    having = [[_label(each) for each in side if _has_texts(each)] for side in sides]
    shared = [
        label for label in dict.fromkeys(having[0]) if all(label in labels for labels in having)
    ]
    if name is not None and name not in shared:
        raise RecipeError(
            f"'{name}' is no benchmark whose texts {place} has of every variant; "
            f"{nearest(name, shared)}"
        )
    if not shared:
        raise DataError(
            f"{place} must have texts that its variants wrote, got none; measure a benchmark "
            "that keeps what a model writes"
        )
    if name is None and len(shared) > 1:
        raise RecipeError(
            f"texts must be of one benchmark, {place} has those of {', '.join(shared)}; choose "
            "with --benchmark"
        )
    return name or shared[0]


def _label(measurement: Measurement) -> str:
    return measurement.label or measurement.benchmark


def _has_texts(measurement: Measurement) -> bool:
    return any(outcome.text is not None for outcome in measurement.outcomes)


def _find(side: Sequence[Measurement], label: str) -> Measurement:
    return next(each for each in side if _label(each) == label)


def _texts_of(measurement: Measurement) -> list[VariantText]:
    """The texts of a measurement, with the prompts that its benchmark asks them by.

    Outcomes keep no prompts, so that the benchmark's items are read again. Raises `DataError` where
    its files are missing, or ask something else by now.
    """
    benchmark: AnyBenchmark = plugins.build(
        Benchmark, measurement.benchmark, dict(measurement.options)
    )
    items = items_of(measurement, benchmark)
    texts = []
    for outcome in measurement.outcomes:
        if outcome.text is None:
            continue
        # outcomes of a family of prompts are "ID#0", "ID#1", …, which no example is called
        example, requests = items[outcome.groups.get(ITEM, outcome.example)]
        texts.append(
            VariantText(
                id=outcome.example,
                prompt=prompt_of(benchmark, example, outcome, requests),
                text=outcome.text,
                groups=outcome.groups,
                scores=outcome.values,
            )
        )
    return texts


# --- places of texts ----------------------------------------------------------------------------


def _texts_of_place(place: Path, benchmark: str | None) -> list[VariantText]:
    if place.is_dir():
        measurements = results.read_results(place)
        return _texts_of(_find(measurements, _choose_benchmark(place, [measurements], benchmark)))
    content, use = read_content(str(place))
    rows = read_rows(content, use.name)
    texts = [_read_row(row) for row in rows]
    ids = {text.id for text in texts}
    if len(ids) < len(texts):
        raise DataError(
            f"{use.name}: each text must have an id of its own, got {len(ids)} ids for "
            f"{len(texts)} texts; correct the column 'id'"
        )
    return texts


def _read_row(row: FileRow) -> VariantText:
    id, text = row.label("id"), row.cells.get("text")
    if id is None or not id.isprintable() or not isinstance(text, str):
        # an empty string is a text
        fit = id is not None and id.isprintable()
        what = "a string in the column 'text'" if fit else "an id of printable characters"
        raise DataError(f"{row.where}: must have {what}, got {row.place} without; correct the row")
    group = row.label("group")
    return VariantText(
        id=id,
        prompt=str(row.cells.get("prompt") or ""),
        text=text,
        groups={} if group is None else {"group": group},
        scores={name: _number(cell) for name, cell in row.cells.items() if name not in _COLUMNS},
    )


def _number(cell: object) -> float:
    try:
        return float(cell) if isinstance(cell, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return math.nan
