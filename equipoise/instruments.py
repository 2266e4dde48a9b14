"""What a benchmark's judge and scorers say of the texts that a model wrote, and who they are."""

from collections.abc import Sequence
from typing import Any

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, JudgesTexts, ScoresTexts
from equipoise.errors import ModelError
from equipoise.metrics.written import HUMAN
from equipoise.records import JSON, Example, Outcome
from equipoise.stats.settings import JUDGE, SCORERS
from equipoise.text_scorers.base import WrittenText


def grade(
    benchmark: AnyBenchmark, examples: Sequence[Example], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """The outcomes with what the benchmark's judge and scorers say of their texts.

    Each is given all texts at once. As they are for a benchmark without either. Raises `ModelError`
    when a judge or a scorer gives another number of answers than it has texts.
    """
    if isinstance(benchmark, JudgesTexts):
        outcomes = _judge(benchmark, examples, outcomes)
    if isinstance(benchmark, ScoresTexts):
        outcomes = _score(benchmark, examples, outcomes)
    return [*outcomes]


def _judge(
    benchmark: JudgesTexts[Any], examples: Sequence[Example], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    rows = [*zip(examples, outcomes, strict=True)]
    asked = [[*benchmark.judged(example, outcome)] for example, outcome in rows]
    texts = [text for of_outcome in asked for text in of_outcome]
    judgements = benchmark.judge.judge(texts) if texts else []
    if len(judgements) != len(texts):
        raise ModelError(
            f"{type(benchmark.judge).__name__} must judge {len(texts)} texts, got "
            f"{len(judgements)} judgements; fix the judge"
        )
    remaining = iter(judgements)
    return [
        benchmark.graded(example, outcome, [next(remaining) for _ in of_outcome])
        for (example, outcome), of_outcome in zip(rows, asked, strict=True)
    ]


def _score(
    benchmark: ScoresTexts[Any], examples: Sequence[Example], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    rows = [*zip(examples, outcomes, strict=True)]
    written = [benchmark.written(example, outcome) for example, outcome in rows]
    references = [
        None if text is None else benchmark.reference(example)
        for (example, _), text in zip(rows, written, strict=True)
    ]
    # each once: several samples have the same reference
    texts = [*dict.fromkeys(text for text in (*written, *references) if text is not None)]
    scores: dict[WrittenText | None, dict[str, float]] = {None: {}} | {text: {} for text in texts}
    for scorer in benchmark.scorers if texts else ():
        numbers = scorer.score(texts)
        if len(numbers) != len(texts):
            raise ModelError(
                f"{type(scorer).__name__} must score {len(texts)} texts, got {len(numbers)} "
                "answers; fix the scorer"
            )
        for text, new in zip(texts, numbers, strict=True):
            scores[text] |= new
    return [
        outcome
        if text is None
        else benchmark.scored(
            example,
            outcome,
            scores[text] | {f"{name}_{HUMAN}": value for name, value in scores[person].items()},
        )
        for (example, outcome), text, person in zip(rows, written, references, strict=True)
    ]


def describe_instruments(benchmark: AnyBenchmark) -> dict[str, JSON]:
    """Who graded what was written, and what scored it: what is said of texts follows from this."""
    info: dict[str, JSON] = {}
    if isinstance(benchmark, JudgesTexts):
        info[JUDGE] = plugins.describe_instrument(benchmark.judge)
    if isinstance(benchmark, ScoresTexts):
        info[SCORERS] = [*map(plugins.describe_instrument, benchmark.scorers)]
    return info
