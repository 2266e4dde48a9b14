"""What every plug-in must hold, as checks that a third party runs too (see `equipoise.testing`).

Each check returns nothing when the plug-in holds, and raises `AssertionError` with one sentence
when it does not: these are tests, and read as such in a test run.
"""

import hashlib
import inspect
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TypeAlias

import numpy as np

from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.edits.base import Edit
from equipoise.edits.edit import tensor_bytes
from equipoise.edits.registry import load_edit
from equipoise.fakes import FakeScorer, tiny_model
from equipoise.group_words.people import target_people
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.scorer import answer
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.models.anatomy import heads
from equipoise.plugins import build, name_of, options_of
from equipoise.records import (
    Column,
    Continuation,
    Contrast,
    Example,
    Prompt,
    Request,
    Response,
    Scored,
    Supply,
)
from equipoise.rows import Probe, TrainingRow, text_sha256
from equipoise.stats.resample import columns_of
from equipoise.supply.base import Supplier

Asked: TypeAlias = Sequence[tuple[Example, list[Request]]]

_ACTIONS = ("smiled", "left", "slept", "went home", "sat down", "ate", "ran", "read a book")


def check_benchmark(benchmark: AnyBenchmark, *, split: str | None = None, limit: int = 60) -> None:
    """Ids, purity, determinism, order of answers, finiteness, ranges, and the ideal of no bias.

    A model without preference must score the ideal of every metric whose ideal is a point, either
    when it is indifferent (all texts equally likely) or when its preferences are coin flips.
    """
    _check_declared(benchmark)
    check_options(Benchmark, benchmark)
    examples = list(benchmark.examples(split or benchmark.splits[0]))
    hold(len(examples) > 0, "there must be examples, got none")
    ids = [example.id for example in examples]
    hold(len(set(ids)) == len(ids), f"ids must be unique, got {len(set(ids))} of {len(ids)}")
    # spread over the file, whose items may be sorted by kind
    chosen = _ask(benchmark, examples[:: max(1, len(examples) // limit)])
    for example, requests in chosen:
        hold(len(requests) > 0, f"example {example.id!r} must make a request, got none")
        pure = requests == list(benchmark.requests(example))
        hold(pure, f"requests of {example.id!r} must be pure")
    _check_outcomes(benchmark, chosen)
    _check_ranges(benchmark, chosen)
    _check_ideals(benchmark, examples)


def check_mitigation(method: Mitigation, *, supply: Supply | None = None, seed: int = 0) -> None:
    """Options survive; `fit` and a detached edit leave every byte; saving and seeds hold.

    Runs on a random two-block model, with a small supply of its own unless `supply` is given.
    """
    _check_declared(method)
    check_options(Mitigation, method)
    model = tiny_model("llama", context=512)  # a token is a byte, and prefixes take room
    learnt = supply or tiny_supply()
    if "labels" not in method.item_info:
        learnt = replace(learnt, measured=())
    before = model_bytes(model)
    edit = method.fit(model, learnt, seed=seed)
    hold(model_bytes(model) == before, "fit must leave the model bit for bit as it was")
    hold(edit.info.base == model.identity, f"the edit's base must be {model.identity!r}")
    plain = _scores(model)
    with edit.attached(model) as edited:
        changed = _scores(edited)
        hold(edited.identity != model.identity, "an edited model must have an identity of its own")
    hold(model_bytes(model) == before, "detaching must restore every byte")
    # a method that changes nothing would hold all the rest
    hold(changed != plain, "the edit must change some score, got all scores equal")
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "edit"
        edit.save(saved)
        again = load_edit(saved)
        hold(again.info == edit.info, "what is known of an edit must survive saving")
        hold(_edited_scores(again, model) == changed, "a saved edit must score as before")
    repeated = method.fit(model, learnt, seed=seed)
    hold(_edited_scores(repeated, model) == changed, f"seed {seed} must give the same edit again")


def check_locator(locator: Locator, *, seed: int = 0) -> None:
    """A finite score per component inside its interval, repeatable, and no trace on the model."""
    _check_declared(locator)
    check_options(Locator, locator)
    model = tiny_model("llama", blocks=3)
    before = model_bytes(model)
    supply = tiny_supply()
    prompts = supply.questions if locator.reads == "questions" else supply.prompts
    ranking = locator.locate(model, prompts, seed=seed)
    hold(model_bytes(model) == before, "locate must leave the model bit for bit as it was")
    count = 3 if ranking.kind == "block" else 3 * heads(model.module).count
    hold(len(ranking.scores) == count, f"there must be {count} scores, got {len(ranking.scores)}")
    named = sorted(ranking.order) == list(range(count))
    hold(named, f"order must name each {ranking.kind}, got {ranking.order}")
    labelled = len(ranking.labels) in ((0, 3) if ranking.kind == "block" else (count,))
    hold(labelled, f"each {ranking.kind} must have a label, got {len(ranking.labels)}")
    hold(ranking == locator.locate(model, prompts, seed=seed), f"seed {seed} must repeat")
    for low, score, high in zip(ranking.low, ranking.scores, ranking.high, strict=True):
        hold(math.isfinite(score), f"scores must be finite, got {score}")
        inside = math.isnan(low) or low <= score <= high
        hold(inside, f"{score} must lie in its interval, got [{low}, {high}]")


def check_supplier(supplier: Supplier) -> None:
    """Options survive; what is supplied is not empty, repeatable, and its files are named.

    What is learnt shares no text, and contrasts share no target, with what is held out.
    """
    hold(bool(type(supplier).__doc__), f"{type(supplier).__name__} must have a docstring")
    hold(bool(supplier.version), f"{type(supplier).__name__} must state a version")
    check_options(Supplier, supplier)
    supply = supplier.supply()
    hold(len(supply.learnt_texts()) > 0, "there must be something to learn from, got no text")
    hold(supply == supplier.supply(), "asked again, it must supply the same")
    hold(supply.files == supplier.files(), f"its files must be {supplier.files()}")
    learnt = {text_sha256(prompt.text) for prompt in (*supply.prompts, *supply.hinted)}
    shared = [prompt.id for prompt in supply.dev if text_sha256(prompt.text) in learnt]
    hold(not shared, f"dev prompts must not be learnt, got {shared[:3]}")
    people = target_people(supply.contrasts) & target_people(supply.dev_contrasts)
    hold(not people, f"people of dev contrasts must not be learnt, got {sorted(people)[:3]}")


def tiny_supply() -> Supply:
    """A supply of every kind, small enough to fit on in a second."""
    jobs = ("nurse", "baker", "pilot", "clerk", "judge", "tailor")
    prompts = [
        Prompt(id=f"{job}/{action}", text=f"The {job} {action} because", groups={"profession": job})
        for job in jobs
        for action in _ACTIONS
    ]
    hinted = [
        Prompt(
            id=f"{job}/{word}",
            text=f"The {job} took {word} bag because",
            groups={"profession": job, "hint": "male" if word == "his" else "female"},
        )
        for job in jobs
        for word in ("his", "her")
    ]
    questions = [
        Prompt(
            id=f"question/{thing}",
            text=f"Are people from {{target}} {thing}?",
            groups={"association": "always_late", "answer": "late"},
        )
        for thing in ("late", "on time", "early", "slow", "prompt", "waiting")
    ]
    return Supply(
        origin="tiny",
        questions=tuple(questions),
        prompts=tuple(prompts[:32]),
        hinted=tuple(hinted),
        contrasts=tuple(map(_contrast, jobs)),
        texts=tuple(
            f"The {'man' if number % 2 else 'door'} of house {number} is here."
            for number in range(8)
        ),
        paragraphs=tuple(
            Prompt(
                id=f"late/{day}",
                text=f"On {day} people from {{target}} are always late.",
                groups={"association": "always_late"},
            )
            for day in ("Monday", "Tuesday", "Friday", "Sunday")
        ),
        dev=tuple(prompts[32:]),
        dev_contrasts=tuple(map(_contrast, ("actor", "driver", "farmer"))),
        measured=tuple(map(_contrast, ("guard", "miner", "diver"))),
        rows=tuple(
            TrainingRow(
                id=f"row {number}",
                text=f"The {jobs[number % 6]} of house {number} is {quality}.",
                groups={"label": "biased" if quality == "weak" else "neutral"},
            )
            for number, quality in enumerate(("weak", "tall", "busy") * 6)
        ),
        probes=tuple(
            Probe(
                id=job,
                stereotype=f"The {job} is weak because she is.",
                antistereotype=f"The {job} is weak because he is.",
                groups={"axis": "gender"},
            )
            for job in jobs[:3]
        ),
    )


def _contrast(job: str) -> Contrast:
    return Contrast(
        id=job,
        context=f"The {job} said",
        stereotype=" she was late",
        antistereotype=" he was late",
        unrelated=" blue seven",
        groups={"axis": "gender", "target": job},
    )


def hold(condition: bool, sentence: str) -> None:
    """Raise `AssertionError` with the sentence where the condition does not hold."""
    if not condition:
        raise AssertionError(sentence)


def _check_declared(plugin: AnyBenchmark | Mitigation | Locator) -> None:
    cls = type(plugin)
    hold(bool(cls.__doc__), f"{cls.__name__} must have a docstring")
    hold(bool(plugin.version and plugin.paper), f"{cls.__name__} must state version and paper")
    if not isinstance(plugin, Benchmark):
        return
    names = [metric.name for metric in plugin.metrics]
    hold(len(names) > 0, "there must be a metric, got none")
    hold(len(set(names)) == len(names), f"metric names must be unique, got {names}")
    unknown = set(plugin.crossed) - set(names)
    hold(not unknown, f"`crossed` must name metrics, got {sorted(unknown)}")
    for metric in plugin.metrics:
        stated = bool(metric.unit and metric.source)
        hold(stated, f"metric {metric.name!r} must state unit and source")


def check_options(base: type, plugin: object) -> None:
    """What a plug-in is built of must build it again."""
    again: object = build(base, name_of(plugin), options_of(plugin))
    hold(again == plugin, f"options must survive, {plugin} became {again}")


def _pseudo_random(seed: int, *, spread: float = 1.0) -> Callable[[str, str], float]:
    """A log-probability that depends on the texts and the seed alone, at equal odds per word.

    A long text is no less likely a word than a short text, so that means over tokens are fair.
    """

    def nats(context: str, text: str) -> float:
        digest = hashlib.sha256(f"{seed}\x00{context}\x00{text}".encode()).digest()
        rate = 3.0 + spread * int.from_bytes(digest[:8], "big") / 2**64
        return -rate * max(1, len(text.split()))

    return nats


def _random_scorer(seed: int, *, spread: float = 1.0) -> FakeScorer:
    """Answers that depend on the texts and the seed alone: odds as above, and unrelated vectors."""

    def vector(text: str) -> list[float]:
        digest = hashlib.sha256(f"{seed}\x00{text}".encode()).digest()
        return [byte - 127.5 for byte in digest[:16]]

    return FakeScorer(nats=_pseudo_random(seed, spread=spread), vectors=vector)


def _ask(benchmark: AnyBenchmark, examples: Sequence[Example]) -> Asked:
    return [(example, list(benchmark.requests(example))) for example in examples]


def _answers(asked: Asked, fake: FakeScorer) -> list[list[Response]]:
    """The fake's answers, grouped by example."""
    requests = [request for _, requests in asked for request in requests]
    responses = iter(answer(fake, requests, seed=0))
    return [list(islice(responses, len(requests))) for _, requests in asked]


def _columns(benchmark: AnyBenchmark, asked: Asked, fake: FakeScorer) -> dict[str, Column]:
    outcomes = []
    for (example, _), responses in zip(asked, _answers(asked, fake), strict=True):
        outcome = benchmark.outcome(example, responses)
        outcomes.append(replace(outcome, groups={**example.groups, **outcome.groups}))
    return columns_of(outcomes, cluster=benchmark.cluster)


def _check_outcomes(benchmark: AnyBenchmark, asked: Asked) -> None:
    order_matters = False
    known: set[str] = set()
    answers = _answers(asked, _random_scorer(0))
    for (example, _), responses in zip(asked, answers, strict=True):
        outcome = benchmark.outcome(example, responses)
        repeated = repr(outcome) == repr(benchmark.outcome(example, responses))
        hold(repeated, f"outcome of {example.id!r} must be deterministic")
        bad = {key: value for key, value in outcome.values.items() if math.isinf(value)}
        hold(not bad, f"values must be finite or nan, {example.id!r} has {bad}")
        groups = {*example.groups, *outcome.groups}
        named = benchmark.cluster is None or benchmark.cluster in groups
        hold(named, f"outcome {example.id!r} must name its cluster {benchmark.cluster!r}")
        known |= groups
        # a single answer has no order
        turned = outcome if len(responses) == 1 else benchmark.outcome(example, responses[::-1])
        order_matters |= len(responses) == 1 or repr(turned) != repr(outcome)
    hold(order_matters, "the order of the answers must matter, reversing changed no outcome")
    declared = inspect.getattr_static(type(benchmark), "by")
    # what depends on the options may depend on the columns of a user's file, too
    by = () if isinstance(declared, property) else declared
    missing = {*by, *benchmark.crossed.values()} - known
    hold(not missing, f"each key of `by`, `crossed` must be a group of an outcome, not {missing}")


def _check_ranges(benchmark: AnyBenchmark, asked: Asked) -> None:
    for seed in range(3):
        columns = _columns(benchmark, asked, _random_scorer(seed, spread=5.0))
        for metric in benchmark.metrics:
            value = metric.of(columns)
            inside = math.isnan(value) or metric.low - 1e-9 <= value <= metric.high + 1e-9
            hold(inside, f"{metric.name} must lie in [{metric.low}, {metric.high}], got {value}")
    empty = {key: column[:0] for key, column in columns.items()}
    for metric in benchmark.metrics:
        value = metric.of(empty)
        hold(math.isnan(value), f"{metric.name} of no rows must be nan, got {value}")


def _check_ideals(benchmark: AnyBenchmark, examples: Sequence[Example]) -> None:
    ideals = [
        (metric, metric.ideal)
        for metric in benchmark.metrics
        if metric.ideal is not None and metric.higher_is_better is None
    ]
    if not ideals:
        return
    asked = _ask(benchmark, examples)
    flat = _columns(benchmark, asked, FakeScorer())
    # Where ties count for a side, an indifferent model is not at the ideal but coin flips are.
    off = [(metric, ideal) for metric, ideal in ideals if not abs(metric.of(flat) - ideal) < 1e-6]
    flips = [_columns(benchmark, asked, _random_scorer(seed)) for seed in (range(5) if off else ())]
    for metric, ideal in off:
        coins = np.array([metric.of(flip) for flip in flips])
        # a metric that says what it needs may lack that in these examples
        if metric.needs and np.isnan([metric.of(flat), *coins]).all():
            continue
        hold(
            abs(float(coins.mean()) - ideal) <= 5.0 * max(float(coins.std(ddof=1)), 1e-9),
            f"{metric.name} of a model without preference must be {ideal}, "
            f"got {metric.of(flat)} when indifferent and {coins.mean()} over coin flips",
        )


def model_bytes(model: LanguageModel) -> str:
    """A hash of all that a plug-in must leave as it was."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor_bytes(tensor))
    # what may be trained and the mode are not bytes, and easily left behind
    flags = [parameter.requires_grad for parameter in model.module.parameters()]
    return digest.hexdigest() + str(flags) + str(model.module.training)


def _scores(model: LanguageModel) -> list[list[Scored]]:
    supply = tiny_supply()
    requests = [
        Continuation(context=prompt.text, continuation=word)
        for prompt in (*supply.prompts[:2], *supply.hinted[:2])  # a method may need a gendered word
        for word in (" he", " she", " they")
    ]
    return [variant.score(requests) for variant in model.variants()]


def _edited_scores(edit: Edit, model: LanguageModel) -> list[list[Scored]]:
    with edit.attached(replace(model)) as edited:
        return _scores(edited)
