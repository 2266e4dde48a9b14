"""Results of ratings as text for a reader, and as a JSON document."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from equipoise.number_text import interval, numbers, probability
from equipoise.rating.results import QuestionResult, RatingResults
from equipoise.report.formatting import visible
from equipoise.report.tables import Table, plain
from equipoise.stats.resample import Interval
from equipoise.stats.sign_test import SignTest


def results_document(results: RatingResults) -> dict[str, Any]:
    """Everything, with nan as it is; for `study.results.to_json`."""
    return asdict(results)


def results_text(results: RatingResults, *, groups: bool = False) -> str:
    """Counts and numbers of every question; with `groups` the sign tests of groups, too."""
    one, other = results.head.variants
    lines = [f"{results.pairs} pairs of {one} (first) and {other} (second)"]
    lines += [
        f"{rater}: {count} of {asked} answers" for rater, (count, asked) in results.progress.items()
    ]
    for result in results.questions:
        lines += ["", result.question, _counts_table(result), "", _numbers_table(result, other)]
        if groups and result.groups:
            rows = tuple(
                (name, *_sign_cells(test, f"prefers {other}"))
                for name, test in result.groups.items()
            )
            header = ("group", "number", "value [95 % interval]", "n", "by chance", "note")
            lines += ["", plain(Table(header=header, rows=rows))]
    lines += [f"note: {note}" for note in results.head.notes]
    return visible("\n".join(lines)) + "\n"


def _counts_table(result: QuestionResult) -> str:
    answers = [*next(iter(result.counts.values()))]
    rows = tuple(
        (of, *(str(count) for count in counts.values())) for of, counts in result.counts.items()
    )
    return plain(Table(header=("ratings", *answers), rows=rows))


def _numbers_table(result: QuestionResult, other: str) -> str:
    header = ("number", "value [95 % interval]", "n", "by chance", "note")
    return plain(Table(header=header, rows=tuple(_number_rows(result, other))))


def _number_rows(result: QuestionResult, other: str) -> Iterator[tuple[str, ...]]:
    if result.preferred is not None:
        yield _sign_cells(result.preferred, f"untied prompts that prefer {other}")
    yield _cells(f"raters agree ({result.coefficient})", result.kappa, "0")
    (chance,) = numbers(result.repeated_by_chance)
    yield _cells("repeated showings answered alike", result.repeated, chance)
    if result.side is not None:
        yield _cells("text A preferred, of A and B", result.side, "0.5")
    for name, share in result.automatic.items():
        yield _cells(f"preferred text has the lower {name}", share, "0.5")


def _sign_cells(test: SignTest, what: str) -> tuple[str, ...]:
    # a reason says of the ties, too
    note = test.share.reason or f"{test.ties} ties, sign test p {probability(test.p)}"
    return (*_cells(what, test.share, "0.5")[:-1], note)


def _cells(what: str, value: Interval, chance: str) -> tuple[str, ...]:
    text = interval(value.value, value.low, value.high)
    return (what, text, str(value.n), chance, value.reason or "")
