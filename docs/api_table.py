"""Write the tables of public names in docs/api.md from their docstrings.

    python docs/api_table.py

They stand between the lines `<!-- names -->` and `<!-- end of names -->`.
"""

import re
from pathlib import Path
from typing import Any

import equipoise
from equipoise.attribute.base import Attributor
from equipoise.benchmarks.base import Benchmark
from equipoise.conclusions import Comparison
from equipoise.describe import summary_of
from equipoise.edits.base import Edit
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.records import Measurement, Supply
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.study.study import Study
from equipoise.supply.base import Supplier

PAGE = Path(__file__).with_name("api.md")
BASES = (Benchmark, Supplier, Locator, Attributor, Mitigation, Supply, Edit)
STUDY = (Recipe, plan, run, Store, read_study, Study)
FRAMES = (Measurement.to_frame, Comparison.to_frame, Study.to_frame)


def with_names(page: str) -> str:
    """The page with its tables as the docstrings have them now."""
    tables = (
        _table(
            "`import equipoise as eq`",
            {f"eq.{name}": getattr(equipoise, name) for name in equipoise.__all__},
        ),
        _table("to write a plug-in", {_path(base): base for base in BASES}),
        _table("for a study", {_path(thing): thing for thing in STUDY}),
        _table("data frames", {frame.__qualname__: frame for frame in FRAMES}),
    )
    text = "\n".join(tables)
    return re.sub(
        r"(<!-- names -->\n).*?(<!-- end of names -->)",
        lambda match: match[1] + text + match[2],
        page,
        flags=re.DOTALL,
    )


def _path(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _table(title: str, things: dict[str, object]) -> str:
    rows = [f"| `{name}` | {summary_of(thing)} |" for name, thing in things.items()]
    return "\n".join([f"| {title} | |", "|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_names(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
