"""Any task of lm-evaluation-harness, on an edited model too, in the same process and study.

Gao et al., "The Language Model Evaluation Harness", https://github.com/EleutherAI/lm-evaluation-harness
(read against 0.4.13, which the extra `equipoise[ability]` installs). Documents, shots, prompts,
filters, scoring and aggregation are the task's own; answers come from our engine.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import harness_tasks
from equipoise.data.documents import Window, windows
from equipoise.data.harness_requests import Asking, build_generation, harness_answer
from equipoise.data.harness_tasks import (
    Answer,
    HarnessDocument,
    HarnessTask,
    LoadedTasks,
    all_texts,
)
from equipoise.errors import RecipeError
from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import (
    OPTIONS,
    Column,
    Columns,
    Continuation,
    DataUse,
    Margin,
    Metric,
    Outcome,
    Prefix,
    Scored,
)

#: (unit, lowest, highest, ideal, tolerated loss) of the harness's metrics; others have no limits.
_Scale: TypeAlias = tuple[str, float, float, float | None, Margin | None]
_SHARE: Final[_Scale] = ("share", 0.0, 1.0, 1.0, Margin(size=0.02))
_LOSS: Final = Margin(size=0.02, relative=True)
_SCALES: Final[Mapping[str, _Scale]] = {
    **dict.fromkeys(("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"), _SHARE),
    "f1": ("F1", 0.0, 1.0, 1.0, Margin(size=0.02)),
    "mcc": ("correlation", -1.0, 1.0, 1.0, Margin(size=0.02)),
    "brier_score": ("squared error", 0.0, 2.0, 0.0, None),
    "perplexity": ("per text", 1.0, math.inf, None, _LOSS),
    "word_perplexity": ("per word", 1.0, math.inf, None, _LOSS),
    "byte_perplexity": ("per byte", 1.0, math.inf, None, _LOSS),
    "bits_per_byte": ("bits", 0.0, math.inf, None, _LOSS),
}
_OTHER: Final[_Scale] = ("as the task", -math.inf, math.inf, None, None)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Harness(Benchmark[HarnessDocument, Scored | str]):
    """What the harness would say of the model, with an interval and in the same study as all else.

    An example is a document of the split that the harness evaluates (test, else validation). The
    metrics are the task's own, in its own units: a share of 0.57 is what the harness prints as
    0.57. Of a group or tag all tasks are measured, its `subject`s; the numbers are the group's own
    means, else means over the tasks, with the tasks as clusters. Needs lm-evaluation-harness:
    `pip install 'equipoise[ability]'`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Gao et al., The Language Model Evaluation Harness; the task's own paper"
    licence: ClassVar[str] = "as the task's data set"
    turn = "question"
    faults: ClassVar[tuple[str, ...]] = (
        "a text that does not fit the model's context is an error here; lm-evaluation-harness cuts "
        "its beginning off, or scores a long document window by window (option `window`)",
        "a metric made of all texts at once (bleu, chrf, ter, f1 of answers as texts) is nan: "
        "outcomes hold numbers",
        "text is written after a start token, which lm-evaluation-harness leaves out where the "
        "tokenizer adds none; stop strings are cut off afterwards",
    )

    task: str | None = None  # a task, group or tag as `lm-eval ls tasks` names it; needed
    #: a folder of the user's own task files (YAML), looked through first
    tasks_folder: str | None = None
    #: solved examples before each question; None: the task's own number
    shots: Annotated[int, Field(ge=0)] | None = None
    seed: int = 1234  # draws the shots; the harness's own default
    bos: Prefix = "own"  # prefix policy; "own": as the harness
    #: bytes of a long document seen at once, in steps of half of it; None: all at once
    window: Annotated[int, Field(ge=16)] | None = None

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The task's own metrics, or a group's means of them. Raises as `examples` does."""
        return _metrics_of(self._load())

    @property
    def cluster(self) -> str | None:
        """The task, of a group: its documents stand and fall together."""
        return "subject" if self._is_group() else None

    @property
    def by(self) -> tuple[str, ...]:
        """The task, of a group."""
        return ("subject",) if self._is_group() else ()

    @property
    def slices(self) -> tuple[str, ...]:
        """The task, of a group."""
        return self.by

    def examples(self, split: str) -> Sequence[HarnessDocument]:
        """The documents that the harness evaluates, in its order, of a group task by task.

        Raises `RecipeError` without lm-evaluation-harness, without a task, or for a task that
        cannot be run here; `DataError` when its documents cannot be had.
        """
        return [document for task in self._load().members for document in task.documents()]

    def requests(self, example: HarnessDocument) -> Sequence[Asking]:
        """The task's own, in its order; a long document is a request per window."""
        return [request for _, requests in self._questions(example) for request in requests]

    def outcome(self, example: HarnessDocument, responses: Sequence[Scored | str]) -> Outcome:
        """What the task makes of the answers; a result of several numbers is a value per number.

        The parts of `f1` are `f1.0`, `f1.1`. What is no number, and no short list of them, is nan.
        """
        left = iter(responses)
        answers: list[list[Answer]] = []
        for question, requests in self._questions(example):
            answer = harness_answer(question, requests, [next(left) for _ in requests])
            # Asked once for all repeats: those of sampled text are refused, and others are alike.
            answers.append([answer] * (question.repeats or 1))
        values: dict[str, float] = {}
        for name, value in example.results(answers).items():
            values |= _result_values(name, value)
        written = [text for text in responses if isinstance(text, str)]
        text = "\n".join(written) if written else None
        return Outcome(example=example.id, values=values, groups=example.groups, text=text)

    def texts(self, example: HarnessDocument) -> Sequence[str]:
        """Every text of the document."""
        return tuple(all_texts(example.content))

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The task's file or the whole folder of the user's own, and local data files."""
        return harness_tasks.files(self._task_name(), folder=self.tasks_folder)

    def remarks(self, split: str) -> tuple[str, ...]:
        """Which tasks it was, with how many shots, by which version of the harness."""
        loaded = self._load()
        inner = [task.inner for task in loaded.members]
        shots = " or ".join(map(str, sorted({task.get_config("num_fewshot") for task in inner})))
        versions = " or ".join(sorted({str(task.VERSION) for task in inner}))
        with_what = (
            f"in version {versions}, {shots} shots, lm_eval {version('lm_eval')}, datasets "
            f"{version('datasets')}"
        )
        if not loaded.is_group:
            return (f"task '{self.task}' {with_what}",)
        if len(inner) == 1:
            only = loaded.members[0].name
            return (
                f"group '{self.task}' of task '{only}' alone {with_what}: intervals hold the "
                "scatter of documents",
            )
        by_size = any(by_size for _, by_size in loaded.means.values())
        how = "as the group's own" if loaded.means else "since the group has no mean of its own"
        return (
            f"group '{self.task}' of {len(inner)} tasks {with_what}",
            f"means count {'documents' if by_size else 'tasks'} alike, {how}; intervals hold the "
            "scatter of tasks, so that a task alone has none",
        )

    def _is_group(self) -> bool:
        """Whether there are several tasks: a single one's documents are the sample."""
        return self.task is not None and len(self._load().members) > 1

    def _load(self) -> LoadedTasks:
        return harness_tasks.load(
            self._task_name(), folder=self.tasks_folder, shots=self.shots, seed=self.seed
        )

    def _task_name(self) -> str:
        if self.task is None:
            raise RecipeError(
                f"harness.task must name a task of lm-evaluation-harness, got {self.task}; "
                "name a task, e.g. lambada_openai"
            )
        return self.task

    def _questions(self, example: HarnessDocument) -> Iterator[tuple[Any, list[Asking]]]:
        """Each question of a document, the harness's `Instance`, with what it asks of a model."""
        greedy = example.task.needs_greedy()
        for question in example.questions:
            text, *rest = question.args
            if question.request_type == "generate_until":
                yield question, [build_generation(text, rest[0], repeats=question.repeats or 1)]
            elif question.request_type == "loglikelihood":
                # White space at a context's end belongs to what follows, as in the harness.
                bare = text.rstrip()
                request = Continuation(
                    context=bare,
                    continuation=text[len(bare) :] + rest[0],
                    prefix=self.bos,
                    greedy=greedy,
                )
                yield question, [request]
            else:
                parts = [Window(context="", text=text)]
                if self.window is not None:
                    parts = windows(text, window=self.window, stride=self.window // 2)
                requests: list[Asking] = [
                    Continuation(context=part.context, continuation=part.text, prefix=self.bos)
                    for part in parts
                ]
                yield question, requests


# --- values and metrics -----------------------------------------------------------------------


def _result_values(name: str, value: object) -> dict[str, float]:
    """A task's result as values: a number, or the numbers of a list, lists inside it too."""
    if isinstance(value, list | tuple | np.ndarray) and len(value):
        numbers: dict[str, float] = {}
        for index, part in enumerate(value):
            numbers |= _result_values(f"{name}.{index}", part)
        return numbers if all(map(math.isfinite, numbers.values())) else {name: math.nan}
    if isinstance(value, bool | int | float | np.number | np.bool_):
        return {name: float(value)}
    return {name: math.nan}


@lru_cache(maxsize=8)
def _metrics_of(loaded: LoadedTasks) -> tuple[Metric, ...]:
    """The metrics of a task; of a group those that it has a mean of, each by its first task's."""
    metrics: dict[str, Metric] = {}
    for task in loaded.members:
        for through in task.filters:
            for metric in task.metrics():
                name = task.named(metric, through.name)
                by_size = loaded.counts_documents(metric, through.name)
                if name not in metrics and by_size is not None:
                    group = loaded if len(loaded.members) > 1 else None
                    metrics[name] = _build_metric(
                        task, metric, name=name, group=group, by_size=by_size
                    )
    if not metrics:
        raise RecipeError(
            f"harness: group '{loaded.name}' must take means of metrics that its tasks have, got "
            f"{sorted(loaded.means)}; name its tasks one by one"
        )
    return tuple(metrics.values())


def _build_metric(
    task: HarnessTask, metric: str, *, name: str, group: LoadedTasks | None, by_size: bool
) -> Metric:
    """A metric of a task, or the mean that a group takes of it.

    A task's aggregation is over the documents that have the value. `by_size`: whether the mean
    counts documents alike; else tasks.
    """
    aggregate, aggregation = task.aggregation(metric)
    higher_is_better = task.inner.higher_is_better().get(metric)
    unit, low, high, ideal, margin = _SCALES.get(metric, _OTHER)

    def mean(columns: Columns, weights: Weights) -> Column:
        column = columns.get(name, np.full(len(columns["@cluster"]), math.nan))
        finite = np.where(np.isfinite(column), column, math.nan)
        return weights.macro(finite) if group is not None and not by_size else weights.mean(finite)

    def joined(columns: Columns) -> float:
        """Nan where the aggregation has no result."""
        items = list(_document_results(columns, name))
        if not items:
            return math.nan
        with warnings.catch_warnings():  # scores of a draw with a single class, and the like
            warnings.simplefilter("ignore")
            try:
                return float(aggregate(items))
            except (ArithmeticError, LookupError, TypeError, ValueError):
                return math.nan

    def joined_by_task(columns: Columns) -> float:
        """The mean over tasks; one that was drawn twice counts twice, as two clusters."""
        clusters = columns["@cluster"]
        rows = [clusters == code for code in np.unique(clusters)]
        values = [joined({key: column[row] for key, column in columns.items()}) for row in rows]
        sizes = [int(row.sum()) if by_size else 1 for row in rows]
        return float(np.average(values, weights=sizes)) if rows else math.nan

    of = f"task '{task.name}'"
    if group is not None:
        of = f"the tasks of '{group.name}', {'documents' if by_size else 'tasks'} counted alike"
    plain = joined if group is None else joined_by_task
    return Metric(
        name=name,
        # A mean is taken of all draws at once; other functions are the harness's, called for each.
        of=Weighted(mean) if aggregation == "mean" else plain,
        unit=unit,
        source=f"lm-evaluation-harness: {aggregation} of {metric} of {of}",
        ideal=ideal if higher_is_better is not None else None,
        higher_is_better=higher_is_better,
        low=low,
        high=high,
        margin=margin if higher_is_better is not None else None,
        needs="numbers for single documents: a value made of all texts at once is not kept",
    )


def _document_results(columns: Columns, name: str) -> Iterator[Any]:
    """What the task made of each document, put together again from its values."""
    parts = [column for column in columns if re.fullmatch(rf"{re.escape(name)}(\.\d+)+", column)]
    if not parts:
        column = columns[name] if name in columns else np.empty(0)
        yield from column[np.isfinite(column)].tolist()
        return
    tops: dict[int, dict[int, Column]] = {}
    for part in parts:
        top, _, inner = part[len(name) + 1 :].partition(".")
        tops.setdefault(int(top), {})[int(inner or -1)] = columns[part]
    members = [_result_column(tops[top]) for top in sorted(tops)]
    yield from (
        row for row in zip(*members, strict=True) if all(member is not None for member in row)
    )


def _result_column(parts: Mapping[int, Column]) -> list[Any]:
    """A member of a result over all documents: a number, or an array of them; None: it has none.

    Columns of whole numbers are counts or labels, and the harness indexes by them.
    """
    if -1 in parts:
        column = parts[-1]
        finite = np.isfinite(column)
        whole = bool((column[finite] % 1 == 0).all())
        return [
            None if not is_finite else int(value) if whole else float(value)
            for value, is_finite in zip(column, finite, strict=True)
        ]
    table = np.stack([parts[place] for place in sorted(parts)], axis=1)  # [document, place]
    rows = (row[np.isfinite(row)] for row in table)
    return [row if row.size else None for row in rows]
