"""Put a benchmark to a model, and state what it measured with its uncertainty.

`measure` gathers the requests of all examples, asks the model for them in bulk, turns the answers
into outcomes and the outcomes into estimates.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Protocol, cast

import numpy as np

from equipoise import plugins
from equipoise.benchmarks.base import (
    AnyBenchmark,
    ScoresTexts,
    related_groups,
    texts_of,
)
from equipoise.errors import DataError, ModelError, RecipeError, RequestError, nearest
from equipoise.faultless import leave_out, lists_used, note_left_out, without_references
from equipoise.inference.request_hash import hash_requests
from equipoise.inference.scorer import (
    CutsTexts,
    Rehearses,
    Scorer,
    WritesTexts,
    answer,
    has_it_write,
    prepare,
)
from equipoise.installed import environment
from equipoise.instruments import describe_instruments, grade
from equipoise.measurement_notes import notes_of
from equipoise.null_references import guesses_of_model, note_nulls, nulls_of
from equipoise.plugin_files import noticing_reads, unnamed_reads
from equipoise.predictions import Predictions, read_predictions
from equipoise.processes.together import check_alike, on_main, share_out
from equipoise.records import (
    JSON,
    DataUse,
    Decision,
    Embedding,
    Example,
    Measurement,
    Outcome,
    Request,
    Response,
)
from equipoise.rows import text_sha256
from equipoise.stats.estimates import estimate_metrics
from equipoise.stats.pairing import ITEM, PREFIX, VARIANTS, add_groups
from equipoise.stats.settings import ADDED_TOKENS
from equipoise.stats.slicing import slices_of


class Shards(Protocol):
    """Where `measure` keeps outcomes, a fixed number of examples at a time, in their order."""

    @property
    def size(self) -> int:
        """Examples in a shard; the last may have fewer."""

    def read(self, number: int) -> Sequence[Outcome] | None:
        """The outcomes of a shard, as they were written; None when it is missing."""

    def write(self, number: int, outcomes: Sequence[Outcome]) -> None:
        """Store them, whole or not at all."""


def measure(  # noqa: PLR0913
    model: Scorer | Predictions,
    benchmark: AnyBenchmark,
    *,
    split: str | None = None,
    limit: int | None = None,
    seed: int = 0,
    draws: int = 2000,
    nulls: bool = True,
    shards: Shards | None = None,
) -> Measurement:
    """Put a benchmark to a model (or to predictions) and estimate its metrics with intervals.

    `split`: None takes the benchmark's first. `limit`: a seeded choice of that many examples, the
    same for every model. `seed` also settles sampled text and the bootstrap; `draws` is the number
    of resamples, 0 for no intervals. `nulls`: beside the numbers stands what rules without bias get
    on the same items (`null_references`). `shards` stores outcomes as they come, so that a long
    measurement resumes where it was stopped.
    Raises `RecipeError` for an unknown split, `DataError` for no or duplicate examples and for an
    edit that was trained on an example, `ModelError` when the model cannot answer.
    """
    split, name = choose_split(benchmark, split), plugins.name_of(benchmark)
    if not isinstance(draws, int | np.integer) or draws < 0:
        raise RecipeError(f"draws must be a number from 0, got {draws!r}; 0 takes no intervals")
    with noticing_reads() as reads:
        examples, requests = choose_examples(benchmark, split=split, limit=limit, seed=seed)
    examples_sha256, data = hash_requests(examples, requests), benchmark.files(split)
    _check_processes(model.identity, name, examples_sha256, data)
    variants, asked = 1, cast(Scorer | None, None)
    if isinstance(model, Predictions):
        outcomes, info = read_predictions(model, benchmark, name, split=split, examples=examples)
        outcomes = _finish_predicted(benchmark, examples, outcomes)
    else:
        model = prepare(model, benchmark.turn, requests)
        info = dict(model.info)
        _check_questions(info, benchmark, name, requests)
        _refuse_learnt(model, benchmark, examples, requests)
        scorers, asked = model.variants(), model
        variants = len(scorers)
        info |= {VARIANTS: variants} if variants > 1 else {}
        info |= _added_tokens(model, benchmark, examples, requests)
        if isinstance(model, WritesTexts) and has_it_write(requests):
            info |= _join_layouts(info, model.writing_layout())
        outcomes = _collect_outcomes(scorers, benchmark, examples, requests, seed, shards)
        outcomes = add_groups(outcomes, _related(benchmark, examples, model, info))
    if any(outcome.text is not None for outcome in outcomes):
        info |= describe_instruments(benchmark)
    # the answers to an item after several prompts stand and fall together
    cluster = benchmark.cluster or (ITEM if variants > 1 else None)
    chance = {"draws": draws, "seed": seed}
    drawn: Mapping[str, Any] = {"cluster": cluster, **chance}
    guesses = guesses_of_model(benchmark, examples, requests, asked) if nulls else []
    estimates, rules, slices, others = share_out(
        [
            lambda: tuple(estimate_metrics(benchmark, outcomes, family=variants > 1, **drawn)),
            lambda: nulls_of(benchmark, examples, requests, guesses, **chance) if nulls else (),
            lambda: tuple(slices_of(benchmark, outcomes, **drawn)),
            lambda: without_references(benchmark, name, outcomes, data=data, **drawn),
        ]
    )
    references = (*rules, *others)
    return Measurement(
        model=model.identity,
        benchmark=name,
        version=benchmark.version,
        options=plugins.options_of(benchmark, transport=False),
        split=split, seed=seed, draws=draws, limit=limit,
        examples_sha256=examples_sha256,
        data=(*data, *lists_used(benchmark, name)),
        model_info=info,
        environment=environment(),
        cluster=cluster,
        estimates=estimates,
        outcomes=tuple(outcomes),
        references=references,
        headline=benchmark.headline,
        slices=slices,
        about=benchmark.about,
        notes=(
            *note_left_out(benchmark, name, split=split),
            *notes_of(
                benchmark, outcomes, estimates, info=info, data=data, split=split,
                expected=len(examples) * variants,
            ),
            *note_nulls(benchmark.metrics, estimates, references),
            *unnamed_reads(benchmark, reads, {file.sha256 for file in data}),
        ),
    )  # fmt: skip


def _check_processes(model: str, benchmark: str, items: str, data: Sequence[DataUse]) -> None:
    """Raise `ProcessError` unless all processes ask the same of the same model."""
    alike = {"model": model, f"items of {benchmark}": items}
    alike |= {f"file {file.name}": file.sha256 for file in data}
    check_alike(alike, remedy="let all read the same files")


def _added_tokens(
    model: Scorer,
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
) -> dict[str, JSON]:
    """The tokens added to the model's vocabulary that measured texts are cut at."""
    if not isinstance(model, CutsTexts):
        return {}
    pairs = zip(examples, requests, strict=True)
    texts = (text for pair in pairs for text in texts_of(benchmark, *pair))
    return {ADDED_TOKENS: [*model.added_tokens_in(texts)]}


def _related(
    benchmark: AnyBenchmark, examples: Sequence[Example], model: Scorer, info: Mapping[str, JSON]
) -> dict[str, Mapping[str, str]]:
    """`related_groups`, with the names of the same people that the edits' supplies had."""
    edits = info.get("edits")
    aliases: dict[str, str] = {}
    for edit in edits if isinstance(edits, list) else []:
        known = edit.get("aliases") if isinstance(edit, dict) else None
        aliases |= {k: str(v) for k, v in known.items()} if isinstance(known, dict) else {}
    return related_groups(benchmark, examples, model.trained_on, aliases)


def choose_examples(
    benchmark: AnyBenchmark, *, split: str | None = None, limit: int | None = None, seed: int = 0
) -> tuple[list[Example], list[list[Request]]]:
    """The examples that `measure` chooses with these arguments, and the requests of each.

    Raises `RecipeError` and `DataError` as `measure` does.
    """
    split = choose_split(benchmark, split)
    name = plugins.name_of(benchmark)
    examples = leave_out(benchmark, name, list(benchmark.examples(split)), split=split)
    if not examples:
        raise DataError(f"{name}: split '{split}' must hold examples, got 0; check its file")
    id, count = Counter(example.id for example in examples).most_common(1)[0]
    if count > 1:
        raise DataError(
            f"{name}: example ids must be unique, got '{id}' {count} times in split '{split}'; "
            "rename the copies"
        )
    if limit is not None and (not isinstance(limit, int | np.integer) or limit < 1):
        raise RecipeError(f"limit must be at least 1, got {limit!r}; leave it out to measure all")
    if limit is not None and limit < len(examples):
        # In the order of the file, but not the first: those of a sorted file mislead.
        chosen = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
        examples = [examples[index] for index in sorted(chosen)]
    return examples, [list(benchmark.requests(example)) for example in examples]


def _refuse_learnt(
    model: Scorer,
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
) -> None:
    learnt = learnt_examples(model.trained_on, benchmark, examples, requests)
    if learnt:
        raise DataError(
            f"this edit was trained on {len(learnt)} of the {len(examples)} examples it is to "
            f"be measured on, the first is '{learnt[0]}'; measure another split"
        )


def learnt_examples(
    trained_on: frozenset[str],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
) -> list[str]:
    """Ids of the examples of which some text was learnt, in order; empty: it may be measured.

    `trained_on`: hashes of what an edit learnt from (`rows.text_sha256`).
    """
    if not trained_on:
        return []
    return [
        example.id
        for example, asks in zip(examples, requests, strict=True)
        if any(text_sha256(text) in trained_on for text in texts_of(benchmark, example, asks))
    ]


def choose_split(benchmark: AnyBenchmark, split: str | None) -> str:
    """The split of that name; None: the benchmark's first. Raises `RecipeError` for another."""
    if split is None:
        return benchmark.splits[0]
    if split not in benchmark.splits:
        where = plugins.name_of(benchmark)
        raise RecipeError(f"{where} has no split '{split}'; {nearest(split, benchmark.splits)}")
    return split


def _check_questions(
    info: Mapping[str, JSON],
    benchmark: AnyBenchmark,
    name: str,
    requests: Sequence[Sequence[Request]],
) -> None:
    """Refuse to ask a decision model or a sentence encoder what it cannot answer."""
    known = {"decision": Decision, "encoder": Embedding}.get(str(info.get("kind")))
    asked = [ask for asks in requests for ask in asks if known and not isinstance(ask, known)]
    if not asked:
        return
    what = f"{name} asks for a {type(asked[0]).__name__}"
    if known is Embedding:
        raise RecipeError(
            f"a sentence encoder predicts no words and gives vectors only, {what}; take seat, or a "
            "language model"
        )
    option = f"--set {name}.{benchmark.typed}" if benchmark.typed else "another benchmark"
    raise RecipeError(
        f"a decision model answers choices and true/false questions only, {what} with these "
        f"options; take {option}"
    )


def _collect_outcomes(
    scorers: Sequence[Scorer],
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    seed: int,
    shards: Shards | None,
) -> list[Outcome]:
    """All outcomes, shard by shard; stored shards are neither asked for nor judged again."""
    for instrument in benchmark.scorers if isinstance(benchmark, ScoresTexts) else ():
        instrument.info()  # raises for one that cannot be had, before anything is written
    # without shards all at once: within a call the engine sorts by length and shares prefixes
    size = len(examples) if shards is None else shards.size
    kinds = {type(request) for asks in requests for request in asks}
    if len(scorers) > 1 or len(examples) > size or len(kinds) > 1:
        # of several calls each would refuse its own requests alone, the last one after hours
        for scorer in scorers:
            if isinstance(scorer, Rehearses):
                _answers(scorer.as_rehearsal(), benchmark, examples, requests, seed=seed)
    outcomes: list[Outcome] = []
    for number, start in enumerate(range(0, len(examples), size)):
        part, asks = examples[start : start + size], requests[start : start + size]
        stored = None if shards is None else on_main(partial(shards.read, number))
        if stored is None:
            answers = [_answers(scorer, benchmark, part, asks, seed=seed) for scorer in scorers]
            # once for all processes: programs are run, judges asked and shards written here
            stored = on_main(partial(_finish_shard, benchmark, part, asks, answers, shards, number))
        outcomes += stored
    return outcomes


def _finish_shard(
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    answers: Sequence[Sequence[Response]],
    shards: Shards | None,
    number: int,
) -> list[Outcome]:
    """The graded outcomes of some examples, stored; `answers`: of each variant of the model."""
    outcomes: list[Outcome] = []
    for index, answered in enumerate(answers):
        variant = str(index) if len(answers) > 1 else None
        outcomes += _build_outcomes(benchmark, examples, requests, answered, variant=variant)
    outcomes = grade(benchmark, [*examples] * len(answers), outcomes)
    if shards is not None:
        shards.write(number, outcomes)
    return outcomes


def _answers(
    scorer: Scorer,
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    *,
    seed: int,
) -> list[Response]:
    """Answers to the requests of all examples; `ModelError` names the example of a bad one."""
    flat = [request for example_requests in requests for request in example_requests]
    try:
        return answer(scorer, flat, seed=seed)
    except RequestError as error:
        owners = [e.id for e, asks in zip(examples, requests, strict=True) for _ in asks]
        where = f"{plugins.name_of(benchmark)}: example '{owners[error.number]}'"
        raise ModelError(f"{where} {error.sentence}") from None


def _finish_predicted(
    benchmark: AnyBenchmark, examples: Sequence[Example], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """The outcomes of predictions with their examples' groups, and graded."""
    by_id = {example.id: example for example in examples}
    owners = [by_id[outcome.example] for outcome in outcomes]
    return grade(benchmark, owners, [*map(_add_groups, outcomes, owners)])


def _build_outcomes(
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Sequence[Sequence[Request]],
    answers: Sequence[Response],
    *,
    variant: str | None,
) -> Iterator[Outcome]:
    """An outcome per example; with a variant's number their ids end in "#0", "#1", …"""
    remaining = iter(answers)
    for example, asks in zip(examples, requests, strict=True):
        outcome = benchmark.outcome(example, [next(remaining) for _ in asks])
        outcome = _add_groups(outcome, example)
        if variant is not None:
            groups = {**outcome.groups, PREFIX: variant, ITEM: outcome.example}
            outcome = replace(outcome, example=f"{outcome.example}#{variant}", groups=groups)
        yield outcome


def _add_groups(outcome: Outcome, example: Example) -> Outcome:
    """The outcome with its example's groups, which a benchmark need not repeat."""
    if outcome.example != example.id:
        raise DataError(
            f"the outcome of example '{example.id}' must carry its id, got '{outcome.example}'; "
            "fix the benchmark"
        )
    return replace(outcome, groups={**example.groups, **outcome.groups})


def _join_layouts(info: Mapping[str, JSON], writing: Mapping[str, JSON]) -> dict[str, JSON]:
    layout = {**(known if isinstance(known := info.get("layout"), dict) else {}), **writing}
    return {"layout": layout} if layout else {}
