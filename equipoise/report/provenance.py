"""Where every number comes from, each thing said once: data, settings, models, edits, versions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from equipoise.conclusions import Comparison
from equipoise.records import JSON, DataUse, Measurement
from equipoise.report.setting_names import setting_names, setting_of
from equipoise.study.study import Chapter, Study

_TOLD = ("prefix", "start_token_id", "start_token", "chat_template", "revision", "dtype")
_OF_EDIT = ("method", "options", "origin", "seed")
_LONGEST_RECIPE = 200_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A file that numbers rest on, and which benchmarks read it."""

    name: str
    sha256: str
    licence: str
    official: bool
    revision: str
    used_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingView:
    """A benchmark and how it was measured."""

    name: str
    version: str
    split: str
    limit: str
    options: str
    examples_sha256: str
    clusters: str  # what is resampled whole
    draws: str
    seeds: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """A model as it was measured."""

    label: str
    identity: str
    prefix: str  # the rule of the first token
    token: str  # its id and text
    chat_template: str
    dtype: str
    revision: str
    rest: str  # everything else that was recorded, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class EditView:
    """An edit as it was learnt, once or with several seeds."""

    label: str
    method: str
    options: str
    origin: str  # what it learnt from
    seeds: str
    ends: tuple[tuple[str, str], ...]  # seed, and how training ended, if it is recorded
    reports: tuple[tuple[str, str], ...]  # seed, and everything else it says of itself, as JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """All of it."""

    data: tuple[DataFile, ...]
    settings: tuple[SettingView, ...]
    models: tuple[ModelView, ...]
    edits: tuple[EditView, ...]
    environments: tuple[tuple[tuple[str, str], ...], ...]
    comparisons: tuple[str, ...]  # draws and seeds of the paired bootstrap
    recipe: str  # as JSON; "" without one


def provenance(study: Study) -> Provenance:
    """Of every measurement in the study, compared or not."""
    labelled = list(_labelled(study))
    measured = [measurement for _, measurement in labelled]
    environments = dict.fromkeys(tuple(measurement.environment.items()) for measurement in measured)
    compared = [comparison for chapter in study.chapters for comparison in chapter.comparisons]
    return Provenance(
        data=tuple(_data_files(measured)),
        settings=tuple(_setting_views(measured)),
        models=tuple(_model_views(labelled)),
        edits=tuple(edit for chapter in study.chapters for edit in _edit_views(chapter)),
        environments=tuple(environments),
        comparisons=tuple(dict.fromkeys(map(_say_pairing, compared))),
        recipe=_to_pretty_json(study.recipe) if study.recipe else "",
    )


def flat(mapping: Mapping[str, object]) -> str:
    """A mapping on one line: "split_by "profession", split_seed 0"; "none" when it is empty."""
    texts = (
        f"{key} {json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in mapping.items()
    )
    return ", ".join(texts) or "none"


def _labelled(study: Study) -> Iterable[tuple[str, Measurement]]:
    """Each measurement with the names that a reader knows its model by."""
    for measured in study.measured:
        yield _label(measured.model, measured.mitigation, measured.seed), measured.measurement
    for chapter in study.chapters:
        for comparison in chapter.comparisons:
            yield chapter.model, comparison.before
            for after in comparison.afters:
                yield _label(chapter.model, chapter.mitigation, None), after


def _label(model: str, mitigation: str | None, seed: int | None) -> str:
    of_seed = "" if seed is None else f", seed {seed}"
    return model if mitigation is None else f"{mitigation} on {model}{of_seed}"


def _data_files(measured: Sequence[Measurement]) -> Iterable[DataFile]:
    readers: dict[tuple[str, str], list[str]] = {}
    files: dict[tuple[str, str], DataUse] = {}
    for measurement in measured:
        for use in measurement.data:
            files.setdefault((use.name, use.sha256), use)
            readers.setdefault((use.name, use.sha256), []).append(measurement.benchmark)
    for key, use in files.items():
        yield DataFile(
            name=use.name,
            sha256=use.sha256,
            licence=use.licence,
            official=use.verified,
            revision=use.revision or "none recorded",
            used_by=", ".join(dict.fromkeys(readers[key])),
        )


def _setting_views(measured: Sequence[Measurement]) -> Iterable[SettingView]:
    names = setting_names(measured)
    alike: dict[tuple[object, ...], list[Measurement]] = {}
    for measurement in measured:
        key = (setting_of(measurement), measurement.examples_sha256, measurement.cluster)
        alike.setdefault(key, []).append(measurement)
    for measurements in alike.values():
        measurement = measurements[0]
        yield SettingView(
            name=names[setting_of(measurement)],
            version=measurement.version,
            split=measurement.split,
            limit="all"
            if measurement.limit is None
            else f"{measurement.limit}, chosen by the seed",
            options=flat(measurement.options),
            examples_sha256=measurement.examples_sha256,
            clusters=measurement.cluster or "single examples",
            draws=", ".join(str(n) for n in dict.fromkeys(two.draws for two in measurements)),
            seeds=", ".join(str(n) for n in dict.fromkeys(two.seed for two in measurements)),
        )


def _model_views(labelled: Sequence[tuple[str, Measurement]]) -> Iterable[ModelView]:
    seen: set[tuple[str, str]] = set()
    for label, measurement in labelled:
        info = measurement.model_info
        key = (measurement.model, json.dumps(dict(info), default=str, sort_keys=True))
        if key not in seen:
            seen.add(key)
            yield _model_view(label, measurement.model, info)


def _model_view(label: str, identity: str, info: Mapping[str, JSON]) -> ModelView:
    token = info.get("start_token_id")
    text = info.get("start_token")
    shown = "" if text is None else f" ({json.dumps(text, ensure_ascii=False, default=str)})"
    return ModelView(
        label=label,
        identity=identity,
        prefix=_recorded(info, "prefix"),
        token="none" if token is None else f"{token}{shown}",
        chat_template=_recorded(info, "chat_template", missing="none"),
        dtype=_recorded(info, "dtype"),
        revision=_recorded(info, "revision"),
        rest=_to_pretty_json({key: value for key, value in info.items() if key not in _TOLD}),
    )


def _recorded(info: Mapping[str, JSON], key: str, *, missing: str = "not recorded") -> str:
    value = info.get(key)
    return missing if value is None else str(value)


def _edit_views(chapter: Chapter) -> Iterable[EditView]:
    """Edits that differ only in their seeds are one."""
    alike: dict[tuple[str, str, str], list[Mapping[str, JSON]]] = {}
    for edit in chapter.edits:
        options = edit.get("options")
        options_ = flat(options) if isinstance(options, dict) else str(options)
        alike.setdefault(
            (_recorded(edit, "method"), options_, _recorded(edit, "origin")), []
        ).append(edit)
    for (method, options_, origin), edits in alike.items():
        seeds = [_recorded(edit, "seed", missing="none") for edit in edits]
        reports = [{k: v for k, v in edit.items() if k not in _OF_EDIT} for edit in edits]
        yield EditView(
            label=_label(chapter.model, chapter.mitigation, None),
            method=method,
            options=options_,
            origin=origin,
            seeds=", ".join(seeds),
            ends=tuple(
                (seed, end)
                for seed, end in zip(seeds, map(_say_end, edits), strict=True)
                if end is not None
            ),
            reports=tuple(zip(seeds, map(_to_pretty_json, reports), strict=True)),
        )


def _say_end(edit: Mapping[str, JSON]) -> str | None:
    """How training ended and what of it was not kept; None where nothing is said of it."""
    report = edit.get("report")
    if not isinstance(report, dict) or "stopped" not in report:
        return None
    undone = f"; undone: {report['undone']}" if "undone" in report else ""
    return f"after {report.get('steps')} steps: {report['stopped']}{undone}"


def _say_pairing(comparison: Comparison) -> str:
    units = comparison.before.cluster or comparison.after.cluster or "examples"
    return (
        f"{comparison.draws:,} paired bootstrap draws of whole clusters ({units}), "
        f"seed {comparison.seed}"
    )


def _to_pretty_json(mapping: Mapping[str, object]) -> str:
    """Indented JSON; cut where a page could not hold it."""
    text = json.dumps(dict(mapping), indent=2, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST_RECIPE:
        return text
    return f"{text[:_LONGEST_RECIPE]}\n… (cut here: {len(text):,} characters in all)"
