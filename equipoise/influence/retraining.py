"""Adapters retrained from the base on parts of a training set, and what the models then show.

Results are kept in a file, a line each, where checkpoints are kept (`checkpoints_in`), so that a
run that is killed goes on with the next retraining and ends with the same numbers. Elsewhere they
are in memory alone.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from equipoise.edits.edit import fingerprint
from equipoise.errors import RecipeError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.processes.launch import is_main_process
from equipoise.records import Continuation, Supply
from equipoise.rows import Probe, TrainingRow, text_sha256
from equipoise.training.learnable_rows import ChosenRows, rows_sha256
from equipoise.training.resume import checkpoints_in, keeping_epochs
from equipoise.training.text_options import model_key
from equipoise.training.text_training import TextTraining

#: What is measured on a probe, in nats: "margin": log p of the biased sentence minus that of the
#: unbiased; "likelihood": mean log p per token of the biased sentence. Higher: more biased.
Outcome: TypeAlias = Literal["margin", "likelihood"]

#: Numbers by name, as a retrained model shows them.
Shown: TypeAlias = Mapping[str, list[float]]

_KEY: Final = 32  # characters of a key that name a file
_NOT_APART: Final = (
    "bias is measured on the probes that rows were scored by, as none are kept apart: what is "
    "shown may hold of these sentences alone"
)


def judging_probes(supply: Supply) -> tuple[tuple[Probe, ...], tuple[str, ...]]:
    """The probes that retrained models are measured on, and what is to be noted of them.

    Those kept apart (`dev_probes`), so that scores are not judged on the sentences that they were
    made with; where there are none, those, with a note.
    """
    return (supply.dev_probes, ()) if supply.dev_probes else (supply.probes, (_NOT_APART,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """Trains on part of the rows from the base, and measures; every model at most once."""

    model: LanguageModel
    rows: Sequence[TrainingRow]
    probes: Sequence[Probe]
    training: TextTraining
    outcome: Outcome = "margin"
    texts: tuple[str, ...] = ()  # neutral, held out: of which the likelihood is measured

    def __post_init__(self) -> None:
        """Raises `RecipeError` without probes, and for half a probe where a margin is measured."""
        halves = [probe.id for probe in self.probes if probe.antistereotype is None]
        if not self.probes:
            raise RecipeError(
                f"retrained models are measured on probes, got {len(self.probes)}; give a supply "
                "that has some"
            )
        if self.outcome == "margin" and halves:
            raise RecipeError(
                f"a margin takes both sentences of each probe, {len(halves)} of "
                f"{len(self.probes)} have the biased sentence alone, first {halves[0]!r}; give the "
                "other, or set outcome=likelihood"
            )

    def key(self) -> str:
        """sha256 (hex) of all that a measured number depends on, beside the part and the seed."""
        weights = fingerprint(self.model.module, dict(self.model.module.named_parameters()))
        measured = [(probe.stereotype, probe.antistereotype) for probe in self.probes]
        texts = [text_sha256(text) for text in self.texts]
        about = (self.training, self.outcome, weights, model_key(self.model), measured, texts)
        return hashlib.sha256(f"{about} {rows_sha256(self.rows)}".encode()).hexdigest()

    def base(self) -> Shown:
        """What the model shows before any training."""
        return {**self._measure(), "steps": [0.0]}

    def trained(self, places: Sequence[int], *, seed: int, steps: int | None = None) -> Shown:
        """What it shows after training on the rows at these places, in their order.

        `steps`: as of `TextTraining.fit`. Raises as that does.
        """
        part = ChosenRows(self.rows, places)
        training = replace(self.training, share=1.0)
        # its checkpoints are of no use to anybody once it has ended
        with TemporaryDirectory() as folder, checkpoints_in(folder):
            trained = training.fit(self.model, part, seed=seed, steps=steps)
        with trained.attached(self.model):
            return {**self._measure(), "steps": [float(trained.steps)]}

    def _measure(self) -> Shown:
        others = [probe.antistereotype or "" for probe in self.probes]
        asked = [
            [probe.stereotype for probe in self.probes],
            others if self.outcome == "margin" else [],
            self.texts,
        ]
        scored = iter(self.model.score([_whole(text) for part in asked for text in part]))
        biased, unbiased, neutral = ([next(scored) for _ in part] for part in asked)
        if self.outcome == "margin":
            pairs = zip(biased, unbiased, strict=True)
            outcomes = [first.logprob - second.logprob for first, second in pairs]
        else:
            outcomes = [sentence.mean for sentence in biased]
        return {
            "outcomes": outcomes,
            "nats": [-text.logprob for text in neutral],
            "tokens": [float(text.tokens) for text in neutral],
        }


def _whole(text: str) -> Continuation:
    return Continuation(context="", continuation=text)


class Results:
    """Results by name, in a file of lines to which each is added as it comes."""

    def __init__(self, file: Path) -> None:
        """Read what is there; a last line that was cut short is taken off."""
        self._file = file
        self._known: dict[str, Shown] = {}
        whole = 0
        try:
            content = file.read_bytes() if file.is_file() else b""
            for line in content.splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                record = json.loads(line)
                self._known[record["name"]] = record["shown"]
                whole += len(line)
            if whole < len(content) and is_main_process():
                os.truncate(file, whole)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{file} must hold results of retrainings, got: {error}; delete it and run again"
            ) from error

    def get(self, name: str, compute: Callable[[], Shown]) -> Shown:
        """The result of this name, computed unless it is there.

        Raises `StoreError` if it cannot be written.
        """
        if name not in self._known:
            shown = compute()
            line = json.dumps({"name": name, "shown": shown}) + "\n"
            if is_main_process():
                self._append(line)
            self._known[name] = shown
        return self._known[name]

    def _append(self, line: str) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as stream:
                stream.write(line)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise StoreError(
                f"cannot write {self._file}: {error}; make room, and run again to go on"
            ) from error


@contextmanager
def results_of(kind: str, key: str) -> Iterator[Results]:
    """Results under a key: where checkpoints are kept, else in a folder that is then deleted."""
    with keeping_epochs() as folder:
        yield Results(folder / f"{kind}-{key[:_KEY]}.jsonl")


def places_name(places: NDArray[np.int64]) -> str:
    """A short name for a part of the rows."""
    return hashlib.sha256(np.ascontiguousarray(places, dtype="<i8").tobytes()).hexdigest()[:16]
