"""Whether the numbers that a study compares were made alike: versions, precision, arithmetic."""

from collections.abc import Iterator, Mapping, Sequence

from equipoise.checks.findings import Fault
from equipoise.records import JSON, Measurement

#: Of model_info.
_MODEL = ("dtype", "device", "matmul", "threads", "attention", "prefix", "start_token")


def alike_faults(measurements: Sequence[Measurement]) -> tuple[int, list[Fault]]:
    """(settings compared, those that differ), over measurements of a benchmark.

    A difference is a warning: last digits of float32 depend on threads and libraries, more on
    dtype; start token and prefix change what is asked.
    """
    faults, checked = [], 0
    for name, values in sorted(_settings(measurements).items()):
        checked += 1
        seen = sorted({str(value) for value in values})
        if len(seen) > 1:
            text = f"{name} was {' and '.join(seen)} in measurements that are compared"
            faults.append(Fault(text=text, level="warning"))
    return checked, faults


def _settings(measurements: Sequence[Measurement]) -> Mapping[str, list[JSON]]:
    settings: dict[str, list[JSON]] = {}
    for measurement in measurements:
        for name, value in _of(measurement):
            settings.setdefault(name, []).append(value)
    return settings


def _of(measurement: Measurement) -> Iterator[tuple[str, JSON]]:
    yield from measurement.environment.items()
    info = measurement.model_info
    yield from ((name, info[name]) for name in _MODEL if name in info)
