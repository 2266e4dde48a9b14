"""Run a plan: skip finished steps, redo broken steps, continue after failures.

Several processes may run the same plan over the same store: each step is done by the process that
holds its lock. Killed at any moment, the same call resumes and ends with the same bytes.
Where steps run is an `Executor`'s business: in this process, or in workers (room `executors`).

Processes that torchrun started together do each step together: the main process decides, holds the
lock and writes, all compute. A mistake that all of them meet leaves its step without a result, as
ever; one that a single process meets ends the run.
"""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from equipoise.errors import EquipoiseError, PlaceError, RecipeError
from equipoise.processes.together import on_main
from equipoise.progress.messages import duration
from equipoise.records import JSON
from equipoise.study.execution import OpenModel, StepExecutor
from equipoise.study.plan import Plan, Step, without_failed
from equipoise.study.step_runner import StepOutcome, StepRunner, record_failure
from equipoise.study.store import Store
from equipoise.study.timing import Timing

_WAIT = 0.5  # seconds between two looks at what other processes do


class Executor(Protocol):
    """Where steps run."""

    @property
    def slots(self) -> int:
        """How many steps it is given at a time."""

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        """Have a step done whose needs are in the store, but for those with the keys in `lost`.

        The future raises where whatever did the step ended without an answer.
        """

    def close(self) -> None:
        """End what is under way, and free what was taken. May be called twice."""


class InProcess:
    """Steps one after the other in this process, which keeps the last model open."""

    slots = 1

    def __init__(self, runner: StepRunner, models: OpenModel) -> None:
        self._runner, self._models = runner, models

    def run(self, step: Step, lost: frozenset[str]) -> "Future[StepOutcome]":
        """Do the step now. Raises `PlaceError`."""
        possible = without_failed(self._runner.executor.recipe, step, lost)
        future: Future[StepOutcome] = Future()
        future.set_result(self._runner.run(possible or step))
        return future

    def close(self) -> None:
        """Free the model."""
        self._models.close()


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
    say: Callable[[str], None] = lambda _: None,
    device: str = "auto",
    batch_tokens: int | None = None,
    executor: Executor | None = None,
) -> RunSummary:
    """Do every step of a plan that the store has no whole result of.

    `say` gets a line per step. `device` and `batch_tokens` are no part of any key. `executor`:
    where steps run (`executors.choose.open_executor`), closed at the end; None: in this process.
    Raises `PlaceError` when the store cannot be written to; what is finished is kept.
    """
    steps = describe_steps(plan)
    # before any step: what a stopped run lacks is read from the plan
    on_main(lambda: store.write_head({"recipe": dict(plan.resolved), "steps": [*steps]}))
    store = Store(folder=store.folder.absolute())
    schedule = _Schedule(
        plan=plan,
        store=store,
        say=say,
        described={str(step["key"]): step for step in steps},
        timing=Timing.of(store, steps),
    )
    with plan.recipe.in_folder():
        if executor is None:
            models = OpenModel(device=device, batch_tokens=batch_tokens)
            computes = StepExecutor(recipe=plan.recipe, store=store, models=models)
            runner = StepRunner(store=store, executor=computes, begin=schedule.announce)
            executor = InProcess(runner, models)
        with closing(executor):
            schedule.run_all(executor)
    failed = tuple(schedule.failed.values())
    return RunSummary(skipped=schedule.skipped, done=schedule.done, failed=failed)


def describe_steps(plan: Plan) -> list[dict[str, JSON]]:
    """The steps as `study.json` has them: what a reader needs to find them."""
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
        for step in plan.steps
    ]


@dataclass(slots=True, kw_only=True)
class _Started:
    """A step that an executor has, and what is known of it."""

    step: Step  # of the plan
    possible: Step  # as it is done: without those of its needs that failed
    log_size: int  # bytes that earlier tries left in its log
    future: "Future[StepOutcome] | None" = None
    announced: bool = False


@dataclass(slots=True, kw_only=True)
class _Schedule:
    """Gives steps to an executor once what they need is there, and counts their outcomes."""

    plan: Plan
    store: Store
    say: Callable[[str], None]
    described: dict[str, dict[str, JSON]]  # the plan's steps, in their order
    timing: Timing
    skipped: int = 0
    done: int = 0
    pending: list[Step] = field(default_factory=list)
    started: dict[str, _Started] = field(default_factory=dict)  # by the key of `possible`
    settled: set[str] = field(default_factory=set)  # keys of the plan's steps that are over
    failed: dict[str, str] = field(default_factory=dict)  # key to title, of steps without a result

    def run_all(self, executor: Executor) -> None:
        """Until every step is done or has failed.

        Raises `PlaceError`, and `RecipeError` for a worker that may not take part.
        """
        self.pending = [*self.plan.steps]
        while self.pending or self.started:
            if not self._start_ready(executor) and not self.started:
                time.sleep(_WAIT)  # other processes are at all that is left
            futures = [each.future for each in self.started.values() if each.future]
            wait(futures, timeout=_WAIT, return_when=FIRST_COMPLETED)
            over = [each for each in self.started.values() if each.future and each.future.done()]
            self._look_for_begins()  # after that, so that no step ends without it
            for started in over:
                del self.started[started.possible.key]
                self._settle(started)

    def announce(self, possible: Step, worker: str = "") -> None:
        """Say that a step has begun."""
        started = self.started[possible.key]
        started.announced = True
        by = f", {worker}" if worker else ""
        self.say(f"{self._place(started)} {possible.title}{by}{self._time_left()}")

    def _start_ready(self, executor: Executor) -> bool:
        """Start steps, and see which are done or cannot be; False: there was nothing to do."""
        before = len(self.pending)
        for step in [*self.pending]:
            if len(self.started) >= executor.slots:
                break
            if all(need.key in self.settled for need in step.needs) and self._start(step, executor):
                self.pending.remove(step)
        return len(self.pending) < before

    def _start(self, step: Step, executor: Executor) -> bool:
        """Start a step, or see that it is over; False: another process is at it."""
        possible = without_failed(self.plan.recipe, step, self.failed)
        if possible is None:
            lacking = next(need for need in step.needs if need.key in self.failed)
            self._fail(step, f"it needs '{lacking.title}', which has no result")
        elif on_main(lambda: self.store.is_whole(possible.key)):
            self.skipped += 1
            self.settled.add(step.key)
        else:
            if not on_main(lambda: self._is_free(possible.key)):
                return False
            log_size = self.store.log_size(possible.key)
            started = _Started(step=step, possible=possible, log_size=log_size)
            self.started[possible.key] = started
            lost = frozenset(need.key for need in step.needs if need.key in self.failed)
            started.future = executor.run(step, lost)
        return True

    def _is_free(self, key: str) -> bool:
        with self.store.lock(key) as free:
            return free

    def _look_for_begins(self) -> None:
        """Announce the steps that workers have begun."""
        unannounced = [key for key, started in self.started.items() if not started.announced]
        # thousands may wait for room, and a look for each of their logs takes a while on a network
        logged = self.store.logged() if unannounced else set()
        for key in filter(logged.__contains__, unannounced):
            started = self.started[key]
            worker = self.store.worker_of(key, after=started.log_size)
            if worker is not None:
                self.announce(started.possible, worker)

    def _settle(self, started: _Started) -> None:
        """Count what became of a step that is over."""
        step, possible, future = started.step, started.possible, started.future
        assert future is not None
        error = future.exception()
        if isinstance(error, EquipoiseError):
            raise error
        if error is not None:
            why = " ".join(f"its worker ended: {error}".split())
            record_failure(self.store, possible, why)
            outcome = StepOutcome(state="failed", why=why)
        else:
            outcome = future.result()
        if outcome.set_aside:
            what = f"its stored result {outcome.set_aside}"
            self.say(f"{possible.title}: {what}; it is set aside and done again")
        match outcome.state:
            case "busy":
                self.pending.insert(0, step)
                return
            case "no_place":
                raise PlaceError(outcome.why)
            case "refused":
                raise RecipeError(outcome.why)
            case "failed":
                self.say(f"{self._place(started)} {possible.title} failed: {outcome.why}")
                self.failed[step.key] = step.title
            case "skipped":
                self.skipped += 1
            case "done":
                self.done += 1
                self.timing.add(self.described[step.key], outcome.seconds or 0.0)
        self.settled.add(step.key)

    def _fail(self, step: Step, why: str) -> None:
        self.settled.add(step.key)
        self.failed[step.key] = step.title
        record_failure(self.store, step, why)

    def _place(self, started: _Started) -> str:
        number = [*self.described].index(started.step.key) + 1
        return f"[{number}/{len(self.described)}]"

    def _time_left(self) -> str:
        """How long the rest takes, those aside that are done; empty where it is not known."""
        over = self.settled | self.store.kept()
        to_do = [step for key, step in self.described.items() if key not in over]
        seconds = [self.timing.expect(description) for description in to_do]
        if None in seconds:
            return ""
        at_once = sum(started.announced for started in self.started.values())
        return f" (about {duration(sum(filter(None, seconds)) / max(at_once, 1))} left)"
