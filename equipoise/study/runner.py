"""Run a plan: skip finished steps, redo broken ones, continue after failures.

Several processes may run the same plan over the same store: each step is done by the process that
holds its lock. Killed at any moment, the same call resumes and ends with the same bytes.
"""

import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from equipoise.errors import PlaceError
from equipoise.records import JSON
from equipoise.study.execution import OpenModel, StepExecutor
from equipoise.study.plan import Plan, Step, without_failed
from equipoise.study.store import Failure, Store
from equipoise.training.data_parallel import refuse_several_processes

Say: TypeAlias = Callable[[str], None]
End: TypeAlias = Literal["kept", "done", "failed", "busy"]

_WAIT = 0.5  # seconds between two looks at what another process does


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """Counts of a plan's steps by outcome."""

    skipped: int  # done before
    done: int
    failed: tuple[str, ...]  # titles of those without a result


def run(
    plan: Plan,
    store: Store,
    *,
    say: Say = lambda _: None,
    device: str = "auto",
    batch_tokens: int | None = None,
) -> RunSummary:
    """Do every step of a plan that the store has no whole result of.

    `say` gets a line per step. `device` and `batch_tokens` are no part of any key.
    Raises `PlaceError` when the store cannot be written to; what is finished is kept.
    """
    refuse_several_processes("a study, whose processes share steps through the store,")
    _write_head(plan, store)
    with closing(OpenModel(device=device, batch_tokens=batch_tokens)) as models:
        executor = StepExecutor(recipe=plan.recipe, store=store, models=models)
        runner = _Runner(plan=plan, store=store, say=say, executor=executor)
        pending: list[Step] = list(plan.steps)
        while pending:
            ends = [(step, runner.end_of(step)) for step in pending]
            later = [step for step, end in ends if end == "busy"]
            if len(later) == len(pending):
                time.sleep(_WAIT)
            pending = later
    return RunSummary(
        skipped=runner.skipped, done=runner.done, failed=tuple(runner.failed.values())
    )


def _write_head(plan: Plan, store: Store) -> None:
    """Write `study.json`, by a single process at a time."""
    with store.lock("study") as mine:
        if mine:
            store.write_head({"recipe": dict(plan.resolved), "steps": _list_steps(plan.steps)})
            return
    time.sleep(_WAIT)
    _write_head(plan, store)


def _list_steps(steps: Iterable[Step]) -> list[JSON]:
    """The plan as `study.json` has it: what a reader needs to find each step."""
    return [
        {
            "key": step.key,
            "kind": step.kind,
            "title": step.title,
            "content": dict(step.content),
            "model": step.model.label if step.model else None,
            "mitigation": step.mitigation.label if step.mitigation else None,
            "benchmark": step.benchmark.label if step.benchmark else None,
            "plugin": step.plugin.label if step.plugin else None,
            "seed": step.seed,
            "needs": [need.key for need in step.needs],
        }
        for step in steps
    ]


@dataclass(slots=True, kw_only=True)
class _Runner:
    """Runs the steps of a plan and counts their outcomes."""

    plan: Plan
    store: Store
    say: Say
    executor: StepExecutor
    skipped: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # key to title, of steps without a result
    whole: set[str] = field(default_factory=set)  # keys of complete steps

    def end_of(self, step: Step) -> End:
        """Do a step, or see that it is done, failed, or locked by another process."""
        waiting = [need for need in step.needs if not self._is_finished(need)]
        if waiting:
            return "busy"
        if step.kind == "compare":
            left = without_failed(self.plan.recipe, step, set(self.failed))
            if left is None:
                return self._skip(step)
            step = left
        elif any(need.key in self.failed for need in step.needs):
            return self._skip(step)
        if self._is_whole(step):
            self.skipped += 1
            return "kept"
        with self.store.lock(step.key) as mine:
            if not mine:
                return "busy"
            if self._is_whole(step):  # another process has done it
                self.skipped += 1
                return "kept"
            return self._compute(step)

    def _is_finished(self, step: Step) -> bool:
        return step.key in self.failed or step.key in self.whole

    def _is_whole(self, step: Step) -> bool:
        fault = self.store.fault(step.key)
        if fault is None:
            self.whole.add(step.key)
            self.store.clean_up(step.key)  # its process may have ended right after the rename
        return fault is None

    def _compute(self, step: Step) -> End:
        fault = self.store.fault(step.key)
        aside = self.store.set_aside(step.key)
        if aside is not None:
            self.say(f"{step.title}: its stored result {fault}; it is set aside and done again")
        self.say(step.title)
        began = time.monotonic()
        try:
            write_files = self.executor.run(step)
            what: dict[str, JSON] = {"title": step.title, "content": dict(step.content)}
            self.store.write_step(step.key, what, write_files)
        except PlaceError:
            raise
        except Exception as error:  # whatever a model or a plug-in raises: the other steps continue
            return self._fail(step, error)
        self.store.log("done", step=step.key, seconds=round(time.monotonic() - began, 3))
        self.whole.add(step.key)
        self.done += 1
        return "done"

    def _fail(self, step: Step, error: Exception) -> End:
        why = " ".join(str(error).split()) or type(error).__name__
        self.say(f"{step.title} failed: {why}")
        self._record(step, why, traceback.format_exc())
        return "failed"

    def _skip(self, step: Step) -> End:
        lacking = next(need for need in step.needs if need.key in self.failed)
        self._record(step, f"it needs '{lacking.title}', which has no result", "")
        return "failed"

    def _record(self, step: Step, why: str, text: str) -> None:
        self.failed[step.key] = step.title
        self.store.write_failure(step.key, Failure(what=step.title, why=why, traceback=text))
        self.store.log("failed", step=step.key, why=why)
