"""What rules without bias get on the items that a model is measured on: the nulls of a measurement.

Each rule answers what the model is asked, and the benchmark makes of it what it makes of a model.
Where answers about an item are equal the tie is broken in every fair way, and the mean is what the
rule gets: what lots would give on average, whatever the benchmark does with ties.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydantic import TypeAdapter

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, AsksAboutOthers, JudgesTexts, ScoresTexts
from equipoise.errors import StoreError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.files.json_records import read_record, record_json
from equipoise.inference.scorer import Scorer
from equipoise.metrics.target_parts import EXCHANGED, GROUP, OWN, TARGET, with_others
from equipoise.nulls.base import Asked, Guess, Null, number, numbers_in
from equipoise.number_text import group_name
from equipoise.records import (
    Estimate,
    Example,
    Metric,
    Outcome,
    Reference,
    Response,
    Scored,
    ScoredPair,
)
from equipoise.stats.estimates import estimate_alike
from equipoise.stats.rules import meets, rules_of

_REFERENCES: Final = TypeAdapter(tuple[Reference, ...])
_VERSION: Final = "1"  # of what is made of the answers
_MOST_TURNS: Final = 24  # of ties of many sizes: beyond it they are parted fairly all but exactly
_APART: Final = 1e6  # above the ratio of any two lengths by which a benchmark divides
_ORDERED: Final = frozenset((Scored, ScoredPair))  # whose outcome follows from their order alone
_NAMED: Final = 12  # groups in a note
_UNITS: Final = ("%", "probability", "share of mass")  # a rule's answers are no nats


@dataclass(frozen=True, slots=True, kw_only=True)
class _NullMetrics:
    """The metrics that a null is given for."""

    metrics: tuple[Metric, ...]
    by: tuple[str, ...]
    crossed: Mapping[str, str]
    related: tuple[str, ...] = ()


def null_versions() -> Mapping[str, str]:
    """The rules that there are, by name, each with its version."""
    return {name: plugins.find(Null, name).version for name in plugins.available(Null)}


def guesses_of_model(
    benchmark: AnyBenchmark, examples: Sequence[Example], requests: Asked, model: Scorer | None
) -> list[Guess]:
    """What the rules answer that ask the model; []: there is none, or no number to be had."""
    if _has_no_nulls(benchmark):
        return []
    requests = _without_copies(benchmark, examples, requests)
    asking = [rule for rule in _rules().values() if rule.of_model]
    return [guess for rule in asking for guess in rule.guesses(requests, model)]


def nulls_of(
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Asked,
    of_model: Sequence[Guess] = (),
    *,
    draws: int,
    seed: int,
) -> tuple[Reference, ...]:
    """What each rule gets: the first metric and those with a margin, overall and by group.

    Rules that cannot act (equal answers about every item, or answers that are texts) are left out.
    Those that ask no model are computed once for the same items and options, and kept in the
    cache folder. `of_model`: `guesses_of_model`.
    """
    if _has_no_nulls(benchmark):
        return ()
    requests, chosen = _without_copies(benchmark, examples, requests), _null_metrics(benchmark)
    rules = _rules()
    key = _key(benchmark, examples, requests, rules, draws=draws, seed=seed)
    file = cache_folder() / "nulls" / f"{key}.json"
    kept: tuple[Reference, ...] | None = None
    with suppress(StoreError):
        kept = read_record(file, _REFERENCES)

    def estimated(guesses: Sequence[Guess]) -> tuple[Reference, ...]:
        return _references(benchmark, chosen, examples, guesses, draws=draws, seed=seed)

    if kept is None:
        guesses = [
            Guess(name=name, says=says, answers=[list(row) for row in answers])
            for name, (says, answers) in benchmark.guesses(examples).items()
        ]
        for rule in rules.values():
            guesses += [] if rule.of_model else rule.guesses(requests, None)
        kept = estimated(guesses)
        with suppress(StoreError):  # a cache that cannot be written only costs time
            write_file(file, record_json(kept), what="cached nulls")
    return kept + estimated(of_model)


def _has_no_nulls(benchmark: AnyBenchmark) -> bool:
    return isinstance(benchmark, JudgesTexts | ScoresTexts) or not _null_metrics(benchmark).metrics


def _rules() -> dict[str, Null]:
    return {name: plugins.build(Null, name) for name in plugins.available(Null)}


def _without_copies(benchmark: AnyBenchmark, examples: Sequence[Example], requests: Asked) -> Asked:
    """What rules are asked: where targets are not compared, others in their place say nothing."""
    if isinstance(benchmark, AsksAboutOthers) and not benchmark.compares_targets:
        return [list(benchmark.own_requests(example)) for example in examples]
    return requests


def note_nulls(
    metrics: Sequence[Metric], estimates: Sequence[Estimate], references: Sequence[Reference]
) -> Iterator[str]:
    """Which numbers a rule without bias gets, too, so that they show nothing by themselves.

    Of the first metric of bias, else of ability, and of its target's part where rules have one: a
    number is told from a rule when their intervals on the same items do not meet. That asks for
    more than a paired test of the difference would, so that what is called told from a rule is.
    """
    nulls = [reference for reference in references if reference.kind == "null"]
    given = {estimate.metric for null in nulls for estimate in null.estimates}
    known = [metric for metric in metrics if metric.name in given and metric.ideal is not None]
    bias = [metric for metric in known if metric.higher_is_better is None]
    for first in (bias or known)[:1]:
        for metric in known:
            if metric.name in (first.name, first.name + TARGET):
                yield from _note_metric(metric, estimates, nulls, of_bias=bool(bias))


def _note_metric(
    metric: Metric, estimates: Sequence[Estimate], nulls: Sequence[Reference], *, of_bias: bool
) -> Iterator[str]:
    rule = "knows of no bias" if of_bias else "understands nothing"
    alike, apart = [], []
    for estimate in estimates:
        if estimate.metric != metric.name or math.isnan(estimate.low) or GROUP in estimate.group:
            continue
        group = group_name(estimate.group)
        inside = [
            f"{name} {other.value:.1f}"
            for name, other in rules_of(nulls, estimate.metric, estimate.group)
            if meets(estimate.low, estimate.high, other)
        ]
        if inside:
            more = f" and {len(inside) - 1} more" if len(inside) > 1 else ""
            alike.append(f"{group} ({inside[0]}{more})")
        else:
            apart.append(group)
    if alike:
        yield (
            f"nulls: {metric.name} is not told from what a rule gets that {rule}: {_listed(alike)}"
        )
    if "overall" in apart:
        yield (
            f"nulls: overall {metric.name} is told from each of the {len(nulls)} rules here that "
            f"{'know of no bias' if of_bias else 'understand nothing'}: its interval meets none of "
            "theirs"
        )


def _listed(groups: Sequence[str]) -> str:
    more = f"; and {len(groups) - _NAMED} more" if len(groups) > _NAMED else ""
    return "; ".join(groups[:_NAMED]) + more


def _null_metrics(benchmark: AnyBenchmark) -> _NullMetrics:
    first, *others = benchmark.metrics
    chosen = [first, *(metric for metric in others if metric.margin is not None)]
    metrics = tuple(metric for metric in chosen if metric.resampled and metric.unit in _UNITS)
    if isinstance(benchmark, AsksAboutOthers) and benchmark.compares_targets and metrics:
        parts = {first.name + OWN, first.name + EXCHANGED}
        metrics += tuple(metric for metric in benchmark.metrics if metric.name in parts)
    by = tuple(key for key in benchmark.by if key != GROUP)  # of items alike, not of people
    return _NullMetrics(metrics=metrics, by=by, crossed={})


def _references(
    benchmark: AnyBenchmark,
    chosen: _NullMetrics,
    examples: Sequence[Example],
    guesses: Sequence[Guess],
    *,
    draws: int,
    seed: int,
) -> tuple[Reference, ...]:
    """What each rule gets; without those that say the same of all, or decide nothing."""
    if not guesses:
        return ()
    rows: list[list[Outcome]] = [[] for _ in guesses]
    acts = [0] * len(guesses)
    for place, example in enumerate(examples):
        answers = [guess.answers[place] for guess in guesses]
        for rule, (outcome, decides) in enumerate(
            _outcomes_with_copies(benchmark, example, answers)
        ):
            acts[rule] += decides
            rows[rule].append(outcome)
    acting = [rule for rule, items in enumerate(acts) if items]
    estimated = estimate_alike(
        chosen, [rows[rule] for rule in acting],
        cluster=benchmark.cluster, draws=draws, seed=seed,
    )  # fmt: skip
    references = []
    for rule, estimates in zip(acting, estimated, strict=True):
        known = tuple(estimate for estimate in estimates if not math.isnan(estimate.value))
        if known:
            name, says = guesses[rule].name, guesses[rule].says
            references.append(
                Reference(kind="null", name=name, says=says, items=acts[rule], estimates=known)
            )
    return tuple(references)


def _outcomes_with_copies(
    benchmark: AnyBenchmark, example: Example, answers: Sequence[Sequence[Response]]
) -> list[tuple[Outcome, bool]]:
    """The outcome of each rule's answers, and whether they differ; with what others change in it.

    Ties are parted in the example and in each of its copies apart.
    """
    if not (isinstance(benchmark, AsksAboutOthers) and benchmark.compares_targets):
        return [*_outcomes(benchmark, example, answers)]
    asked, start = (example, *benchmark.copies(example)), 0
    parts: list[list[tuple[Outcome, bool]]] = []
    for each in asked:
        end = start + len(benchmark.own_requests(each))
        parts.append([*_outcomes(benchmark, each, [row[start:end] for row in answers])])
        start = end
    results = []
    for (outcome, decides), *others in zip(*parts, strict=True):
        if others:
            compared = [benchmark.compared(other) for other, _ in others]
            outcome = with_others(outcome, benchmark.compared(outcome), compared)
        results.append((outcome, decides or any(acts for _, acts in others)))
    return results


def _outcomes(
    benchmark: AnyBenchmark, example: Example, answers: Sequence[Sequence[Response]]
) -> Iterator[tuple[Outcome, bool]]:
    """The outcome of each rule's answers, and whether they differ; of ties the mean of all ways.

    Of texts it follows from the order of their numbers alone, and is made once for each order.
    """
    outcome_of = benchmark.outcome
    if isinstance(benchmark, AsksAboutOthers):
        outcome_of = benchmark.own_outcome

    def merged(outcomes: Sequence[Outcome]) -> Outcome:
        first = outcomes[0]
        if len(outcomes) == 1 and first.groups is example.groups:
            return first
        return Outcome(
            example=first.example,
            values=_means([outcome.values for outcome in outcomes]),
            groups={**example.groups, **first.groups},
        )

    known: dict[tuple[tuple[type, ...], tuple[int, ...]], Outcome] = {}
    parted: dict[tuple[tuple[type, ...], tuple[int, ...]], Outcome] = {}
    for row in answers:
        kinds, values = tuple(map(type, row)), numbers_in(row)
        different = set(values)
        decides = len(different) > 1
        if not _ORDERED.issuperset(kinds) or any(map(math.isnan, values)):
            yield merged([outcome_of(example, row)]), decides
            continue
        # from the highest down, equal for equal numbers, from 0 without gaps
        ranks = tuple(map(sorted(different, reverse=True).index, values))
        if (kinds, ranks) not in known:
            ways = _ways(ranks, benchmark.shares_ties)
            for way in ways:
                if (kinds, way) not in parted:
                    parted[kinds, way] = outcome_of(example, _answers_ranked(row, way))
            known[kinds, ranks] = merged([parted[kinds, way] for way in ways])
        yield known[kinds, ranks], decides


def _means(rows: Sequence[Mapping[str, float]]) -> Mapping[str, float]:
    """The mean of each value over the rows that have it."""
    if len(rows) == 1:
        return rows[0]
    known: dict[str, list[float]] = {}
    for row in rows:
        for key, value in row.items():
            known.setdefault(key, []).append(value)
    # infinite scores have no mean, and are not asked for
    return {key: sum(values) / len(values) for key, values in known.items()}


@cache
def _ways(ranks: tuple[int, ...], shares_ties: bool) -> tuple[tuple[int, ...], ...]:
    """Ranks without ties, in as many ways as part all ties fairly.

    In turn each of the places that tie is first among them, and each two of them stand as often
    one way round as the other. Where ties are shared anyway they keep equal ranks.
    """
    groups = [
        [place for place, each in enumerate(ranks) if each == rank] for rank in sorted(set(ranks))
    ]
    if shares_ties or len(groups) == len(ranks):
        return (ranks,)
    sizes = {len(group) for group in groups}
    turns = 1 if sizes <= {1, 2} else min(math.lcm(*sizes), _MOST_TURNS)
    ways = [
        [[*group[turn % len(group) :], *group[: turn % len(group)]] for group in groups]
        for turn in range(turns)
    ]
    orders = [[place for group in way for place in group] for way in ways]
    orders += [[place for group in way for place in reversed(group)] for way in ways]
    return tuple(tuple(order.index(place) for place in range(len(ranks))) for order in orders)


def _answers_ranked(answers: Sequence[Response], ranks: Sequence[int]) -> list[Response]:
    """The answers with numbers of these ranks that keep them whatever they are divided by."""
    remaining = iter([_scored_at(rank) for rank in ranks])
    return [
        ScoredPair(first=next(remaining), second=next(remaining))
        if isinstance(answer, ScoredPair)
        else next(remaining)
        for answer in answers
    ]


@cache
def _scored_at(rank: int) -> Scored:
    return number(-(_APART**rank))


def _key(
    benchmark: AnyBenchmark,
    examples: Sequence[Example],
    requests: Asked,
    rules: Mapping[str, Null],
    *,
    draws: int,
    seed: int,
) -> str:
    """sha256 (hex) of all that the numbers follow from."""
    digest = hashlib.sha256()
    about = {
        "version": _VERSION,
        "rules": {name: [rule.version, rule.rests_on] for name, rule in rules.items()},
        "benchmark": [type(benchmark).__module__, type(benchmark).__qualname__, benchmark.version],
        "options": plugins.options_of(benchmark, transport=False),
        "draws": draws,
        "seed": seed,
    }
    digest.update(json.dumps(about, sort_keys=True).encode())
    for example, row in zip(examples, requests, strict=True):
        digest.update(f"{example!r}{row!r}".encode(errors="surrogatepass"))
    return digest.hexdigest()
