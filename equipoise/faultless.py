"""Known faults of the data beside a measurement: examples left out, and what leaving them out does.

`data.known_faults` has the lists, `stats.without` the arithmetic.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

import numpy as np

from equipoise.benchmarks.base import AnyBenchmark, KnowsFaults
from equipoise.data.known_faults import (
    ALL,
    FaultKind,
    applying,
    audit_used,
    audited_kinds,
    fault_list,
    faulty_ids,
)
from equipoise.errors import DataError
from equipoise.records import DataUse, Estimate, Example, Metric, Outcome, Reference
from equipoise.stats.pairing import ITEM
from equipoise.stats.resample import Interval, columns_of
from equipoise.stats.without import CHANGE, without_rows


def leave_out(
    benchmark: AnyBenchmark, name: str, examples: Sequence[Example], *, split: str
) -> list[Example]:
    """The examples without those that the option `without_faults` leaves out.

    Raises `DataError` as `known_faults.faulty_ids`, and where none is left.
    """
    if not (isinstance(benchmark, KnowsFaults) and benchmark.without_faults):
        return [*examples]
    faulty = faulty_ids(name, benchmark.without_faults, benchmark.files(split))
    kept = [example for example in examples if example.id not in faulty]
    if examples and not kept:
        raise DataError(
            f"{name}: split '{split}' must have examples without {_listed(benchmark)}, all "
            f"{len(examples)} have one of these faults; leave fewer out"
        )
    return kept


def lists_used(benchmark: AnyBenchmark, name: str) -> tuple[DataUse, ...]:
    """The user's own list of faults, where it settles which examples are measured."""
    if not (isinstance(benchmark, KnowsFaults) and benchmark.without_faults):
        return ()
    return audit_used(name, benchmark.without_faults)


def note_left_out(benchmark: AnyBenchmark, name: str, *, split: str) -> Iterator[str]:
    """A sentence on what `leave_out` leaves out; none where nothing was asked for."""
    if isinstance(benchmark, KnowsFaults) and benchmark.without_faults:
        examples = list(benchmark.examples(split))
        lost = len(examples) - len(leave_out(benchmark, name, examples, split=split))
        yield (
            f"without faults: {lost} of {len(examples)} examples are left out, for "
            f"{_listed(benchmark)}; numbers of the whole do not compare"
        )


def _listed(benchmark: KnowsFaults) -> str:
    return ", ".join(benchmark.without_faults)


def without_references(
    benchmark: AnyBenchmark,
    name: str,
    outcomes: Sequence[Outcome],
    *,
    data: Sequence[DataUse],
    cluster: str | None,
    draws: int,
    seed: int,
) -> tuple[Reference, ...]:
    """The first metrics without the examples of each kind of fault that was measured, and of all.

    Of each metric that the list names: its value, and as NAME_change how it differs from that of
    all, with `n` the examples left out. None without a list, or where it is of other files.
    """
    known = fault_list(name)
    if known is None or not isinstance(benchmark, KnowsFaults):
        return ()
    ids = [outcome.groups.get(ITEM, outcome.example) for outcome in outcomes]
    measured = set(ids)
    kinds = [
        kind
        for kind in (*applying(known, data), *audited_kinds(name))
        if not kind.ids.isdisjoint(measured)
    ]
    if len(kinds) > 1:
        every = frozenset[str]().union(*(kind.ids for kind in kinds))
        kinds.append(FaultKind(name=ALL, says="it has any of these faults", ids=every))
    metrics = [metric for metric in benchmark.metrics if metric.name in known.metrics]
    rows = [np.array([id in kind.ids for id in ids]) for kind in kinds]
    results = without_rows(
        metrics, columns_of(outcomes, cluster=cluster), rows, draws=draws, seed=seed
    )
    return tuple(
        Reference(
            kind="without",
            name=kind.name,
            says=kind.says,
            items=len(kind.ids & measured),
            estimates=tuple(_estimates(metrics, intervals)),
        )
        for kind, intervals in zip(kinds, results, strict=True)
    )


def _estimates(
    metrics: Sequence[Metric], intervals: Sequence[tuple[Interval, Interval]]
) -> Iterator[Estimate]:
    for metric, (without, change) in zip(metrics, intervals, strict=True):
        yield Estimate(
            metric=metric.name,
            unit=metric.unit,
            ideal=metric.ideal,
            higher_is_better=metric.higher_is_better,
            **asdict(without),
        )
        yield Estimate(metric=f"{metric.name}{CHANGE}", unit=metric.unit, **asdict(change))
