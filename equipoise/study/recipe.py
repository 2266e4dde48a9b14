"""Recipe: a study as data. Models x mitigations x benchmarks x seeds, read from YAML.

Mistakes that need no model to be seen are refused here, with file, line and the nearest name.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import asdict, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.dataclasses import dataclass

from equipoise.conclusions import margin_of
from equipoise.errors import RecipeError, nearest
from equipoise.files.yaml_data import Lines, read_yaml
from equipoise.records import JSON, MOST_DRAWS, MOST_SEED, Margin
from equipoise.study.resource_spec import ResourceSpec

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of planted bias, for a calibration

_CONFIG = ConfigDict(
    extra="forbid", strict=True, allow_inf_nan=False, validate_by_name=True, validate_by_alias=True
)
#: In parentheses: keys that no recipe has, so that a recipe's own key of that name is refused.
_SOURCE, _FOLDER, _LINE, _LINES = "(source)", "(folder)", "(line)", "(lines)"

#: Variables that name folders, relative to where the command was given.
_FOLDERS = ("EQUIPOISE_DATA", "EQUIPOISE_CACHE")

Text: TypeAlias = Annotated[str, StringConstraints(pattern=r"\S")]
Count: TypeAlias = Annotated[int, Field(ge=1)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=MOST_SEED)]
Strength: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Share: TypeAlias = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Entry:
    """Something that a recipe lists, and the line where."""

    name: Text
    label: Text = Field(validation_alias="as")  # what readers call it; else the name
    line: int = Field(default=0, validation_alias=_LINE)  # of the recipe


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Spec(Entry):
    """A plug-in's name and the options it is built with."""

    options: Mapping[str, JSON] = field(default_factory=dict)
    #: Of each option.
    lines: Mapping[str, int] = Field(default_factory=dict, validation_alias=_LINES)


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class ChatSpec:
    """How a model is asked inside its turns, as `LanguageModel.in_chat` takes it."""

    system: str | None = None
    turn: Literal["user", "assistant"] | None = None
    request: Text | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.request is not None and self.turn != "assistant":
            raise ValueError(
                "a request stands before text in the model's turn, 'turn: assistant', not "
                f"{self.turn}"
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class ModelSpec(Entry):
    """A model as `load` takes it."""

    revision: Text | None = None
    dtype: Text = "auto"
    quantize: Text = "auto"
    base: Text | None = None
    trust_remote_code: bool = False  # Python code that the model or its base brings may run
    start: Text = "auto"
    chat: ChatSpec | None = None  # asked inside its turns; None: as plain text
    server: Mapping[str, JSON] = field(default_factory=dict)  # of one behind openai: its options

    @property
    def chat_options(self) -> Mapping[str, Any] | None:
        """What `LanguageModel.in_chat` is given; None: asked as plain text."""
        if self.chat is None:
            return None
        return {key: value for key, value in asdict(self.chat).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class BenchmarkSpec(Spec):
    """A benchmark, the split that is measured, and of which models."""

    split: Text | None = None  # None: the benchmark's first
    edited: bool = True  # False: only models as they are are measured, never edited
    headline: tuple[Text, ...] = ()  # metrics that are said first; (): the benchmark's


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class MitigationSpec(Spec):
    """A mitigation, what it learns from and what its measurements are compared with."""

    against: Text | None = None  # label of another mitigation; None: the model as it is
    supply: Spec | None = None  # None: the recipe's, else the method's usual one
    resources: ResourceSpec = ResourceSpec()  # of its trainings, over those of the recipe


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class LocatorSpec(Spec):
    """A locator, and what it ranks on where that is not the recipe's supply."""

    supply: Spec | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class AttributorSpec(Spec):
    """An attributor, and whose rows and probes it takes where these are not the recipe's."""

    supply: Spec | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class AttributionSpec:
    """How attributions are judged: by labels, and by models that are trained without rows."""

    #: Of the labelled rows, selected from the highest score down.
    shares: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.05, 0.10, 0.15, 0.35)
    subsets: Annotated[int, Field(ge=0)] = 0  # of the leave-out check; 0: it is not made
    fraction: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of the rows, in each subset
    removal: tuple[Share, ...] = ()  # shares of the rows without which models are trained; (): none
    seeds: Count = 3  # models of each training set
    #: How they are trained: options of `training.text_training.TextTraining`.
    training: Mapping[str, JSON] = field(default_factory=dict)


def _refuse_repeats(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must all be different, got {list(seeds)}")
    return seeds


def _read_margin(value: object) -> Margin:
    return value if isinstance(value, Margin) else margin_of(value)


@dataclass(frozen=True, slots=True, kw_only=True, config=_CONFIG)
class Recipe:
    """What to run. `seeds` are of the mitigations; `seed` of choices, sampled texts and draws."""

    source: str = Field(validation_alias=_SOURCE)  # the file, for errors
    folder: str | None = Field(default=None, validation_alias=_FOLDER)  # the file's, absolute
    title: Text
    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1)]
    benchmarks: Annotated[tuple[BenchmarkSpec, ...], Field(min_length=1)]
    mitigations: tuple[MitigationSpec, ...] = ()
    #: Whether word tables join methods that learn from StereoSet (`study.controls`).
    controls: bool = True
    locators: tuple[LocatorSpec, ...] = ()
    attributors: tuple[AttributorSpec, ...] = ()
    attribution: AttributionSpec = AttributionSpec()
    calibrate: tuple[Spec, ...] = ()  # benchmarks to calibrate with planted bias
    strengths: tuple[Strength, ...] = STRENGTHS
    supply: Spec = Spec(name="genbias", label="genbias")
    data: Text | None = None  # a data folder, or planted:NAME for the items of a world
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1), AfterValidator(_refuse_repeats)] = (0,)
    seed: Seed = 0
    limit: Count | None = None
    draws: Annotated[int, Field(ge=0, le=MOST_DRAWS)] = 2000
    resources: ResourceSpec = (
        ResourceSpec()
    )  # of steps that open a model, where a cluster runs them
    nulls: bool = True  # beside each number what rules without bias get on the same items
    rankings: Count = 5  # of each locator, each on other prompts
    sample: Count = 100  # prompts of each
    examples: Annotated[int, Field(ge=0)] = 10  # of those that changed, stored with a comparison
    #: By "benchmark.metric".
    margins: Mapping[str, Annotated[Margin, PlainValidator(_read_margin)]] = field(
        default_factory=dict
    )
    #: Of each top-level key.
    lines: Mapping[str, int] = Field(default_factory=dict, validation_alias=_LINES)

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
            # as JSON: strict pydantic then takes a list as a tuple, but neither "1" nor true as 1
            text = json.dumps(_write_out(data, lines, file))
            recipe = TypeAdapter(cls).validate_json(text, strict=True)
        except ValidationError as error:
            raise RecipeError(_explain(error, lines, file)) from None
        _check_labels(recipe)
        _check_against(recipe)
        return recipe

    def margins_of(self, benchmark: str) -> dict[str, Margin]:
        """The margins of a benchmark's metrics, by "benchmark.metric"."""
        return {
            key: margin
            for key, margin in self.margins.items()
            if key.rpartition(".")[0] == benchmark
        }

    def supply_of(self, entry: LocatorSpec | AttributorSpec | MitigationSpec, usual: str) -> Spec:
        """What an entry reads: its own supply, else the recipe's, else its usual supply."""
        if entry.supply is not None:
            return entry.supply
        return (
            self.supply
            if "supply" in self.lines
            else Spec(name=usual, label=usual, line=entry.line)
        )

    @contextmanager
    def in_folder(self) -> Iterator[None]:
        """A `with` block in the recipe's folder: what paths of the recipe are relative to.

        The process's own working folder, so that names stay in results as the recipe has them.
        """
        with ExitStack() as undo:
            if self.folder is not None:
                for name in _FOLDERS:
                    if given := os.environ.get(name):
                        undo.callback(os.environ.__setitem__, name, given)
                        os.environ[name] = str(Path(given).expanduser().absolute())
                undo.enter_context(chdir(self.folder))
            yield

    def at(self, line: int) -> str:
        """How an error begins that is about a line."""
        return f"{self.source} line {line}" if line else self.source


_ENTRIES = ("models", "benchmarks", "mitigations", "locators", "attributors", "calibrate")
#: Keys of an entry that are no options of its plug-in.
_OWN_KEYS: Mapping[str, frozenset[str]] = {
    "benchmarks": frozenset({"split", "edited", "headline"}),
    "mitigations": frozenset({"against", "supply", "resources"}),
    "locators": frozenset({"supply"}),
    "attributors": frozenset({"supply"}),
}


def _write_out(data: Mapping[str, JSON], lines: Lines, file: Path) -> dict[str, Any]:
    """The recipe without its short forms, each entry with its lines."""
    recipe: dict[str, Any] = {"title": file.stem}
    # YAML reads a key with nothing behind it as null: its default holds
    recipe |= {key: value for key, value in data.items() if value is not None}
    for key in recipe.keys() & {*_ENTRIES, "seeds", "strengths"}:
        if not isinstance(recipe[key], list):
            recipe[key] = [recipe[key]]
    for key in recipe.keys() & _ENTRIES:
        recipe[key] = [
            _write_out_entry(key, entry, lines, (key, index))
            for index, entry in enumerate(recipe[key])
        ]
    if "supply" in recipe:
        recipe["supply"] = _write_out_entry("supply", recipe["supply"], lines, ("supply",))
    top = {str(path[0]): line for path, line in lines.items() if len(path) == 1}
    return {**recipe, _SOURCE: str(file), _FOLDER: str(file.parent.absolute()), _LINES: top}


def _write_out_entry(kind: str, entry: Any, lines: Lines, path: tuple[str | int, ...]) -> Any:
    """A name as a mapping with that name; the options of a plug-in apart."""
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, dict):
        return entry
    label = {"as": entry["name"]} if "name" in entry else {}
    line = {_LINE: _line_of(path, lines)}
    if kind == "models":
        # "chat: true" takes the defaults
        if isinstance(entry.get("chat"), bool):
            entry = {**entry, "chat": {} if entry["chat"] else None}
        return {**label, **entry, **line}
    own_keys = _OWN_KEYS.get(kind, frozenset())
    if "supply" in own_keys and entry.get("supply") is not None:
        inner = _write_out_entry("supply", entry["supply"], lines, (*path, "supply"))
        entry = {**entry, "supply": inner}
    keys = {"name", "as"} | own_keys
    options = {key: value for key, value in entry.items() if key not in keys}
    named = {key: value for key, value in entry.items() if key in keys}
    option_lines = {key: _line_of((*path, key), lines) for key in options}
    return {**label, **named, **line, "options": options, _LINES: option_lines}


def _line_of(path: Sequence[str | int], lines: Lines) -> int:
    """The line of a value, or of the nearest value around it."""
    while tuple(path) not in lines:
        path = path[:-1]
    return lines[tuple(path)]


def _explain(error: ValidationError, lines: Lines, file: Path) -> str:
    """A sentence about the first mistake, with its line."""
    # a misspelt key first, for it is why another is missing; a label is missing where its name is;
    # a list lacks the entries that could not be read
    first = min(
        error.errors(),
        key=lambda detail: (
            detail["type"] != "unexpected_keyword_argument",
            detail["type"] == "missing" and detail["loc"][-1] == "as",
            -len(detail["loc"]),
        ),
    )
    path = first["loc"]
    where = f"{file} line {_line_of(path, lines)}"
    name = ".".join(map(str, path))
    match first["type"]:
        case "unexpected_keyword_argument":
            spec: type[Any] = ModelSpec if path[0] == "models" else Recipe
            spec = ChatSpec if "chat" in path[:-1] else spec
            spec = AttributionSpec if path[0] == "attribution" and len(path) == 2 else spec
            spec = ResourceSpec if "resources" in path[:-1] else spec
            known = {"as", *(spec_field.name for spec_field in fields(spec))}
            entry = spec is ModelSpec
            known -= {"label", "line", "lines", "source", "folder"} | (set() if entry else {"as"})
            return f"{where}: a recipe has no key '{name}'; {nearest(str(path[-1]), known)}"
        case "missing":
            return f"{where}: a recipe must have '{name}', it has none; write it"
        case "dataclass_type" | "dataclass_exact_type" if path[-1] == "chat":
            given = _clip(first["input"])
            return (
                f"{where}: {name} must be true, false or a mapping, got {given}; write one of them"
            )
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
    for kind in _ENTRIES:
        labels: set[str] = set()
        entries: tuple[Entry, ...] = getattr(recipe, kind)
        for entry in entries:
            if entry.label in labels:
                raise RecipeError(
                    f"{recipe.at(entry.line)}: each of the {kind} needs a name of its own, got "
                    f"'{entry.label}' twice; give it 'as: ANOTHER NAME'"
                )
            labels.add(entry.label)


def _check_against(recipe: Recipe) -> None:
    """Each label that a mitigation is compared with must be of another, and they of no circle."""
    against = {spec.label: spec.against for spec in recipe.mitigations}
    for spec in recipe.mitigations:
        where, label = recipe.at(spec.line), spec.against
        if label is not None and label not in against:
            raise RecipeError(
                f"{where}: against must name a mitigation of this recipe, got '{label}'; "
                f"{nearest(label, against.keys() - {spec.label})}"
            )
        chain = [spec.label]
        while label is not None and label not in chain:
            chain.append(label)
            label = against[label]
        if label == spec.label:
            circle = " against ".join(f"'{each}'" for each in (*chain, label))
            raise RecipeError(
                f"{where}: against must lead to the model as it is, got {circle}; leave it out of "
                f"'{chain[-1]}'"
            )
