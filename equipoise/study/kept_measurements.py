"""Measurements that a stopped `equipoise measure --out` has finished, kept beside that folder."""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from equipoise import api
from equipoise.benchmarks.base import AnyBenchmark
from equipoise.data.sources import reading_from
from equipoise.errors import StoreError
from equipoise.inference.scorer import Scorer
from equipoise.measure import choose_split
from equipoise.predictions import Predictions
from equipoise.processes.launch import is_main_process
from equipoise.processes.together import on_main
from equipoise.records import JSON, Measurement
from equipoise.remote.remote_model import RemoteModel
from equipoise.study.contents import data_content, plugin_content
from equipoise.study.load_study import key_of
from equipoise.study.results import FILE, read_results, write_results


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `api.measure` takes beside a model and a benchmark."""

    split: str | None
    limit: int | None
    seed: int
    draws: int
    nulls: bool


@dataclass(frozen=True, slots=True)
class KeptMeasurements:
    """A folder for each finished measurement, by all that its result depends on.

    Of a model behind a server also a file of its replies, so that none is asked for twice.
    """

    out: Path | None  # where the results will be; None: nothing is kept

    def measure(
        self, subject: Scorer | Predictions, benchmark: AnyBenchmark, settings: Settings
    ) -> Measurement:
        """A measurement as a stopped command has kept it, else done now and kept.

        Predictions are read anew: their file may have changed. Raises what `api.measure` raises.
        """
        if self.out is None or isinstance(subject, Predictions):
            return api.measure(subject, benchmark, **asdict(settings))
        content = _measured_content(subject, benchmark, settings)
        place = self._folder(self.out) / key_of("measure", content)
        kept = on_main(lambda: _read(place))
        if kept is not None:
            return kept
        if isinstance(subject, RemoteModel):
            subject = subject.keeping_in(place.with_suffix(".jsonl"))
        measurement = api.measure(subject, benchmark, **asdict(settings))
        if is_main_process():
            _write(place, measurement)
        return measurement

    def describe(self, count: int) -> str:
        """What is kept of so many measurements, and how to go on."""
        if self.out is None:
            return "what is printed is all that is kept; with --out, finished benchmarks are"
        finished = len(list(self._folder(self.out).glob(f"*/{FILE}")))
        return (
            f"{finished} of {count} measurements are kept for {self.out}, and the same command "
            "goes on with the others"
        )

    def remove(self) -> None:
        """Remove what was kept: it is in the results."""
        if self.out is not None and is_main_process():
            shutil.rmtree(self._folder(self.out), ignore_errors=True)

    @staticmethod
    def _folder(out: Path) -> Path:
        return out.with_name(f".{out.name}.measured")


def _read(place: Path) -> Measurement | None:
    """The measurement that is kept in a folder; None, and no folder, where it is not whole."""
    if (place / FILE).is_file():
        with suppress(StoreError):  # a file of it is broken
            return read_results(place)[0]
    shutil.rmtree(place, ignore_errors=True)
    return None


def _write(place: Path, measurement: Measurement) -> None:
    try:
        write_results(place, [measurement])
    except StoreError:  # it can still be shown, and the results' own place may have room
        with suppress(OSError):
            place.parent.rmdir()


def _measured_content(
    subject: Scorer, benchmark: AnyBenchmark, settings: Settings
) -> Mapping[str, JSON]:
    """What a measurement depends on; the identity of a model holds a hash of its weights."""
    split = choose_split(benchmark, settings.split)
    with reading_from(api.folder_for(subject.identity)):
        return {
            "model": subject.identity,
            "info": dict(subject.info),
            "benchmark": plugin_content(benchmark),
            "data": data_content(benchmark, split),
            **asdict(settings),
            "split": split,
        }
