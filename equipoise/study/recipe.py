"""Recipe: a study as data. Models x mitigations x benchmarks x seeds, read from YAML.

Mistakes that need no model to be seen are refused here, with file, line and the nearest name.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from equipoise.errors import RecipeError, nearest
from equipoise.records import JSON, MOST_DRAWS, MOST_SEED, Margin, margin_of
from equipoise.study.recipe_yaml import Lines, read_yaml

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of planted bias, for a calibration

_CONFIG = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
)
#: In parentheses: keys that no recipe has, so that a recipe's own key of that name is refused.
_SOURCE, _LINE, _LINES = "(source)", "(line)", "(lines)"

Text: TypeAlias = Annotated[str, StringConstraints(pattern=r"\S")]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=MOST_SEED)]
Strength: TypeAlias = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Spec:
    """A plug-in's name and the options it is built with."""

    name: Text
    label: Text = Field(validation_alias="as")  # what readers call it; else the name
    options: Mapping[str, JSON] = field(default_factory=dict)
    line: int = Field(default=0, validation_alias=_LINE)  # of the recipe
    lines: Mapping[str, int] = Field(
        default_factory=dict, validation_alias=_LINES
    )  # of each option


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class ModelSpec:
    """A model as `load` takes it."""

    name: Text
    label: Text = Field(validation_alias="as")
    revision: Text | None = None
    dtype: Text = "auto"
    base: Text | None = None
    line: int = Field(default=0, validation_alias=_LINE)


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class BenchmarkSpec:
    """A benchmark, the split that is measured, and of which models."""

    plugin: Spec
    split: Text | None = None  # None: the benchmark's first
    edited: bool = True  # False: only models as they are are measured, never edited ones

    @property
    def label(self) -> str:
        """What readers call it."""
        return self.plugin.label

    @property
    def line(self) -> int:
        """Of the recipe."""
        return self.plugin.line


def _refuse_repeats(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must all be different, got {list(seeds)}")
    return seeds


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Recipe:
    """What to run. `seeds` are of the mitigations; `seed` of choices, sampled texts and draws."""

    source: str = Field(validation_alias=_SOURCE)  # the file, for errors
    title: Text
    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1)]
    benchmarks: Annotated[tuple[BenchmarkSpec, ...], Field(min_length=1)]
    mitigations: tuple[Spec, ...] = ()
    locators: tuple[Spec, ...] = ()
    calibrate: tuple[Spec, ...] = ()  # benchmarks to calibrate with planted bias
    strengths: tuple[Strength, ...] = STRENGTHS
    supply: Spec = Spec(name="genbias", label="genbias")
    data: Text | None = None  # a data folder, or planted:NAME for the items of a world
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_refuse_repeats)] = (0,)
    seed: Seed = 0
    limit: Count | None = None
    draws: Annotated[int, Field(ge=0, le=MOST_DRAWS)] = 2000
    rankings: Count = 5  # of each locator, each on other prompts
    sample: Count = 100  # prompts of each
    examples: Annotated[int, Field(ge=0)] = 10  # of the changed ones, stored with a comparison
    #: By "benchmark.metric".
    margins: Mapping[str, Annotated[Margin, PlainValidator(margin_of)]] = field(
        default_factory=dict
    )
    lines: Mapping[str, int] = Field(
        default_factory=dict, validation_alias=_LINES
    )  # of each top-level key

    @classmethod
    def from_yaml(cls, file: Path | str) -> "Recipe":
        """Read a recipe. Raises `RecipeError` with file and line."""
        file = Path(file)
        data, lines = read_yaml(file)
        if not isinstance(data, dict):
            raise RecipeError(
                f"{file} line {lines[()]}: a recipe must be a mapping, got {_clip(data)}; write "
                "'key: value' lines"
            )
        try:
            recipe = TypeAdapter(cls).validate_json(
                json.dumps(_write_out(data, lines, file)), strict=True
            )
        except ValidationError as error:
            raise RecipeError(_explain(error, lines, file)) from None
        _check_labels(recipe)
        _check_margins(recipe)
        return recipe

    def at(self, line: int) -> str:
        """How an error begins that is about a line."""
        return f"{self.source} line {line}" if line else self.source


_PLUGINS = ("benchmarks", "mitigations", "locators", "calibrate")


def _write_out(data: Mapping[str, JSON], lines: Lines, file: Path) -> dict[str, Any]:
    """The recipe without its short forms, each entry with its lines."""
    recipe: dict[str, Any] = {"title": file.stem}
    for key, value in data.items():
        if value is None:
            continue
        listed = key in (*_PLUGINS, "models", "seeds", "strengths") and not isinstance(value, list)
        recipe[key] = [value] if listed else value
    for key in ("models", *_PLUGINS):
        if key in recipe:
            recipe[key] = [
                _write_out_entry(key, entry, lines, (key, index))
                for index, entry in enumerate(recipe[key])
            ]
    if "supply" in recipe:
        recipe["supply"] = _write_out_entry("supply", recipe["supply"], lines, ("supply",))
    top = {str(path[0]): line for path, line in lines.items() if len(path) == 1}
    return {**recipe, _SOURCE: str(file), _LINES: top}


def _write_out_entry(kind: str, entry: Any, lines: Lines, path: tuple[str | int, ...]) -> Any:
    """A name as a mapping with that name; the options of a plug-in apart."""
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict):
        return entry
    label = {"as": entry["name"]} if "name" in entry else {}
    line = {_LINE: _line_of(path, lines)}
    if kind == "models":
        return {**label, **entry, **line}
    named = {key: entry[key] for key in ("name", "as") if key in entry}
    reserved = {key: entry[key] for key in ("split", "edited") if key in entry}
    if kind != "benchmarks":
        reserved = {}
    options = {key: entry[key] for key in entry if key not in named and key not in reserved}
    option_lines = {key: _line_of((*path, key), lines) for key in options}
    spec = {**label, **named, **line, "options": options, _LINES: option_lines}
    return {"plugin": spec, **reserved} if kind == "benchmarks" else spec


def _line_of(path: Sequence[str | int], lines: Lines) -> int:
    """The line of a value, or of the nearest value around it."""
    while tuple(path) not in lines:
        path = path[:-1]
    return lines[tuple(path)]


def _explain(error: ValidationError, lines: Lines, file: Path) -> str:
    """One sentence about the first mistake, with its line."""
    # a misspelt key first, for it is why another is missing; a label is missing where its name is
    first = min(
        error.errors(),
        key=lambda detail: (
            detail["type"] != "unexpected_keyword_argument",
            detail["loc"][-1:] == ("as",),
        ),
    )
    path = first["loc"]
    where = f"{file} line {_line_of(path, lines)}"
    name = ".".join(str(part) for part in path if part != "plugin")
    match first["type"]:
        case "unexpected_keyword_argument":
            spec: type[Any] = ModelSpec if path[0] == "models" else Recipe
            known = {"as", *(spec_field.name for spec_field in fields(spec))}
            known -= {"label", "line", "lines", "source"} | ({"as"} if spec is Recipe else set())
            return f"{where}: a recipe has no key '{name}'; {nearest(str(path[-1]), known)}"
        case "missing":
            return f"{where}: a recipe must have '{name}', it has none; write it"
        case "dataclass_type" | "dataclass_exact_type":
            return (
                f"{where}: {name} must be a name, or a mapping with a 'name', got "
                f"{_clip(first['input'])}; name it"
            )
        case _:
            message = first["msg"].removeprefix("Value error, ")
            return f"{where}: {name}: {message}, got {_clip(first['input'])}; change it"


def _clip(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_labels(recipe: Recipe) -> None:
    kinds: Mapping[str, Sequence[Spec | ModelSpec | BenchmarkSpec]] = {
        "models": recipe.models,
        "benchmarks": recipe.benchmarks,
        "mitigations": recipe.mitigations,
        "locators": recipe.locators,
        "calibrate": recipe.calibrate,
    }
    for kind, specs in kinds.items():
        labels: set[str] = set()
        for spec in specs:
            if spec.label in labels:
                raise RecipeError(
                    f"{recipe.at(spec.line)}: each of the {kind} needs a name of its own, got "
                    f"'{spec.label}' twice; give it 'as: ANOTHER NAME'"
                )
            labels.add(spec.label)


def _check_margins(recipe: Recipe) -> None:
    known = {benchmark.plugin.name for benchmark in recipe.benchmarks}
    for key in recipe.margins:
        name, dot, _ = key.rpartition(".")
        if not dot or name not in known:
            line = recipe.lines.get("margins", 0)
            raise RecipeError(
                f"{recipe.at(line)}: a margin is of benchmark.metric with a benchmark of this "
                f"recipe, got '{key}'; {nearest(name or key, known)}"
            )
