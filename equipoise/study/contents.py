"""What the results of a plug-in and of its data depend on, as JSON: the content of keys."""

import dataclasses
from typing import Any, Final

from equipoise import plugins
from equipoise.attribute.base import Attributor
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data.sources import not_fetching
from equipoise.errors import DataError, EquipoiseError, PackageError
from equipoise.faultless import lists_used
from equipoise.judge.base import Judge
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON
from equipoise.text_scorers.base import TextScorer


def plugin_content(built: Any) -> dict[str, JSON]:
    """A plug-in as JSON; those that are its options have versions and files of their own."""
    fields = dataclasses.fields(built) if dataclasses.is_dataclass(built) else ()
    values = [getattr(built, field.name) for field in fields if field.init]
    return {
        "name": plugins.name_of(built),
        "version": built.version,
        "file_sha256": plugins.file_sha256_of(built),
        "options": plugins.options_of(built, transport=False),
        "inside": [
            plugin_content(part)
            for value in values
            for part in (value if isinstance(value, tuple) else (value,))
            if isinstance(part, Benchmark | Mitigation | Locator | Attributor | Judge | TextScorer)
        ],
        **({"files": dict(built.files())} if isinstance(built, plugins.ReadsFiles) else {}),
    }


#: What is raised for what is not on this machine.
NOT_AT_HAND: Final = (DataError, PackageError, OSError)


def why_missing(built: AnyBenchmark, split: str) -> str | None:
    """Why a benchmark's files, or the package that reads them, are not at hand; None: they are."""
    try:
        with not_fetching():
            built.files(split)
    except NOT_AT_HAND as error:
        return " ".join(str(error).split())
    return None


def data_content(built: AnyBenchmark, split: str) -> JSON:
    """Names and hashes of the files behind a benchmark; empty while they are missing."""
    try:
        files = (*built.files(split), *lists_used(built, plugins.name_of(built)))
        return [{"name": file.name, "sha256": file.sha256} for file in files]
    except (EquipoiseError, OSError):
        return []
