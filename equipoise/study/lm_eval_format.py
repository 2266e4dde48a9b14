"""The part of `results.json` that readers of lm-evaluation-harness know, in the shape they expect.

Read against lm-evaluation-harness 0.4.13: its tables, its tracker, its Weights & Biases and
Trackio loggers. What they format as a number is a number or "N/A", never null; what the harness
leaves out (`groups`, where no group of tasks is aggregated; dates) is left out here.
https://github.com/EleutherAI/lm-evaluation-harness
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from equipoise.conclusions import CALLED
from equipoise.records import JSON, Estimate, Measurement
from equipoise.stats.pairing import ITEM, VARIANTS

#: What the harness prints for a standard error that is not known.
UNKNOWN = "N/A"
_WIDTH = 2 * 1.959964  # of a normal 95 % interval, in standard errors
_FILTER = "none"  # the harness's name for answers that were not filtered
#: Entries of `config`, and where `Measurement.model_info` has them.
_OF_MODEL = {
    "model_num_parameters": "parameters",
    "model_dtype": "dtype",
    "model_revision": "revision",
    "model_sha": "fingerprint",
    "device": "device",
}


def harness_part(keyed: Mapping[str, Measurement]) -> dict[str, Any]:
    """The harness's keys for a model's measurements (at least 1), by their keys in `results`.

    A value that could not be measured is nan (null in strict JSON), its standard error "N/A".
    `original` in `n-samples` is null where a limit or published predictions hide it. The hash of
    a task is taken over its examples and requests.
    """
    first, *_ = keyed.values()
    name = str(first.model_info.get(CALLED) or first.model_info.get("name") or first.model)
    asked = first.model_info.get("chat")
    chat = asked if isinstance(asked, dict) else {}
    return {
        "results": {key: _result_row(key, measurement) for key, measurement in keyed.items()},
        "group_subtasks": {},
        "configs": {key: _task_config(key, measurement) for key, measurement in keyed.items()},
        "versions": {key: measurement.version for key, measurement in keyed.items()},
        "n-shot": {key: _shots(measurement) for key, measurement in keyed.items()},
        "higher_is_better": {
            key: {_plain_name(row.metric): row.higher_is_better for row in overall(measurement)}
            for key, measurement in keyed.items()
        },
        "n-samples": {key: _count_samples(measurement) for key, measurement in keyed.items()},
        "task_hashes": {key: measurement.examples_sha256 for key, measurement in keyed.items()},
        # the model, and how it was run; null where not known
        "config": {
            "model": first.model,
            "model_args": {
                "pretrained": str(first.model_info.get("name") or first.model),
                **first.model_info,
            },
            **{key: first.model_info.get(place) for key, place in _OF_MODEL.items()},
            "batch_size": None,
            "batch_sizes": [],
            "limit": first.limit,
            "bootstrap_iters": first.draws,
            **dict.fromkeys(("random_seed", "numpy_seed", "torch_seed"), first.seed),
            "fewshot_seed": None,
        },
        "model_source": "equipoise",
        "model_name": name,
        "model_name_sanitized": name.replace("/", "__"),
        "system_instruction": chat.get("system"),
        "chat_template": None,
        "chat_template_sha": chat.get("template_sha256"),
    }


def keys_of(measurements: Sequence[Measurement]) -> list[str]:
    """A key per measurement: the benchmark's name, "name#2" for its second, and so on.

    Only the last part of a file's path: the harness splits task and metric at a slash.
    """
    seen: dict[str, int] = {}
    keys = []
    for measurement in measurements:
        name = _short_name(measurement.benchmark)
        seen[name] = number = seen.get(name, 0) + 1
        keys.append(name if number == 1 else f"{name}#{number}")
    return keys


def overall(measurement: Measurement) -> list[Estimate]:
    """The overall estimates, without groups."""
    return [estimate for estimate in measurement.estimates if not estimate.group]


def _result_row(key: str, measurement: Measurement) -> dict[str, Any]:
    row: dict[str, Any] = {"alias": _task_alias(key, measurement)}
    for estimate in overall(measurement):
        # the harness's readers print "±" a standard error and know no intervals
        error = (estimate.high - estimate.low) / _WIDTH
        metric = _plain_name(estimate.metric)
        row[f"{metric},{_FILTER}"] = estimate.value
        row[f"{metric}_stderr,{_FILTER}"] = error if math.isfinite(error) else UNKNOWN
    return row


def _short_name(benchmark: str) -> str:
    return benchmark.rpartition("/")[2] or benchmark


def _task_alias(key: str, measurement: Measurement) -> str:
    """What a table calls the measurement: the whole name, and its number, if any."""
    return measurement.benchmark + key.removeprefix(_short_name(measurement.benchmark))


def _plain_name(metric: str) -> str:
    """A metric's name without the harness's separators, comma and slash."""
    return metric.replace(",", ";").replace("/", "|")


def _shots(measurement: Measurement) -> JSON:
    """Worked examples before each question; None where the benchmark's own number is taken."""
    return measurement.options.get("shots", 0)


def _task_config(key: str, measurement: Measurement) -> dict[str, Any]:
    return {
        "task": key,
        "task_alias": _task_alias(key, measurement),
        "test_split": measurement.split,
        "num_fewshot": _shots(measurement),
        "metric_list": [
            {"metric": _plain_name(row.metric), "higher_is_better": row.higher_is_better}
            for row in overall(measurement)
        ],
        "metadata": {"version": measurement.version, "options": dict(measurement.options)},
    }


def _count_samples(measurement: Measurement) -> dict[str, int | None]:
    """The number of examples and of those measured; the prompts of a family count once."""
    items = {outcome.groups.get(ITEM, outcome.example) for outcome in measurement.outcomes}
    effective = len(items) if VARIANTS in measurement.model_info else len(measurement.outcomes)
    whole = measurement.limit is None and measurement.model_info.get("kind") != "predictions"
    return {"original": effective if whole else None, "effective": effective}
