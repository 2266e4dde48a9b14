"""Tasks of lm-evaluation-harness, loaded as the harness loads them; the only file that needs it.

Gao et al., "The Language Model Evaluation Harness", https://github.com/EleutherAI/lm-evaluation-harness
(read against 0.4.13). The package is imported when a task is loaded, not with this module: it takes
seconds. Whether anything may be downloaded is settled by HF_HUB_OFFLINE and HF_DATASETS_OFFLINE;
code that comes with a data set is never run.
"""

import importlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from equipoise.data.sources import OWN_LICENCE
from equipoise.errors import DataError, EquipoiseError, PackageError, RecipeError, nearest
from equipoise.files.atomic import folder_sha256, sha256
from equipoise.records import DataUse

#: Of a likelihood: nats, and whether greedy decoding says the text; of a rolling likelihood: nats.
Answer: TypeAlias = tuple[float, bool] | float | str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HarnessDocument:
    """A document of a task, with the questions about it (shots included)."""

    id: str  # its place in the split, from 0
    content: Any  # usually a mapping of fields
    questions: tuple[Any, ...]  # lm_eval.api.instance.Instance
    task: "HarnessTask"
    groups: Mapping[str, str] = field(default_factory=dict)

    def results(self, answers: Sequence[Sequence[Answer]]) -> dict[str, Any]:
        """What the task's filters and `process_results` make of the answers, by name.

        `answers`: of each question as many as it has repeats. Filters see this document alone.
        """
        instances = [
            # Copies, for filters write into what they get, and the task is kept for the next model.
            replace(question, resps=list(given), filtered_resps={})
            for question, given in zip(self.questions, answers, strict=True)
        ]
        values_by_name: dict[str, Any] = {}
        for task_filter in self.task.filters:
            task_filter.apply(instances)
            filtered = [instance.filtered_resps[task_filter.name] for instance in instances]
            for key, value in self.task.inner.process_results(self.content, filtered).items():
                values_by_name[self.task.named(key, task_filter.name)] = value
        return values_by_name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HarnessTask:
    """A task with its documents, read and built once."""

    name: str
    inner: Any  # lm_eval.api.task.Task
    in_group: bool = False  # whether it was asked for by the name of a group or tag

    @property
    def filters(self) -> list[Any]:
        """What answers go through, each with a name."""
        return list(self.inner._filters)

    def named(self, metric: str, through: str) -> str:
        """The name of a metric after a filter; the plain name where there is a single filter."""
        return metric if len(self.filters) == 1 else f"{metric}_{through.replace('-', '_')}"

    def needs_greedy(self) -> bool:
        """Whether some result may depend on what greedy decoding says."""
        config = self.inner.config
        plain = config.output_type == "multiple_choice" and config.process_results is None
        return not plain or "exact_match" in self.inner.aggregation()

    def documents(self) -> tuple[HarnessDocument, ...]:
        """All documents of the split that the harness evaluates, in its order."""
        by_id: dict[int, list[Any]] = {}
        for instance in self.inner.instances:
            by_id.setdefault(instance.doc_id, []).append(instance)
        return tuple(
            HarnessDocument(
                id=f"{self.name}/{id}" if self.in_group else str(id),
                content=questions[0].doc,
                questions=tuple(questions),
                task=self,
                groups={"subject": self.name} if self.in_group else {},
            )
            for id, questions in by_id.items()
        )

    def metrics(self) -> list[str]:
        """The harness's names of the task's metrics, and of what else it makes of a document.

        Raises `RecipeError` for a task without a metric of its own.
        """
        aggregations = self.inner.aggregation()
        first = self.documents()[0]
        blank: Mapping[str, Answer] = {"loglikelihood_rolling": -1.0, "generate_until": ""}
        answers = [
            blank.get(question.request_type, (-1.0 - index, False))
            for index, question in enumerate(first.questions)
        ]
        try:
            # What a task makes beside the metrics it lists is known only from its results.
            results = self.inner.process_results(first.content, answers)
        except Exception:  # a task's own code may refuse such answers; its metrics are known
            results = {}
        # "bypass" is the harness's name for a metric that measures nothing.
        metrics = [metric for metric in {**aggregations, **results} if metric != "bypass"]
        if not metrics:
            raise RecipeError(
                f"harness: task '{self.name}' must have a metric of its own, got "
                f"{sorted(aggregations)}; take a task that measures something"
            )
        return metrics

    def aggregation(self, metric: str) -> tuple[Callable[[Sequence[Any]], Any], str]:
        """How the harness joins a metric's values of all documents, and its name for that."""
        registry = _import("lm_eval.api.registry")
        aggregate = self.inner.aggregation().get(metric, registry.get_aggregation("mean"))
        names = {function: name for name, function in registry.AGGREGATION_REGISTRY.items()}
        return aggregate, names.get(aggregate, "its own aggregation")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTasks:
    """A task, or the tasks of a group or tag, with the means that a group takes over them."""

    name: str
    members: tuple[HarnessTask, ...]
    is_group: bool
    #: Of a group by metric: the filters (None: all), and whether documents count alike, not tasks.
    means: Mapping[str, tuple[tuple[str, ...] | None, bool]] = field(default_factory=dict)

    def counts_documents(self, metric: str, filter_name: str) -> bool | None:
        """Whether the group's mean of a metric counts documents alike; None: it has no such mean.

        Without any means of its own (a tag, or a plain list), tasks count alike.
        """
        if not self.means:
            return False
        filters, by_size = self.means.get(metric, ((), False))
        return by_size if filters is None or filter_name in filters else None


def load(name: str, *, folder: str | None, shots: int | None, seed: int) -> LoadedTasks:
    """The task of that name, or the tasks of that group or tag, with all their requests built.

    `folder`: the user's own task files, looked through first. `shots`: None for each task's own
    number; `seed` draws them. Loaded once a process, and again when its files change.
    Raises `RecipeError` without lm-evaluation-harness, for a name that is unknown, and for a task
    that needs pictures, sound or the running of code; `DataError` when its documents cannot be had.
    """
    hashes = tuple(file.sha256 for file in files(name, folder=folder))
    return _load_tasks(name, folder, shots, seed, hashes)


def files(name: str, *, folder: str | None) -> tuple[DataUse, ...]:
    """The tasks' own files, or the user's whole folder of task files; and their local data files.

    What a task of the package includes is settled by the package's version, which is recorded.
    Same errors as `load`, and `DataError` for a file that cannot be read.
    """
    _, entries = _find_tasks(name, folder)
    uses = [use for entry in entries for use in _files_of(entry, name, folder)]
    return tuple(dict.fromkeys(uses))


def _files_of(entry: Any, name: str, folder: str | None) -> tuple[DataUse, ...]:
    file = Path(entry.yaml_path).resolve()
    home = None if folder is None else Path(folder).expanduser().resolve()
    try:
        if home is not None and file.is_relative_to(home):
            digest = folder_sha256(home, suffixes=(".yaml", ".yml", ".py"))
            task = DataUse(name=home.name, sha256=digest, licence=OWN_LICENCE, verified=None)
        else:
            task = DataUse(
                name=file.name,
                sha256=sha256(file),
                licence="MIT (lm-evaluation-harness)",
                verified=False,
                revision=f"lm_eval {version('lm_eval')}",
            )
        data_files = ((entry.cfg or {}).get("dataset_kwargs") or {}).get("data_files")
        licence = "as the task's data set"
        data = [
            DataUse(name=path.as_posix(), sha256=sha256(path), licence=licence, verified=False)
            for path in map(Path, all_texts(data_files))
            if path.is_file()
        ]
    except OSError as error:
        raise DataError(
            f"harness: the files of task '{name}' must be readable, got: {error}; fix them"
        ) from None
    return (task, *data)


def all_texts(content: Any) -> Iterator[str]:
    """Every text in nested mappings and lists."""
    if isinstance(content, str):
        yield content
    elif isinstance(content, Mapping | list | tuple):
        for part in content.values() if isinstance(content, Mapping) else content:
            yield from all_texts(part)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise PackageError(
            f"harness needs lm-evaluation-harness, got no module '{error.name}'; "
            "run pip install 'equipoise[ability]'"
        ) from None


@lru_cache(maxsize=1)
def _shipped_tasks() -> Any:
    """The manager of the tasks that come with the harness: seconds."""
    return _import("lm_eval.tasks").TaskManager()


def _local_tasks(folder: str) -> Any:
    """The manager of the user's own tasks."""
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise RecipeError(
            f"harness.tasks_folder must be a folder of task files, got '{folder}'; check the path"
        )
    tasks = _import("lm_eval.tasks")
    # Without the shipped tasks, which take seconds to index and are looked through only if need be.
    return tasks.TaskManager(include_path=str(path), include_defaults=False)


def _find_tasks(name: str, folder: str | None) -> tuple[Any, list[Any]]:
    """The manager that knows a task or group, and the entries there: the group's, then its tasks'.

    Each task must be one that runs here.
    """
    manager = _shipped_tasks() if folder is None else _local_tasks(folder)
    known = set(manager.task_index)
    if folder is not None and name not in known:
        manager = _shipped_tasks()
        known |= set(manager.task_index)
    entry = manager.task_index.get(name)
    if entry is None:
        close = get_close_matches(name, sorted(known), n=3, cutoff=0.6)
        rest = nearest(name, close) if close else "see `lm-eval ls tasks`"
        raise RecipeError(f"harness: there is no task '{name}'; {rest}")
    entries = list(_expand(entry, manager.task_index))
    for each in entries:
        _refuse_unfit(each)
    return manager, [each for each in entries if each.yaml_path is not None]


def _expand(entry: Any, index: Mapping[str, Any]) -> Iterator[Any]:
    """An entry, and the tasks that it stands for, also by way of other groups and tags."""
    yield entry
    if entry.kind.name == "TAG":
        members: Sequence[Any] = sorted(entry.tags)
    else:
        listed = (entry.cfg or {}).get("task", ())
        members = listed if isinstance(listed, list) else ()
    for member in members:
        name = member if isinstance(member, str) else member.get("task", member.get("group"))
        if isinstance(name, str) and name in index:
            yield from _expand(index[name], index)
        elif isinstance(member, Mapping):  # a task or group that is written where it is listed
            yield from _expand(replace(entry, name=str(name), cfg=dict(member), tags=set()), index)


def _refuse_unfit(entry: Any) -> None:
    """Raise `RecipeError` for a task that needs more than text, or runs code."""
    config: Mapping[str, Any] = entry.cfg or {}
    refused = [key for key in ("unsafe_code", "doc_to_image", "doc_to_audio") if config.get(key)]
    remote = (config.get("dataset_kwargs") or {}).get("trust_remote_code")
    if remote and int(version("datasets").split(".")[0]) < 4:  # later versions run no such code
        refused.append("trust_remote_code")
    if refused:
        raise RecipeError(
            f"harness: task '{entry.name}' must ask for text alone and run no code, got "
            f"{', '.join(refused)}; run it with lm-eval itself, or take the benchmarks humaneval "
            "and mbpp, which run code with limits"
        )


@lru_cache(maxsize=8)
def _load_tasks(
    name: str, folder: str | None, shots: int | None, seed: int, _hashes: tuple[str, ...]
) -> LoadedTasks:
    # `_hashes` is unused but in the key of the cache: a task whose files changed is loaded again.
    manager, _ = _find_tasks(name, folder)
    is_group = manager.task_index[name].kind.name not in ("TASK", "PY_TASK")
    member = name
    try:
        with _harness_seeds():
            loaded = manager.load(name)
            for member, task in loaded["tasks"].items():
                _build_requests(task, member, shots=shots, seed=seed)
    except EquipoiseError:
        raise
    except Exception as error:  # the harness, datasets and a task's own code fail in any way
        said = " ".join(str(error).split())[:300]
        raise DataError(
            f"harness: the documents of task '{member}' must be readable, got "
            f"{type(error).__name__}: {said}; put its data set into the cache of Hugging Face "
            "datasets, allow the download, or mend its file"
        ) from error
    members = tuple(
        HarnessTask(name=member, inner=task, in_group=is_group)
        for member, task in loaded["tasks"].items()
    )
    if not members:
        raise RecipeError(
            f"harness: group '{name}' must have tasks, got {len(members)}; name another"
        )
    group = loaded.get("groups", {}).get(name)
    means = {
        mean.metric: (
            None if mean.filter_list is None else tuple(mean.filter_list), mean.weight_by_size,
        )
        for mean in (group.aggregate_metric_list or () if group else ())
    }  # fmt: skip
    return LoadedTasks(name=name, members=members, is_group=is_group, means=means)


def _build_requests(task: Any, name: str, *, shots: int | None, seed: int) -> None:
    default = task.get_config("num_fewshot")
    # lm-evaluation-harness keeps to 0 here and only logs that the number was ignored.
    if shots and default == 0:
        raise RecipeError(
            f"harness: task '{name}' is made for 0 shots, got {shots}; leave shots out"
        )
    task.set_config(key="num_fewshot", value=(default or 0) if shots is None else shots)
    task.set_fewshot_seed(seed=seed)
    task.build_all_requests()


@contextmanager
def _harness_seeds() -> Iterator[None]:
    """Python's and numpy's generators as the harness seeds them, and afterwards as they were.

    Some tasks shuffle their documents' choices with them.
    """
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 (tasks draw from it)
    random.seed(0)
    np.random.seed(1234)  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)  # noqa: NPY002
