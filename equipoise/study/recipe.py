"""Recipe: a study as data. Models x mitigations x benchmarks x seeds, read from YAML.

What can be wrong without opening a model is found here, with file, line and the nearest name.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from equipoise.errors import RecipeError, nearest
from equipoise.records import JSON, MOST_DRAWS, MOST_SEED, Margin, margin_of
from equipoise.study.yaml_lines import Node, read_yaml

T = TypeVar("T")

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)  # of planted bias, for a calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A plug-in's name and the options it is built with."""

    name: str
    options: Mapping[str, JSON] = field(default_factory=dict)
    label: str  # what readers call it; the name unless `as` says otherwise
    line: int = 0  # of the recipe
    lines: Mapping[str, int] = field(default_factory=dict)  # of each option


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as `load` takes it."""

    name: str
    label: str
    revision: str | None = None
    dtype: str = "auto"
    base: str | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkSpec:
    """A benchmark, the split that is measured, and of which models."""

    plugin: Spec
    split: str | None = None  # None: the benchmark's first
    edited: bool = True  # False: only models as they are are asked, never edited ones

    @property
    def label(self) -> str:
        """What readers call it."""
        return self.plugin.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to run. `seeds` are of the mitigations; `seed` of choices, sampled texts and draws."""

    source: str  # the file, for errors
    title: str
    models: tuple[ModelSpec, ...]
    benchmarks: tuple[BenchmarkSpec, ...]
    mitigations: tuple[Spec, ...] = ()
    locators: tuple[Spec, ...] = ()
    calibrate: tuple[Spec, ...] = ()  # benchmarks to hold against planted bias
    strengths: tuple[float, ...] = STRENGTHS
    supply: Spec
    seeds: tuple[int, ...] = (0,)
    seed: int = 0
    limit: int | None = None
    draws: int = 2000
    rankings: int = 5  # of each locator, each on other prompts
    sample: int = 100  # prompts of each
    examples: int = 10  # of the changed ones, kept for a comparison
    margins: Mapping[str, Margin] = field(default_factory=dict)  # by "benchmark.metric"
    lines: Mapping[str, int] = field(default_factory=dict)  # of each top-level key

    @classmethod
    def from_yaml(cls, file: Path | str) -> "Recipe":
        """Read a recipe. Raises `RecipeError` with file and line."""
        file = Path(file)
        return _recipe(read_yaml(file), file)

    def at(self, line: int) -> str:
        """How an error begins that is about a line."""
        return f"{self.source} line {line}" if line else self.source


_KEYS = (
    "title", "models", "benchmarks", "mitigations", "locators", "calibrate", "strengths",
    "supply", "seeds", "seed", "limit", "draws", "rankings", "sample", "examples", "margins",
)  # fmt: skip


def _recipe(node: Node, file: Path) -> Recipe:
    read = _Reading(str(file))
    top = read.mapping(node, "a recipe", _KEYS)
    for needed in ("models", "benchmarks"):
        if needed not in top:
            raise RecipeError(f"{file} must have '{needed}', it has none; name at least one")
    recipe = Recipe(
        source=str(file),
        title=read.text(top["title"], "title") if "title" in top else file.stem,
        models=read.several(top["models"], "models", read.model),
        benchmarks=read.several(top["benchmarks"], "benchmarks", read.benchmark),
        mitigations=read.several(top.get("mitigations"), "mitigations", read.spec),
        locators=read.several(top.get("locators"), "locators", read.spec),
        calibrate=read.several(top.get("calibrate"), "calibrate", read.spec),
        strengths=read.numbers(top.get("strengths"), STRENGTHS),
        supply=read.spec(top["supply"]) if "supply" in top else _SUPPLY,
        seeds=read.seeds(top.get("seeds")),
        seed=read.whole(top, "seed", 0, least=0, most=MOST_SEED),
        limit=read.whole(top, "limit", None, least=1),
        draws=read.whole(top, "draws", 2000, least=0, most=MOST_DRAWS),
        rankings=read.whole(top, "rankings", 5, least=1),
        sample=read.whole(top, "sample", 100, least=1),
        examples=read.whole(top, "examples", 10, least=0),
        margins=read.margins(top.get("margins")),
        lines=node.keys,
    )
    _check_labels(recipe)
    _check_margins(recipe)
    return recipe


_SUPPLY = Spec(name="genbias", label="genbias")


class _Reading:
    """Nodes of one file to values; every complaint has its line."""

    def __init__(self, source: str) -> None:
        self.source = source

    def refuse(self, line: int, sentence: str) -> RecipeError:
        return RecipeError(f"{self.source} line {line}: {sentence}")

    def mapping(self, node: Node, what: str, known: Iterable[str]) -> Mapping[str, Node]:
        if not isinstance(node.value, Mapping):
            raise self.refuse(
                node.line, f"{what} must be a mapping, got {_shown(node)}; write 'key: value' lines"
            )
        for key, line in node.keys.items():
            if key not in known:
                raise self.refuse(line, f"{what} has no key '{key}'; {nearest(key, known)}")
        return node.value

    def text(self, node: Node, what: str) -> str:
        if not isinstance(node.value, str) or not node.value.strip():
            raise self.refuse(
                node.line, f"{what} must be a text, got {_shown(node)}; put it in quotes"
            )
        return node.value

    def several(self, node: Node | None, what: str, read: Callable[[Node], T]) -> tuple[T, ...]:
        if node is None or node.value is None:
            return ()
        items = node.value if isinstance(node.value, tuple) else (node,)
        if not items and what in ("models", "benchmarks"):
            raise self.refuse(node.line, f"{what} must be at least one, got {len(items)}; name one")
        return tuple(read(item) for item in items)

    def spec(self, node: Node, reserved: Sequence[str] = ()) -> Spec:
        if isinstance(node.value, str):
            return Spec(name=node.value, label=node.value, line=node.line)
        if not isinstance(node.value, Mapping) or "name" not in node.value:
            raise self.refuse(
                node.line,
                f"this must be a name, or a mapping with a 'name', got {_shown(node)}; name it",
            )
        name = self.text(node.value["name"], "name")
        label = self.text(node.value["as"], "as") if "as" in node.value else name
        rest = {k: v for k, v in node.value.items() if k not in ("name", "as", *reserved)}
        return Spec(
            name=name,
            options={key: one.plain() for key, one in rest.items()},
            label=label,
            line=node.line,
            lines={key: node.keys[key] for key in rest},
        )

    def benchmark(self, node: Node) -> BenchmarkSpec:
        spec = self.spec(node, reserved=("split", "edited"))
        given = node.value if isinstance(node.value, Mapping) else {}
        edited = given["edited"].value if "edited" in given else True
        if not isinstance(edited, bool):
            raise self.refuse(
                given["edited"].line, f"edited must be true or false, got {edited!r}; choose one"
            )
        split = self.text(given["split"], "split") if "split" in given else None
        return BenchmarkSpec(plugin=spec, split=split, edited=edited)

    def model(self, node: Node) -> ModelSpec:
        if isinstance(node.value, str):
            return ModelSpec(name=node.value, label=node.value, line=node.line)
        given = self.mapping(node, "a model", ("name", "as", "revision", "dtype", "base"))
        texts = {key: self.text(one, key) for key, one in given.items()}
        if "name" not in texts:
            raise self.refuse(node.line, f"a model must have a 'name', got {_shown(node)}; name it")
        return ModelSpec(
            name=texts["name"],
            label=texts.get("as", texts["name"]),
            revision=texts.get("revision"),
            dtype=texts.get("dtype", "auto"),
            base=texts.get("base"),
            line=node.line,
        )

    def whole(
        self,
        top: Mapping[str, Node],
        key: str,
        default: T,
        *,
        least: int,
        most: int | None = None,
    ) -> int | T:
        if key not in top or top[key].value is None:
            return default
        value = top[key].value
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.refuse(
                top[key].line,
                f"{key} must be a whole number from {least} on, got {_shown(top[key])}; mend it",
            )
        if most is not None and value > most:
            raise self.refuse(
                top[key].line,
                f"{key} must be at most {most}, got {_shown(top[key])}; take a smaller one",
            )
        return value

    def seeds(self, node: Node | None) -> tuple[int, ...]:
        if node is None:
            return (0,)
        items = node.value if isinstance(node.value, tuple) else (node,)
        found = tuple(
            self.whole({"a seed": item}, "a seed", -1, least=0, most=MOST_SEED) for item in items
        )
        if not found or len(set(found)) < len(found):
            raise self.refuse(
                node.line, f"seeds must be one or more, all different, got {list(found)}; mend them"
            )
        return found

    def numbers(self, node: Node | None, default: tuple[float, ...]) -> tuple[float, ...]:
        if node is None:
            return default
        items = node.value if isinstance(node.value, tuple) else (node,)
        found = []
        for item in items:
            value = item.value
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise self.refuse(
                    item.line, f"a strength must be from 0 to 1, got {_shown(item)}; mend it"
                )
            found.append(float(value))
        return tuple(found)

    def margins(self, node: Node | None) -> dict[str, Margin]:
        if node is None or node.value is None:
            return {}
        if not isinstance(node.value, Mapping):
            raise self.refuse(
                node.line,
                f"margins must be a mapping of benchmark.metric, got {_shown(node)}; write "
                "'stereoset.ss: 3'",
            )
        return {key: self._margin(key, one) for key, one in node.value.items()}

    def _margin(self, key: str, node: Node) -> Margin:
        try:
            return margin_of(node.value)
        except ValueError:
            raise self.refuse(
                node.line,
                f"the margin of {key} must be a number above 0, or a share such as 2%, got "
                f"{_shown(node)}; mend it",
            ) from None


def _shown(node: Node) -> str:
    text = repr(node.plain())
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
        seen: set[str] = set()
        for spec in specs:
            line = spec.plugin.line if isinstance(spec, BenchmarkSpec) else spec.line
            if spec.label in seen:
                raise RecipeError(
                    f"{recipe.at(line)}: each of the {kind} needs a name of its own, got "
                    f"'{spec.label}' twice; give one of them 'as: ANOTHER NAME'"
                )
            seen.add(spec.label)


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
