"""The main verb: put a benchmark to a model, and say what it measured with its uncertainty.

`measure` gathers the requests of all examples, asks the model for them in bulk, turns the answers
into outcomes and the outcomes into estimates.
"""

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from equipoise import environment, plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark, Remarks, UsesFiles, texts_of
from equipoise.errors import DataError, ModelError, RecipeError, RequestError, nearest
from equipoise.inference.scorer import Scorer
from equipoise.predictions import Predictions, predicted
from equipoise.records import (
    JSON,
    Continuation,
    DataUse,
    Embedding,
    Estimate,
    Example,
    Generation,
    Infill,
    Measurement,
    Metric,
    NextToken,
    Outcome,
    Request,
    Response,
    TextPair,
    text_sha256,
)
from equipoise.stats.pairing import ITEM, PREFIX, VARIANTS
from equipoise.stats.resample import Interval, bootstrap, by_cell, columns_of, select, spread

Q = TypeVar("Q", bound=Request)


class Shards(Protocol):
    """Where `measure` keeps the outcomes of so many examples at a time, in their order."""

    @property
    def size(self) -> int:
        """Examples in a shard; the last one may have fewer."""

    def read(self, number: int) -> Sequence[Outcome] | None:
        """The outcomes of a shard, as they were written; None when it is not there."""

    def write(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Keep them, whole or not at all."""


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
    """Put a benchmark to a model (or to predictions) and estimate its metrics with intervals.

    `split`: None takes the benchmark's first. `limit`: a seeded choice of that many examples, the
    same for every model. `seed` also settles sampled text and the bootstrap; `draws` is the number
    of resamples, 0 for no intervals. `shards` keeps outcomes as they come, so that a long
    measurement goes on where it was stopped.

    Raises `RecipeError` for an unknown benchmark or split, `DataError` for no or duplicate
    examples and for an edit that was trained on an example, `ModelError` when the model cannot
    answer.
    """
    if isinstance(benchmark, str):
        benchmark = plugins.build(Benchmark, benchmark)
    split = _split(benchmark, split)
    name = plugins.name_of(benchmark)
    examples, requests = asked(benchmark, split=split, limit=limit, seed=seed)
    if isinstance(model, Predictions):
        found, info = predicted(model, benchmark, name, split=split, examples=examples)
        outcomes, variants = _with_groups(found, examples), 1
    else:
        _refuse_learnt(model.trained_on, benchmark, examples, requests)
        variants = len(scorers := model.variants())
        outcomes = _sharded(scorers, benchmark, examples, requests, seed=seed, shards=shards)
        info = {**model.info, **({VARIANTS: variants} if variants > 1 else {})}
    family = variants > 1
    data = benchmark.files(split) if isinstance(benchmark, UsesFiles) else ()
    cluster = benchmark.cluster or (ITEM if family else None)
    estimates = _estimates(
        benchmark, outcomes, cluster=cluster, family=family, draws=draws, seed=seed
    )
    lost = _coverage(outcomes, asked=len(examples) * variants)
    return Measurement(
        model=model.identity,
        benchmark=name,
        version=benchmark.version,
        options=plugins.options_of(benchmark),
        split=split,
        seed=seed,
        draws=draws,
        limit=limit,
        examples_sha256=_identity(examples, requests),
        data=data,
        model_info=info,
        environment=environment.collect(),
        cluster=cluster,
        estimates=tuple(estimates),
        outcomes=tuple(outcomes),
        notes=(*_notes(benchmark, split, data=data, info=info), *lost),
    )


# --- examples ---------------------------------------------------------------------------------


def asked(
    benchmark: AnyBenchmark, *, split: str | None = None, limit: int | None = None, seed: int = 0
) -> tuple[list[Example], list[list[Request]]]:
    """The examples that `measure` chooses with these arguments, and the requests of each.

    Raises `RecipeError` and `DataError` as `measure` does.
    """
    split = _split(benchmark, split)
    found = _examples(benchmark, plugins.name_of(benchmark), split)
    examples = _chosen(found, limit=limit, seed=seed)
    return examples, [list(benchmark.requests(example)) for example in examples]


def learnt_examples(
    trained_on: frozenset[str],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
) -> list[str]:
    """Ids of the examples of which some text was learnt, in order; empty: it may be measured.

    `trained_on`: hashes of what an edit learnt from (`records.text_sha256`).
    """
    if not trained_on:
        return []
    return [
        example.id
        for example, own in zip(examples, requests, strict=True)
        if any(text_sha256(text) in trained_on for text in texts_of(benchmark, example, own))
    ]


def _split(benchmark: AnyBenchmark, split: str | None) -> str:
    if split is None:
        return benchmark.splits[0]
    if split not in benchmark.splits:
        where = plugins.name_of(benchmark)
        raise RecipeError(f"{where} has no split '{split}'; {nearest(split, benchmark.splits)}")
    return split


def _examples(benchmark: AnyBenchmark, name: str, split: str) -> list[Example]:
    examples: list[Example] = list(benchmark.examples(split))
    if not examples:
        raise DataError(f"{name}: split '{split}' must hold examples, got 0; check its file")
    id, count = Counter(example.id for example in examples).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{name}: example ids must be unique, got '{id}' {count} times in split '{split}'; "
            "rename the copies"
        )
    return examples


def _chosen(examples: list[Example], *, limit: int | None, seed: int) -> list[Example]:
    """A seeded choice, in the order of the file: the first ones of a sorted file mislead."""
    if limit is None or limit >= len(examples):
        return examples
    if limit < 1:
        raise RecipeError(f"limit must be at least 1, got {limit}; leave it out to measure all")
    places = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
    return [examples[k] for k in sorted(places)]


def _identity(examples: Sequence[Example], requests: Sequence[Sequence[Request]]) -> str:
    """sha256 (hex) of the canonical JSON of all ids and requests."""
    digest = hashlib.sha256()
    for example, asked in zip(examples, requests, strict=True):
        row = [example.id, *({"kind": type(r).__name__, **_fields(r)} for r in asked)]
        digest.update(json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()


def _fields(request: Request) -> dict[str, object]:
    """What a request asks; a question that is not asked is left out, as before there was one."""
    return {key: one for key, one in dataclasses.asdict(request).items() if key != "greedy" or one}


def _refuse_learnt(
    trained_on: frozenset[str],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
) -> None:
    learnt = learnt_examples(trained_on, benchmark, examples, requests)
    if learnt:
        raise DataError(
            f"this edit was trained on {len(learnt)} of the {len(examples)} examples it is to be "
            f"measured on, the first is '{learnt[0]}'; measure another split"
        )


# --- outcomes ---------------------------------------------------------------------------------


def _sharded(
    scorers: Sequence[Scorer],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    *,
    seed: int,
    shards: Shards | None,
) -> list[Outcome]:
    """All outcomes, shard by shard; those that are kept already are not asked for again."""
    if shards is None:
        return _outcomes(scorers, benchmark, examples, requests, seed=seed)
    found: list[Outcome] = []
    for number, start in enumerate(range(0, len(examples), shards.size)):
        part = slice(start, start + shards.size)
        kept = shards.read(number)
        if kept is None:
            kept = _outcomes(scorers, benchmark, examples[part], requests[part], seed=seed)
            shards.write(number, kept)
        found += kept
    return found


def _outcomes(
    scorers: Sequence[Scorer],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    *,
    seed: int,
) -> list[Outcome]:
    """One outcome an example; with several scorers one a scorer, ids ending in "#0", "#1", …"""
    flat = [one for asked in requests for one in asked]
    askers = [example.id for example, asked in zip(examples, requests, strict=True) for _ in asked]
    found: list[Outcome] = []
    for number, scorer in enumerate(scorers):
        try:
            answers = iter(answer(scorer, flat, seed=seed))
        except RequestError as error:
            where = f"{plugins.name_of(benchmark)}: example '{askers[error.number]}'"
            raise ModelError(f"{where} {error.sentence}") from None
        for example, asked in zip(examples, requests, strict=True):
            outcome = benchmark.outcome(example, [next(answers) for _ in asked])
            outcome = _completed(outcome, example)
            found.append(_numbered(outcome, number) if len(scorers) > 1 else outcome)
    return found


def answer(model: Scorer, requests: Sequence[Request], *, seed: int) -> list[Response]:
    """Put requests of any kinds to a model, one bulk call a kind; answers in the order asked.

    Raises `RequestError` with the place of a request that cannot be answered, and `ModelError`
    when the model gives another number of answers than it was asked for.
    """
    found: dict[int, Response] = {}

    def fill(kind: type[Q], method: Callable[[Sequence[Q]], Iterable[Response]]) -> None:
        chosen = [(k, request) for k, request in enumerate(requests) if isinstance(request, kind)]
        if not chosen:
            return
        try:
            answers = list(method([one for _, one in chosen]))
        except RequestError as error:
            raise RequestError(chosen[error.number][0], error.sentence) from None
        if len(answers) != len(chosen):
            raise ModelError(
                f"{model.identity} must answer {len(chosen)} {kind.__name__} requests, "
                f"got {len(answers)} answers; mend the scorer"
            )
        found.update((k, one) for (k, _), one in zip(chosen, answers, strict=True))

    fill(Continuation, model.score)
    fill(Infill, model.infill)
    fill(TextPair, model.score_pairs)
    fill(NextToken, model.next_token)
    fill(Generation, lambda these: model.generate(these, seed=seed))
    fill(Embedding, lambda these: list(model.embed(these)))
    return [found[k] for k in range(len(requests))]


def _with_groups(outcomes: Sequence[Outcome], examples: Sequence[Example]) -> list[Outcome]:
    known = {example.id: example for example in examples}
    return [_completed(outcome, known[outcome.example]) for outcome in outcomes]


def _completed(outcome: Outcome, example: Example) -> Outcome:
    """The outcome with its example's groups, which a benchmark need not repeat."""
    if outcome.example != example.id:
        raise DataError(
            f"the outcome of example '{example.id}' must carry its id, got '{outcome.example}'; "
            "mend the benchmark"
        )
    return replace(outcome, groups={**example.groups, **outcome.groups})


def _numbered(outcome: Outcome, number: int) -> Outcome:
    groups = {**outcome.groups, PREFIX: str(number), ITEM: outcome.example}
    return replace(outcome, example=f"{outcome.example}#{number}", groups=groups)


def _notes(
    benchmark: AnyBenchmark, split: str, *, data: Sequence[DataUse], info: Mapping[str, JSON]
) -> tuple[str, ...]:
    unverified = [
        f"data: {one.name} is not the pinned official file (sha256 {one.sha256[:12]}…)"
        for one in data
        if not one.verified
    ]
    found = benchmark.remarks(split) if isinstance(benchmark, Remarks) else ()
    return (*_told(info), *benchmark.faults, *unverified, *found)


def _told(info: Mapping[str, JSON]) -> list[str]:
    """What the model's edits were told of the items that are measured: it belongs to the number."""
    return [
        f"told: {one['method']} was told the {what} of the measured items, so that this compares "
        "with no method that was not"
        for one in _listed(info.get("edits"))
        if isinstance(one, dict)
        for what in _listed(one.get("told"))
    ]


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else []


def _coverage(outcomes: Sequence[Outcome], *, asked: int) -> list[str]:
    notes = []
    if len(outcomes) < asked:
        notes.append(f"coverage: {len(outcomes)} of {asked} examples have an outcome")
    for key in sorted({key for outcome in outcomes for key in outcome.values}):
        stated = [outcome.values[key] for outcome in outcomes if key in outcome.values]
        lost = sum(not math.isfinite(value) for value in stated)
        if lost:
            notes.append(f"coverage: '{key}' is not finite in {lost} of {len(stated)} outcomes")
    return notes


def _estimates(
    benchmark: AnyBenchmark,
    outcomes: Sequence[Outcome],
    *,
    cluster: str | None,
    family: bool,
    draws: int,
    seed: int,
) -> Iterable[Estimate]:
    """Every metric, overall and by group; of a family also by prefix and its spread over them."""
    columns = columns_of(outcomes, cluster=cluster)
    spreads = [spread(metric, over=PREFIX) for metric in benchmark.metrics if family]
    keys = (*benchmark.by, *([PREFIX] if family else []))

    def estimated(mask: NDArray[np.bool_]) -> list[Interval]:
        return bootstrap(benchmark.metrics, select(columns, mask), draws=draws, seed=seed)

    for group, found in by_cell(outcomes, keys, estimated):
        for metric, interval in zip(benchmark.metrics, found, strict=True):
            yield _estimate(metric, interval, group)
        if spreads and not group:
            over = bootstrap(spreads, columns, draws=draws, seed=seed)
            yield from (_estimate(*one, group) for one in zip(spreads, over, strict=True))


def _estimate(metric: Metric, interval: Interval, group: Mapping[str, str]) -> Estimate:
    return Estimate(
        metric=metric.name,
        value=interval.value,
        low=interval.low,
        high=interval.high,
        n=interval.n,
        clusters=interval.clusters,
        unit=metric.unit,
        ideal=metric.ideal,
        higher_is_better=metric.higher_is_better,
        group=group,
        reason=interval.reason,
    )
