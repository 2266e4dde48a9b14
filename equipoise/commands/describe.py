"""`equipoise list` and `equipoise describe`: what is installed, and what a plug-in is."""

import dataclasses
import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from equipoise.commands.flags import AsJson
from equipoise.describe import KINDS, describe_options, find_plugins, summaries, summary_of
from equipoise.errors import RecipeError


def list_(as_json: AsJson = False) -> None:
    """Name every plug-in that is installed, by kind."""
    installed = {kind: summaries(group) for kind, group in KINDS.items()}
    if as_json:
        print(json.dumps(installed, ensure_ascii=False))
        return
    width = max(len(name) for plugins in installed.values() for name in plugins)
    for kind, plugins in installed.items():
        print(f"{kind}:")
        for name, summary in plugins.items():
            print(f"  {name.ljust(width)}  {summary}".rstrip())


def plugin_bases() -> dict[str, type]:
    """The class that plug-ins of each kind derive from."""
    from equipoise.attribute.base import Attributor
    from equipoise.benchmarks.base import Benchmark
    from equipoise.judge.base import Judge
    from equipoise.locate.base import Locator
    from equipoise.mitigate.base import Mitigation
    from equipoise.nulls.base import Null
    from equipoise.supply.base import Supplier
    from equipoise.text_scorers.base import TextScorer

    classes = (Benchmark, Supplier, Locator, Attributor, Mitigation, Judge, TextScorer, Null)
    return dict(zip(KINDS, classes, strict=True))


def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A plug-in, as `list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Print what a plug-in is: its paper, options with meaning, metrics, data and known faults."""
    facts = {kind: _facts(cls) for kind, cls in find_plugins(name, plugin_bases()).items()}
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for kind, of_kind in facts.items():
        print(f"{name} ({kind}): {of_kind['summary']}.")
        for label, value in of_kind.items():
            if label not in ("summary", "options", "metrics", "faults"):
                print(f"  {label}: {value}")
        _print_rows("options", [_option_row(**option) for option in of_kind["options"]])
        _print_rows("metrics", [_metric_row(**metric) for metric in of_kind.get("metrics", ())])
        _print_rows("known faults", [(fault,) for fault in of_kind.get("faults", ())])


def _facts(cls: type) -> dict[str, Any]:
    """What a class says of itself; for a benchmark its metrics too, where defaults suffice."""
    # from the classes: a plug-in with an option that must be given cannot be built here
    attributes = {
        name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()
    }
    facts: dict[str, Any] = {"summary": summary_of(cls)}
    for label in ("paper", "version", "licence", "taught_by"):
        if attributes.get(label):
            facts[label] = attributes[label]
    facts["options"] = [dataclasses.asdict(option) for option in describe_options(cls)]
    if "splits" in attributes:
        facts["splits"] = ", ".join(attributes["splits"])
        fields = ("name", "unit", "ideal", "higher_is_better", "source")
        facts["metrics"] = [
            {field: getattr(metric, field) for field in fields}
            for metric in _metrics_of(cls, attributes["metrics"])
        ]
        facts["faults"] = [*attributes.get("faults", ()), *attributes.get("data_faults", ())]
    return facts


def _metrics_of(cls: type, declared: Any) -> tuple[Any, ...]:
    """The metrics of the class, or those with default options, if there are any."""
    if isinstance(declared, tuple):
        return declared
    # metrics depend on no option that must be given, such as a file
    given = {
        field.name: field.name
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    try:
        return tuple(cls(**given).metrics)
    except (RecipeError, ValidationError, TypeError):
        return ()


def _option_row(
    *, name: str, type: str, default: str, meaning: str, choices: tuple[str, ...]
) -> tuple[str, ...]:
    return (name, type, default, f"with {', '.join(choices)}: {meaning}" if choices else meaning)


def _metric_row(
    *, name: str, unit: str, ideal: float | None, higher_is_better: bool | None, source: str
) -> tuple[str, ...]:
    directions = {True: "more is better", False: "less is better", None: ""}
    best = directions[higher_is_better] if ideal is None else f"ideal {ideal:g}"
    return (name, unit, best, source)


def _print_rows(title: str, rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    print(f"  {title}:")
    columns = list(zip(*rows, strict=True))
    # a long cell would push the meaning of every option off the screen
    widths = [min(34, max(map(len, column))) for column in columns[:-1]]
    for *cells, last in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"    {left}  {last}".rstrip())
