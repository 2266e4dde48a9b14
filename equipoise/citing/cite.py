"""BibTeX of everything that a result rests on: benchmarks, methods, scorers, judges, data.

`citations.yaml` says by kind and name of a plug-in which entries of `references.bib` it rests on; a
test holds them complete. A plug-in of another package has its own `paper`, which is not looked up.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from equipoise.files.yaml_data import parse_yaml
from equipoise.records import JSON, DataUse, Measurement

_FOLDER = Path(__file__).parent
#: Options whose values name plug-ins, and of which kind.
_NAMING: Final[Mapping[str, str]] = {
    "scorer": "scorer",
    "scorers": "scorer",
    "judge": "judge",
    "locator": "locator",
    "attributor": "attributor",
}
#: Keys of a recipe that list plug-ins.
_LISTING: Final[Mapping[str, str]] = {
    "benchmarks": "benchmark",
    "calibrate": "benchmark",
    "mitigations": "mitigation",
    "locators": "locator",
    "attributors": "attributor",
    "supply": "supply",
}
_ENTRY = re.compile(r"^@(\w+)\{([\w-]+),\n.*?^\}\n?", re.MULTILINE | re.DOTALL)
_WORDS = "English frequency"  # how the null rules of wordfreq are called


@dataclass(frozen=True, slots=True, order=True)
class Used:
    """A plug-in that a result rests on."""

    kind: str  # "benchmark", "supply", "locator", "attributor", "mitigation", "judge", "scorer", …
    name: str


@cache
def read_citations() -> Mapping[Used, tuple[str, ...]]:
    """The keys of the entries that each plug-in rests on."""
    data, _ = parse_yaml((_FOLDER / "citations.yaml").read_text(encoding="utf-8"), "citations.yaml")
    assert isinstance(data, dict)
    return {
        Used(kind, name): tuple(map(str, keys))
        for kind, plugins in data.items()
        if isinstance(plugins, dict)
        for name, keys in plugins.items()
        if isinstance(keys, list)
    }


@cache
def read_references() -> Mapping[str, str]:
    """BibTeX entries by their key."""
    text = (_FOLDER / "references.bib").read_text(encoding="utf-8")
    return {match[2]: match[0].strip() for match in _ENTRY.finditer(text)}


def used_in(measurements: Iterable[Measurement], recipe: Mapping[str, JSON]) -> list[Used]:
    """The plug-ins behind measurements and a recipe (`Study.recipe`), each once, by kind."""
    used = set[Used]()
    for measurement in measurements:
        used.add(Used("benchmark", measurement.benchmark))
        used.update(_named_in(measurement.options))
        edits = measurement.model_info.get("edits")
        for edit in edits if isinstance(edits, list) else []:
            if isinstance(edit, dict):
                used.update(_used_by_edit(edit))
        if any(_WORDS in reference.name for reference in measurement.references):
            used.add(Used("null", "english_frequency"))
    for key, kind in _LISTING.items():
        entries = recipe.get(key)
        for entry in entries if isinstance(entries, list) else [entries]:
            used.update(_used_by_entry(entry, kind))
    return sorted(used)


def _used_by_edit(edit: Mapping[str, JSON]) -> Iterator[Used]:
    yield Used("mitigation", str(edit.get("method")))
    yield from _named_in(edit.get("options"))
    supply = re.match(r"\w+", str(edit.get("origin") or ""))
    if supply and Used("supply", supply[0]) in read_citations():
        yield Used("supply", supply[0])


def _used_by_entry(entry: JSON, kind: str) -> Iterator[Used]:
    if isinstance(entry, str):
        yield Used(kind, entry)
    elif isinstance(entry, dict) and isinstance(entry.get("name"), str):
        yield Used(kind, str(entry["name"]))
        yield from _named_in(entry.get("options"))
        yield from _used_by_entry(entry.get("supply"), "supply")


def _named_in(options: JSON | Mapping[str, JSON]) -> Iterator[Used]:
    """Plug-ins that options name, by name or as a mapping with a name."""
    for key, value in options.items() if isinstance(options, Mapping) else ():
        if key in _NAMING:
            for item in value if isinstance(value, list) else [value]:
                yield from _used_by_entry(item, _NAMING[key])


def bibtex(
    used: Sequence[Used], data: Iterable[DataUse], *, title: str, version: str | None = None
) -> str:
    """BibTeX of plug-ins and of Equipoise itself, each entry once, with what rests on it above.

    `data`: files, which are listed in comments with their licence and hash, as are plug-ins of
    which no paper is known here. `version`: of Equipoise, that measured.
    """
    citations, references = read_citations(), read_references()
    reasons: dict[str, list[str]] = {}
    silent, unknown = [], []
    for plugin in used:
        keys = citations.get(plugin)
        if keys is None:
            unknown.append(f"{plugin.kind} {plugin.name}")
        elif not keys:
            silent.append(f"{plugin.kind} {plugin.name}")
        for key in keys or ():
            reasons.setdefault(key, []).append(f"{plugin.kind} {plugin.name}")
    parts = [_own_entry(title, version)]
    parts += [f"% {', '.join(names)}\n{references[key]}" for key, names in reasons.items()]
    if silent:
        parts.append(f"% No paper of others: {', '.join(silent)}.")
    if unknown:
        parts.append(
            f"% Not known here, see `equipoise describe NAME`: {_comment(', '.join(unknown))}."
        )
    files = {use.name: use for use in data}
    if files:
        about = "%   {}, sha256 {}, {}"
        lines = [
            about.format(
                _comment(name), use.sha256[:12], _comment(use.licence or "no licence stated")
            )
            for name, use in sorted(files.items())
        ]
        parts.append("\n".join(["% Data:", *lines]))
    return "\n\n".join(parts) + "\n"


def _own_entry(title: str, version: str | None) -> str:
    stated = f"  version = {{{version}}},\n" if version else ""
    return (
        f"% What {_comment(title)} rests on.\n"
        "@software{equipoise,\n"
        "  title = {Equipoise},\n"
        "  author = {{The Equipoise developers}},\n"
        f"{stated}}}"
    )


def _comment(text: str) -> str:
    """A text that stays on its line of a comment."""
    return " ".join(text.split())
