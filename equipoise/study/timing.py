"""How long steps take: as the store's log has it of finished steps, and of steps like them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeAlias

from equipoise.errors import StoreError
from equipoise.progress.messages import duration
from equipoise.study.store import LOG, Store

#: A step as `study.json` describes it: kind, and labels of model, mitigation, benchmark, plug-in.
Described: TypeAlias = Mapping[str, Any]

_OF_MODELS = ("fit", "measure", "locate", "attribute", "lds", "removal")


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of finished steps."""

    by_key: dict[str, float] = field(default_factory=dict)
    _like: dict[tuple[Any, ...], list[float]] = field(default_factory=dict)
    _medians: dict[tuple[Any, ...], float] = field(default_factory=dict)  # as far as asked for

    @classmethod
    def of(cls, store: Store, steps: Iterable[Described]) -> "Timing":
        """What the log of a store says of steps, and of those of the plan that was run last."""
        timing = cls()
        seconds = dict(_logged(store))
        known: list[Described] = []
        with suppress(StoreError):  # nothing was run
            known += store.head()["steps"]
        for step in {each["key"]: each for each in (*known, *steps)}.values():
            if step["key"] in seconds:
                timing.add(step, seconds[step["key"]])
        return timing

    def add(self, step: Described, seconds: float) -> None:
        """A step was done in so many seconds."""
        self.by_key[step["key"]] = seconds
        for kind in _kinds(step):
            self._like.setdefault(kind, []).append(seconds)
            self._medians.pop(kind, None)

    def expect(self, step: Described) -> float | None:
        """Median seconds of the finished steps that are most like it; None: there are none."""
        kind = next((kind for kind in _kinds(step) if kind in self._like), None)
        if kind is None:
            return None
        if kind not in self._medians:
            self._medians[kind] = median(self._like[kind])
        return self._medians[kind]

    def describe(self, steps: Sequence[Described], guesses: Mapping[str, float]) -> str:
        """How long these steps will take, as far as it is known; `guesses`: of others, by key."""
        unlike = [step["key"] for step in steps if self.expect(step) is None]
        known = [seconds for step in steps if (seconds := self.expect(step)) is not None]
        guessed = [guesses[key] for key in unlike if key in guesses]
        parts = [f"about {duration(sum(known))}"] if known else []
        if guessed:
            parts.append(
                f"at a guess {duration(sum(guessed))} for {len(guessed)} steps, from their tokens "
                "and the model's parameters, since none like them was done"
            )
        if unknown := len(unlike) - len(guessed):
            parts.append(f"how long {unknown} steps take is not known, none like them was done")
        return "; ".join(parts)


def _kinds(step: Described) -> Iterator[tuple[Any, ...]]:
    """What a step is like, the nearest first. Another model or method says nothing of its time."""
    what = (step["kind"], step["benchmark"], step["plugin"])
    if step["kind"] == "fit":
        yield (*what, step["model"], step["mitigation"])
    elif step["kind"] in _OF_MODELS:
        yield (*what, step["model"], step["mitigation"])
        yield (*what, step["model"])
    else:
        yield what
        yield (step["kind"],)


def _logged(store: Store) -> Iterator[tuple[str, float]]:
    with suppress(OSError):
        for line in (store.folder / LOG).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a line that was cut
                event = json.loads(line)
                if event["event"] == "done":
                    yield str(event["step"]), float(event["seconds"])
