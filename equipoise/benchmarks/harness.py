"""Any task of lm-evaluation-harness, on an edited model too, in the same process and study.

Gao et al., "The Language Model Evaluation Harness", https://github.com/EleutherAI/lm-evaluation-harness
(read against 0.4.13, which the extra `equipoise[ability]` installs). Documents, shots, prompts,
filters, scoring and aggregation are the task's own; answers come from our engine.
"""

import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any, ClassVar, Final, TypeAlias

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.data import harness_tasks
from equipoise.data.documents import Window, windows
from equipoise.data.harness_tasks import Answer, HarnessDocument, HarnessTask, all_texts
from equipoise.errors import ModelError, RecipeError
from equipoise.metrics.weighted import Weighted, Weights
from equipoise.records import (
    OPTIONS,
    Column,
    Columns,
    Continuation,
    DataUse,
    Generation,
    Margin,
    Metric,
    Outcome,
    Prefix,
    Scored,
)

Asking: TypeAlias = Continuation | Generation

_TOKENS: Final = 256  # written where a task does not say how many, as in the harness
_LENGTHS: Final = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
#: Settings of generation that mean nothing here, or nothing where the likeliest token is taken.
_IDLE: Final = {"use_cache": True, "num_beams": 1, "repetition_penalty": 1.0}
_SAMPLING: Final = ("top_k", "top_p", "min_p", "typical_p")

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
    0.57. Needs lm-evaluation-harness: `pip install 'equipoise[ability]'`.
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

    task: str | None = None  # a task as `lm-eval ls tasks` names it; needed
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
        """The task's own metrics. Raises as `examples` does."""
        task = self._task()
        metrics = task.metrics()
        return tuple(
            _build_metric(task, metric, name=task.named(metric, through.name))
            for through in task.filters
            for metric in metrics
        )

    def examples(self, split: str) -> Sequence[HarnessDocument]:
        """The documents that the harness evaluates, in its order.

        Raises `RecipeError` without lm-evaluation-harness, without a task, or for a task that
        cannot be run here; `DataError` when its documents cannot be had.
        """
        return self._task().documents()

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
            answer = _harness_answer(question, requests, [next(left) for _ in requests])
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
        """Which task it was, with how many shots, by which version of the harness."""
        task = self._task().inner
        shots = task.get_config("num_fewshot")
        return (
            f"task '{self.task}' in version {task.VERSION}, {shots} shots, "
            f"lm_eval {version('lm_eval')}, datasets {version('datasets')}",
        )

    def _task(self) -> HarnessTask:
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
                yield question, [_build_generation(text, rest[0], repeats=question.repeats or 1)]
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


# --- requests and answers ---------------------------------------------------------------------


def _build_generation(context: str, given: Mapping[str, Any], *, repeats: int) -> Generation:
    """The task's settings as a request; stop strings are cut off when the answer is there.

    Raises `RecipeError` for a setting that we have not.
    """
    settings = {key: value for key, value in given.items() if key != "until"}
    lengths = [settings.pop(key, None) for key in _LENGTHS]
    length = next((length for length in lengths if length is not None), _TOKENS)
    wanted = settings.pop("do_sample", None)
    temperature = float(settings.pop("temperature", 1.0 if wanted else 0.0))
    sampled = temperature > 0 and wanted is not False
    top_p = float(settings.pop("top_p", 1.0)) if sampled else 1.0
    ignored = () if sampled else _SAMPLING
    foreign = {
        key: value
        for key, value in settings.items()
        if key not in ignored and _IDLE.get(key) != value
    }
    if sampled and repeats > 1:
        foreign["repeats"] = repeats
    if foreign:
        raise RecipeError(
            f"harness: the task's settings of generation must be ours as well, got {foreign}; "
            "run it with lm-eval itself, or take them out of the task"
        )
    return Generation(
        context=context,
        max_tokens=int(length),
        temperature=temperature if sampled else 0.0,
        top_p=top_p,
    )


def _harness_answer(
    question: Any, requests: Sequence[Asking], responses: Sequence[Scored | str]
) -> Answer:
    """The responses to a question's requests, as the harness hands them to the task."""
    if question.request_type == "generate_until":
        return _cut_at_stops(str(responses[0]), question.args[1].get("until"))
    scored = [response for response in responses if isinstance(response, Scored)]
    if question.request_type == "loglikelihood_rolling":
        # A lone first token is not scored where there is no start token: its log p is nan.
        return math.fsum(response.logprob for response in scored if response.tokens)
    (request,), (response,) = requests, scored
    if isinstance(request, Continuation) and request.greedy and response.greedy is None:
        raise ModelError(
            f"a scorer must say whether a text is the greedy text where it is asked, got "
            f"{response.greedy}; mend the scorer"
        )
    return response.logprob, bool(response.greedy)


def _cut_at_stops(text: str, until: str | Sequence[str] | None) -> str:
    """The text before the first of any stop string."""
    for stop in [until] if isinstance(until, str) else until or ():
        if stop:
            text = text.split(stop)[0]
    return text


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


def _build_metric(task: HarnessTask, metric: str, *, name: str) -> Metric:
    """A metric of a task. Its aggregation is over the documents that have the value."""
    aggregate, aggregation = task.aggregation(metric)
    higher_is_better = task.inner.higher_is_better().get(metric)
    unit, low, high, ideal, margin = _SCALES.get(metric, _OTHER)

    def mean(columns: Columns, weights: Weights) -> Column:
        column = columns.get(name, np.full(len(columns["@cluster"]), math.nan))
        return weights.mean(np.where(np.isfinite(column), column, math.nan))

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

    return Metric(
        name=name,
        # A mean is taken of all draws at once; other functions are the harness's, called for each.
        of=Weighted(mean) if aggregation == "mean" else joined,
        unit=unit,
        source=f"lm-evaluation-harness: {aggregation} of {metric} of task '{task.name}'",
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
