"""`equipoise describe`: what a plug-in is, its options, its metrics and what is wrong with it."""

import dataclasses
import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from equipoise.commands.flags import AsJson
from equipoise.describe import (
    KINDS,
    OptionDescription,
    describe_options,
    find_plugins,
    summary_of,
)
from equipoise.errors import RecipeError


def describe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A plug-in, as `list` names it.")],
    as_json: AsJson = False,
) -> None:
    """Print what a plug-in is: its paper, options with meaning, metrics, data and known faults."""
    from equipoise.benchmarks.base import Benchmark
    from equipoise.locate.base import Locator
    from equipoise.mitigate.base import Mitigation
    from equipoise.supply.base import Supplier

    bases = dict(zip(KINDS, (Benchmark, Supplier, Locator, Mitigation), strict=True))
    plugins = find_plugins(name, bases)
    facts = {kind: _facts(cls) for kind, cls in plugins.items()}
    if as_json:
        print(json.dumps(facts, ensure_ascii=False))
        return
    for kind, cls in plugins.items():
        print(f"{name} ({kind}): {summary_of(cls)}.")
        for label, value in facts[kind].items():
            if label not in ("summary", "options", "metrics", "faults"):
                print(f"  {label}: {value}")
        _print_rows("options", [_option_row(option) for option in describe_options(cls)])
        _print_rows("metrics", [_metric_row(metric) for metric in facts[kind].get("metrics", ())])
        _print_rows("known faults", [(fault,) for fault in facts[kind].get("faults", ())])


def _facts(cls: type) -> dict[str, Any]:
    """What a class says of itself; for a benchmark its metrics too, where defaults suffice."""
    said = vars_of(cls)
    facts: dict[str, Any] = {"summary": summary_of(cls)}
    for label in ("paper", "version", "licence", "taught_by"):
        if said.get(label):
            facts[label] = said[label]
    facts["options"] = [dataclasses.asdict(option) for option in describe_options(cls)]
    if "splits" in said:
        facts["splits"] = ", ".join(said["splits"])
        facts["metrics"] = [
            {
                "name": metric.name,
                "unit": metric.unit,
                "ideal": metric.ideal,
                "higher_is_better": metric.higher_is_better,
                "source": metric.source,
            }
            for metric in _metrics_of(cls)
        ]
        facts["faults"] = list(said.get("faults", ()))
    return facts


def vars_of(cls: type) -> dict[str, Any]:
    """Class attributes, inherited ones too."""
    return {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}


def _metrics_of(cls: type) -> tuple[Any, ...]:
    """The metrics with default options; none where an option must be given (`harness.task`)."""
    try:
        return tuple(cls().metrics)
    except (RecipeError, ValidationError, TypeError):
        return ()


def _option_row(option: OptionDescription) -> tuple[str, ...]:
    meaning = f"with {', '.join(option.choices)}: " if option.choices else ""
    return (option.name, option.type, option.default, meaning + option.meaning)


def _metric_row(metric: dict[str, Any]) -> tuple[str, ...]:
    directions = {True: "more is better", False: "less is better", None: ""}
    ideal = directions[metric["higher_is_better"]]
    if metric["ideal"] is not None:
        ideal = f"ideal {metric['ideal']:g}"
    return (metric["name"], metric["unit"], ideal, metric["source"])


def _print_rows(title: str, rows: list[tuple[str, ...]]) -> None:
    if not rows:
        return
    print(f"  {title}:")
    columns = list(zip(*rows, strict=True))
    widths = [min(34, max(map(len, column))) for column in columns[:-1]]
    for *cells, last in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(f"    {left}  {last}".rstrip())
