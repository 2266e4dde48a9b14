"""Notes of a measurement: what its reader must know beside the numbers, in whole sentences."""

import math
from collections.abc import Iterator, Mapping, Sequence

from equipoise.benchmarks.base import AnyBenchmark
from equipoise.inference.scorer import form_notes
from equipoise.records import JSON, DataUse, Estimate, Outcome
from equipoise.rows import LEARNT


def notes_of(
    benchmark: AnyBenchmark,
    outcomes: Sequence[Outcome],
    estimates: Sequence[Estimate],
    *,
    info: Mapping[str, JSON],
    data: Sequence[DataUse],
    split: str,
    expected: int,
) -> Iterator[str]:
    """Of the model, the benchmark, its files, what was answered, and what came of it.

    `info`: of the model. `expected`: outcomes, if none is missing.
    """
    yield from _note_labels(info)
    yield from _note_quantization(info)
    yield from form_notes(info)
    yield from _note_layout(info)
    yield from _note_server(info)
    yield from benchmark.faults
    if all(file.verified for file in data):
        yield from benchmark.data_faults
    for file in data:
        if file.verified is False:
            yield f"data: {file.name} is not a known official file (sha256 {file.sha256[:12]}…)"
    yield from benchmark.remarks(split)
    yield from benchmark.observations(outcomes)
    yield from _note_related(benchmark, outcomes, info)
    yield from benchmark.conclusions(estimates)
    yield from _note_coverage(outcomes, expected=expected)


def _note_labels(info: Mapping[str, JSON]) -> Iterator[str]:
    """What the model's edits know of the measured items, such as labels: it belongs to a result."""
    edits = info.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        if not isinstance(edit, dict):
            continue
        labels = edit.get("item_info")
        for label in labels if isinstance(labels, list) else []:
            yield (
                f"item information: {edit['method']} was given the {label} of the measured items, "
                "so that this compares with no method that was not"
            )


def _note_quantization(info: Mapping[str, JSON]) -> Iterator[str]:
    """Which edits were learnt on the same model in other bits."""
    edits = info.get("edits")
    for edit in edits if isinstance(edits, list) else []:
        if isinstance(edit, dict) and "quantize_when_learnt" in edit:
            yield (
                f"quantization: {edit['method']} was learnt with quantize "
                f"{edit['quantize_when_learnt']} and is measured on {info['dtype']} weights"
            )


def _note_related(
    benchmark: AnyBenchmark, outcomes: Sequence[Outcome], info: Mapping[str, JSON]
) -> Iterator[str]:
    """How many items share something with what an edit learnt, beside whole texts."""
    edits = info.get("edits")
    records = [
        edit for edit in (edits if isinstance(edits, list) else []) if isinstance(edit, dict)
    ]
    origins = [str(edit["origin"]) for edit in records if edit.get("origin")]
    counts = []
    for key in benchmark.related:
        groups = [outcome.groups[key] for outcome in outcomes if key in outcome.groups]
        counts += [f"{key} in {groups.count(LEARNT)} of {len(groups)} items"] if groups else []
    if counts:
        yield (
            f"held out: what was learnt ({'; '.join(origins) or 'by a merged edit'}) is measured "
            f"again, by {', '.join(counts)}; the others have rows of their own"
        )
    elif benchmark.related and any(origin.startswith("stereoset(") for origin in origins):
        yield (
            f"held out: by {', '.join(benchmark.related)} it is not known what was learnt, as "
            "StereoSet's test split is not in the data folder"
        )


def _note_layout(info: Mapping[str, JSON]) -> Iterator[str]:
    """What the model needs that costs time."""
    layout = info.get("layout")
    for key, what in layout.items() if isinstance(layout, dict) else ():
        if key in ("batches", "generation"):
            yield f"layout: {key} {what}"


def _note_server(info: Mapping[str, JSON]) -> Iterator[str]:
    """What is not known of a model behind a server, and what was found when it was tried."""
    if "server_says" not in info:
        return
    tokens = "" if info.get("tokenizer") else " and tokenizer"
    yield (
        f"server: the weights{tokens} behind {info['server']} are not known, and may be others "
        "tomorrow under the same name"
    )
    reads, writes = info.get("reads"), info.get("writes")
    if isinstance(reads, dict) and not info.get("tokenizer") and not reads["starts"]:
        yield (
            "server: it lists no start token before a text, so that a text's first token has no "
            "log-probability and is not scored"
        )
    if isinstance(reads, dict) and reads["consistent"] is None:
        yield (
            "server: whether a token has the same log-probability where it is read and where it "
            "is written could not be tried"
        )
    if not isinstance(writes, dict):
        return
    for name, what in (("greedy_repeats", "temperature 0"), ("seed_repeats", "the same seed")):
        if not writes[name]:
            yield (
                f"server: asked again at {what} it wrote another text, so that texts are those of "
                "one run"
            )
    if not writes["extras"]:
        yield "server: it takes no top_k and no penalty for repetition, and has its own if any"


def _note_coverage(outcomes: Sequence[Outcome], *, expected: int) -> Iterator[str]:
    if len(outcomes) < expected:
        yield f"coverage: {len(outcomes)} of {expected} examples have an outcome"
    for key in sorted({key for outcome in outcomes for key in outcome.values}):
        values = [outcome.values[key] for outcome in outcomes if key in outcome.values]
        lost = sum(not math.isfinite(value) for value in values)
        if lost:
            yield f"coverage: '{key}' is not finite in {lost} of {len(values)} outcomes"
