"""A step as one process does it: under its lock, stored whole or its failure recorded."""

import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from equipoise.errors import PlaceError, ProcessError
from equipoise.processes.launch import is_main_process
from equipoise.processes.together import agree_on_failure, on_main
from equipoise.records import JSON
from equipoise.study.execution import StepExecutor
from equipoise.study.peak_memory import peak_memory
from equipoise.study.plan import Step
from equipoise.study.store import Store
from equipoise.study.study import Missing


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutcome:
    """What became of a step.

    "skipped": it was there; "busy": another process is at it; "refused": its worker may not take
    part in the study; "no_place": nothing more can be written to the store.
    """

    state: Literal["done", "skipped", "busy", "failed", "refused", "no_place"]
    seconds: float | None = None  # of a step that was done
    why: str = ""  # of one that was not
    set_aside: str = ""  # what was wrong with a stored result that was replaced


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRunner:
    """Runs steps; what they need must be in the store."""

    store: Store
    executor: StepExecutor
    begin: Callable[[Step], None]  # called when a step is this process's

    def run(self, step: Step) -> StepOutcome:
        """Do a step that no other process does. Raises `PlaceError` where it cannot be stored."""
        with ExitStack() as held:  # by the main process, for all that work together
            if not on_main(lambda: held.enter_context(self.store.lock(step.key))):
                return StepOutcome(state="busy")
            # another process may have done it by now
            if on_main(lambda: self.store.is_whole(step.key)):
                return StepOutcome(state="skipped")
            self.begin(step)
            return self._compute(step)

    def _compute(self, step: Step) -> StepOutcome:
        fault = self.store.fault(step.key)
        broken = on_main(lambda: "" if self.store.set_aside(step.key) is None else str(fault))
        began = time.monotonic()
        # what a killed run left, from which the step goes on
        resumed: dict[str, JSON] = {"resumed": True} if self.store.part(step.key).exists() else {}
        try:
            with peak_memory() as peak:
                files = self.executor.run(step)
                what: dict[str, JSON] = {"title": step.title, "content": dict(step.content)}
                on_main(lambda: str(self.store.write_step(step.key, what, files)))
        # the disk is full or gone: every step to come would be computed and lost
        except (PlaceError, ProcessError):
            raise
        except Exception as error:  # whatever a model or a plug-in raises: the other steps continue
            why = " ".join(str(error).split()) or type(error).__name__
            agree_on_failure(why)
            record_failure(self.store, step, why, traceback.format_exc())
            return StepOutcome(state="failed", why=why, set_aside=broken)
        seconds = round(time.monotonic() - began, 3)
        if is_main_process():
            self.store.log("done", step=step.key, seconds=seconds, **resumed, **peak)
        return StepOutcome(state="done", seconds=seconds, set_aside=broken)


def record_failure(store: Store, step: Step, why: str, text: str | None = None) -> None:
    """Keep why a step has no result; `text`: its traceback."""
    if not is_main_process():
        return
    store.write_failure(step.key, Missing(what=step.title, why=why, traceback=text))
    store.log("failed", step=step.key, why=why)
