"""Names of benchmark settings, where a benchmark was measured in several."""

import json
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from equipoise.records import JSON, Measurement

#: A setting: benchmark, version, split, limit, and each option as JSON.
Setting: TypeAlias = tuple[str, str, str, str, tuple[tuple[str, str], ...]]


def setting_of(measurement: Measurement) -> Setting:
    """Equal for two measurements exactly if benchmark, version, split, limit and options are."""
    limit = "all" if measurement.limit is None else str(measurement.limit)
    return (
        measurement.benchmark,
        measurement.version,
        measurement.split,
        limit,
        _flatten_options(measurement.options),
    )


def setting_names(measurements: Iterable[Measurement]) -> dict[Setting, str]:
    """Setting to name, in the order of first appearance: the benchmark, and what tells it apart.

    "genbias"; "genbias (split dev)" and "genbias (split test)" where both were measured.
    """
    settings = list(dict.fromkeys(setting_of(measurement) for measurement in measurements))
    return {
        setting: _name_setting(setting, [two for two in settings if two[0] == setting[0]])
        for setting in settings
    }


def _flatten_options(options: Mapping[str, JSON]) -> tuple[tuple[str, str], ...]:
    texts = ((key, json.dumps(value, sort_keys=True)) for key, value in options.items())
    return tuple(sorted(texts))


def _name_setting(setting: Setting, alike: list[Setting]) -> str:
    if len(alike) == 1:
        return setting[0]
    parts = [
        f"{what} {setting[place]}"
        for place, what in ((1, "version"), (2, "split"), (3, "limit"))
        if len({other[place] for other in alike}) > 1
    ]
    parts += [
        f"{key} {value}"
        for key, value in setting[4]
        if len({dict(other[4]).get(key) for other in alike}) > 1
    ]
    return f"{setting[0]} ({', '.join(parts)})"
