"""Run a plan: skip finished steps, redo broken steps, continue after failures.

Several processes may run the same plan over the same store: each step is done by the process that
holds its lock. Killed at any moment, the same call resumes and ends with the same bytes.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from equipoise.errors import PlaceError
from equipoise.progress.messages import duration
from equipoise.records import JSON
from equipoise.study.execution import OpenModel, StepExecutor
from equipoise.study.peak_memory import peak_memory
from equipoise.study.plan import Plan, Step, without_failed
from equipoise.study.store import Store
from equipoise.study.study import Missing
from equipoise.study.timing import Timing
from equipoise.training.data_parallel import refuse_several_processes

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
    say: Callable[[str], None] = lambda _: None,
    device: str = "auto",
    batch_tokens: int | None = None,
) -> RunSummary:
    """Do every step of a plan that the store has no whole result of.

    `say` gets a line per step. `device` and `batch_tokens` are no part of any key.
    Raises `PlaceError` when the store cannot be written to; what is finished is kept.
    """
    refuse_several_processes("a study, whose processes share steps through the store,")
    steps = describe_steps(plan)
    # before any step: what a stopped run lacks is read from the plan
    store.write_head({"recipe": dict(plan.resolved), "steps": [*steps]})
    store = Store(folder=store.folder.absolute())
    with (
        plan.recipe.in_folder(),
        closing(OpenModel(device=device, batch_tokens=batch_tokens)) as models,
    ):
        executor = StepExecutor(recipe=plan.recipe, store=store, models=models)
        runner = _Runner(
            store=store,
            say=say,
            executor=executor,
            described={str(step["key"]): step for step in steps},
            timing=Timing.of(store, steps),
        )
        pending = list(plan.steps)
        while pending:
            busy: list[Step] = []
            for index, step in enumerate(pending):
                if not runner.finish(step, [*busy, *pending[index:]]):
                    busy.append(step)
            if len(busy) == len(pending):
                time.sleep(_WAIT)
            pending = busy
    failed = tuple(runner.failed.values())
    return RunSummary(skipped=runner.skipped, done=runner.done, failed=failed)


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
class _Runner:
    """Runs the steps of a plan and counts their outcomes."""

    store: Store
    say: Callable[[str], None]
    executor: StepExecutor
    described: dict[str, dict[str, JSON]]  # the plan's steps, in their order
    timing: Timing
    skipped: int = 0
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # key to title, of steps without a result
    whole: set[str] = field(default_factory=set)  # keys of complete steps

    def finish(self, step: Step, left: Sequence[Step]) -> bool:
        """Do a step, or see that it is done or has failed; False: another process is at it.

        Or at a step that it needs. `left`: all that is not done or has failed, the step among them.
        """
        if any(need.key not in self.whole and need.key not in self.failed for need in step.needs):
            return False
        possible = without_failed(self.executor.recipe, step, self.failed)
        if possible is None:
            lacking = next(need for need in step.needs if need.key in self.failed)
            self._fail(step, f"it needs '{lacking.title}', which has no result")
            return True
        if self._is_whole(possible):
            return True
        with self.store.lock(possible.key) as mine:
            # another process may have done it by now
            if mine and not self._is_whole(possible):
                number = [*self.described].index(step.key) + 1
                where = f"[{number}/{len(self.described)}]"
                self.say(f"{where} {possible.title}{self._time_left(left)}")
                seconds = self._compute(possible, where)
                if seconds is not None:
                    self.timing.add(self.described[step.key], seconds)
            return mine

    def _time_left(self, left: Sequence[Step]) -> str:
        """How long these steps take, those aside that are done; empty where it is not known."""
        to_do = [
            self.described[step.key] for step in left if not self.store.step(step.key).is_dir()
        ]
        seconds = [self.timing.expect(step) for step in to_do]
        if None in seconds:
            return ""
        return f" (about {duration(sum(filter(None, seconds)))} left)"

    def _is_whole(self, step: Step) -> bool:
        if self.store.fault(step.key) is not None:
            return False
        self.store.clean_up(step.key)  # its process may have ended right after the rename
        self.whole.add(step.key)
        self.skipped += 1
        return True

    def _compute(self, step: Step, where: str) -> float | None:
        """Compute a step and store it; gives the seconds it took, None where it failed."""
        fault = self.store.fault(step.key)
        if self.store.set_aside(step.key) is not None:
            self.say(f"{step.title}: its stored result {fault}; it is set aside and done again")
        began = time.monotonic()
        # what a killed run left, from which the step goes on
        resumed: dict[str, JSON] = {"resumed": True} if self.store.part(step.key).exists() else {}
        try:
            with peak_memory() as peak:
                files = self.executor.run(step)
                what: dict[str, JSON] = {"title": step.title, "content": dict(step.content)}
                self.store.write_step(step.key, what, files)
        # the disk is full or gone: every step to come would be computed and lost
        except PlaceError:
            raise
        except Exception as error:  # whatever a model or a plug-in raises: the other steps continue
            why = " ".join(str(error).split()) or type(error).__name__
            self.say(f"{where} {step.title} failed: {why}")
            self._fail(step, why, traceback.format_exc())
            return None
        seconds = round(time.monotonic() - began, 3)
        self.store.log("done", step=step.key, seconds=seconds, **resumed, **peak)
        self.whole.add(step.key)
        self.done += 1
        return seconds

    def _fail(self, step: Step, why: str, text: str | None = None) -> None:
        self.failed[step.key] = step.title
        self.store.write_failure(step.key, Missing(what=step.title, why=why, traceback=text))
        self.store.log("failed", step=step.key, why=why)
