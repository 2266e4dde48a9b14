"""Where every number comes from, each thing said once: data, settings, models, edits, versions."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from equipoise.records import JSON, DataUse, Measurement
from equipoise.study.study import Study

_OF_MODEL = (
    "prefix", "start_token_id", "start_token", "start_reason", "revision", "dtype",
)  # fmt: skip
_OF_EDIT = ("method", "options", "origin", "seed")
_LONGEST_JSON = 200_000  # characters
_LINE = 100  # characters
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)
_DIGITS = 6  # of numbers that the stored results and edits have whole

#: A setting: benchmark, version, split, limit, and each option as JSON.
Setting: TypeAlias = tuple[str, str, str, str, tuple[tuple[str, str], ...]]


def setting_of(measurement: Measurement) -> Setting:
    """Equal for two measurements exactly if benchmark, version, split, limit and options are."""
    return (
        measurement.benchmark,
        measurement.version,
        measurement.split,
        "all" if measurement.limit is None else str(measurement.limit),
        tuple(sorted((k, json.dumps(v, sort_keys=True)) for k, v in measurement.options.items())),
    )


def setting_names(measurements: Iterable[Measurement]) -> dict[Setting, str]:
    """Setting to name, in the order of first appearance: the benchmark, and what tells it apart.

    "genbias"; "genbias (split dev)" and "genbias (split test)" where both were measured. A
    recipe's own name for it goes before.
    """
    labels: dict[Setting, str] = {}
    for measurement in measurements:
        label = labels.setdefault(setting_of(measurement), measurement.label)
        labels[setting_of(measurement)] = label or measurement.label
    settings = list(labels)
    names = {}
    for setting in settings:
        alike = [other for other in settings if other[0] == setting[0]]
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
        apart = f"{setting[0]} ({', '.join(parts)})" if len(alike) > 1 else setting[0]
        names[setting] = labels[setting] or apart
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """All of it."""

    data: list[tuple[DataUse, str]]  # file, and the benchmarks that read it
    settings: list[tuple[str, list[Measurement]]]  # name, and what was measured so
    models: list[tuple[str, Measurement]]  # label, and a measurement of it
    edits: list[tuple[str, list[Mapping[str, JSON]]]]  # label; the same of each seed
    environments: list[tuple[tuple[str, str], ...]]
    comparisons: list[str]  # draws and seeds of the paired bootstrap
    recipe: str  # as JSON; "" without


def provenance(study: Study) -> Provenance:
    """Of every measurement in the study, compared or not."""
    labelled = list(_label_measurements(study))
    measured = [measurement for _, measurement in labelled]
    names = setting_names(measured)
    # each kind under what tells its entries apart, in the order of first appearance
    data: dict[tuple[str, str], tuple[DataUse, dict[str, None]]] = {}
    settings: dict[tuple[Setting, str, str | None], list[Measurement]] = {}
    models: dict[tuple[str, str], tuple[str, Measurement]] = {}
    edits: dict[tuple[int, str, str, str], tuple[str, list[Mapping[str, JSON]]]] = {}
    for label, measurement in labelled:
        for use in measurement.data:
            _, readers = data.setdefault((use.name, use.sha256), (use, {}))
            readers[measurement.benchmark] = None
        setting = (setting_of(measurement), measurement.examples_sha256, measurement.cluster)
        settings.setdefault(setting, []).append(measurement)
        # the same model in another dtype, or with another start token, is an entry of its own
        info = json.dumps(dict(measurement.model_info), default=str, sort_keys=True)
        models.setdefault((measurement.model, info), (label, measurement))
    for index, chapter in enumerate(study.chapters):
        for edit in chapter.edits:
            key = (index, str(edit.get("method")), options_text(edit), str(edit.get("origin")))
            _, alike = edits.setdefault(key, (_label(chapter.model, chapter.mitigation), []))
            alike.append(edit)
    return Provenance(
        data=[(use, ", ".join(readers)) for use, readers in data.values()],
        settings=[(names[setting], alike) for (setting, _, _), alike in settings.items()],
        models=list(models.values()),
        edits=list(edits.values()),
        environments=list(dict.fromkeys(tuple(each.environment.items()) for each in measured)),
        comparisons=list(
            dict.fromkeys(
                f"{comparison.draws:,} paired bootstrap draws of whole clusters "
                f"({comparison.before.cluster or comparison.after.cluster or 'examples'}), "
                f"seed {comparison.seed}"
                for chapter in study.chapters
                for comparison in chapter.comparisons
            )
        ),
        recipe=pretty_json(study.recipe) if study.recipe else "",
    )


def _label_measurements(study: Study) -> Iterable[tuple[str, Measurement]]:
    """Each measurement with the names that a reader knows its model by."""
    for measured in study.measured:
        yield _label(measured.model, measured.mitigation, measured.seed), measured.measurement
    for chapter in study.chapters:
        for comparison in chapter.comparisons:
            for before in (comparison.before, *comparison.other_befores):
                yield _label(chapter.model, chapter.against), before
            for after in comparison.afters:
                yield _label(chapter.model, chapter.mitigation), after


def _label(model: str, mitigation: str | None, seed: int | None = None) -> str:
    of_seed = "" if seed is None else f", seed {seed}"
    return model if mitigation is None else f"{mitigation} on {model}{of_seed}"


# --- as the page shows it -----------------------------------------------------------------------


def flat(mapping: Mapping[str, object]) -> str:
    """A mapping on a line: "split_by "profession", split_seed 0"; "none" when it is empty."""
    return ", ".join(f"{key} {plain_json(value)}" for key, value in mapping.items()) or "none"


def options_text(edit: Mapping[str, JSON]) -> str:
    """The options of an edit, on a line."""
    options = edit.get("options")
    return flat(options) if isinstance(options, dict) else str(options)


def training_end(edit: Mapping[str, JSON]) -> str | None:
    """How training ended and what of it was not kept; None where the report does not say it."""
    report = edit.get("report")
    if not isinstance(report, dict) or "stopped" not in report:
        return None
    undone = f"; undone: {report['undone']}" if "undone" in report else ""
    return f"after {report.get('steps')} steps: {report['stopped']}{undone}"


def model_rest(info: Mapping[str, JSON]) -> str:
    """What was recorded of a model and has no column of its own, as JSON."""
    return pretty_json(
        {key: value for key, value in info.items() if key not in _OF_MODEL}, digits=_DIGITS
    )


def edit_rest(edit: Mapping[str, JSON]) -> str:
    """Everything else that an edit says of itself, as JSON."""
    rest = {key: value for key, value in edit.items() if key not in _OF_EDIT}
    report = rest.get("report")
    if isinstance(report, dict):  # its curves are drawn
        rest["report"] = {key: value for key, value in report.items() if key != "curves"}
    return pretty_json(rest, digits=_DIGITS)


def plain_json(value: object) -> str:
    """JSON on a line; as text what JSON does not have."""
    return _ENCODER.encode(value)


def pretty_json(mapping: Mapping[str, object], *, digits: int | None = None) -> str:
    """JSON, what fits on a line on a line, else indented; cut where a page could not hold it.

    `digits`: significant ones of a number with a fraction; None: all.
    """
    text = _write_json(dict(mapping), 0, digits)
    if len(text) <= _LONGEST_JSON:
        return text
    return f"{text[:_LONGEST_JSON]}\n… (cut here: {len(text):,} characters in all)"


def _write_json(value: object, depth: int, digits: int | None) -> str:
    if isinstance(value, float) and digits is not None:
        return plain_json(float(f"{value:.{digits}g}"))
    if isinstance(value, Mapping):
        start, end = "{", "}"
        parts = [
            f"{plain_json(str(key))}: {_write_json(each, depth + 1, digits)}"
            for key, each in value.items()
        ]
    elif isinstance(value, list | tuple):
        start, end = "[", "]"
        parts = [_write_json(each, depth + 1, digits) for each in value]
    else:
        return plain_json(value)
    line = f"{start}{', '.join(parts)}{end}"
    if depth + len(line) <= _LINE and "\n" not in line:
        return line
    indent = "\n" + " " * (depth + 1)
    return f"{start}{indent}{f',{indent}'.join(parts)}{indent[:-1]}{end}"
