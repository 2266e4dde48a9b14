"""Write the tables of docs/validity.md: what rules without bias get on the official files.

    EQUIPOISE_DATA=FOLDER python docs/null_tables.py

A table stands between `<!-- nulls: BENCHMARK KEY OPTION=VALUE … -->` and `<!-- end of nulls -->`:
the first metric and those with a margin, overall and by a key of groups. The extra `frequency` must
be installed. A test checks that the page is up to date.
"""

import re
from pathlib import Path

from equipoise import plugins
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.measure import choose_examples
from equipoise.null_references import nulls_of
from equipoise.records import JSON
from equipoise.report.tables import Table, markdown

PAGE = Path(__file__).parent / "validity.md"
MARKED = re.compile(r"(<!-- nulls: ([^>]+) -->\n).*?(<!-- end of nulls -->)", flags=re.DOTALL)
DRAWS = 1000


def with_tables(page: str, *, only: str = "") -> str:
    """A page with its tables as the files give them now; `only`: of this benchmark."""

    def filled(match: re.Match[str]) -> str:
        begin, asked, end = match.groups()
        name, key, *settings = asked.split()
        if only not in ("", name):
            return match.group(0)
        options: dict[str, JSON] = dict(setting.split("=", 1) for setting in settings)
        return f"{begin}{null_table(plugins.build(Benchmark, name, options), key)}\n{end}"

    return MARKED.sub(filled, page)


def null_table(benchmark: AnyBenchmark, key: str) -> str:
    """A row per metric and group of the key, a column per rule; without variants of a metric."""
    examples, requests = choose_examples(benchmark)
    nulls = nulls_of(benchmark, examples, requests, draws=DRAWS, seed=0)
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for null in nulls:
        for estimate in null.estimates:
            metric = estimate.metric
            variant = metric.endswith(("_micro", "_domain_mean")) or metric.startswith("expected_")
            if next(iter(estimate.group), key) == key and not variant:
                group = next(iter(estimate.group.values()), "all")
                cells = rows.setdefault((metric, group), {})
                cells[null.name] = f"{estimate.value + 0.0:.1f}".replace("-0.0", "0.0")
    names = [null.name for null in nulls]
    return markdown(
        Table(
            header=("metric", "of", *names),
            rows=tuple(
                (f"`{metric}`", group, *(cells.get(name, "") for name in names))
                for (metric, group), cells in rows.items()
            ),
        )
    )


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(page), encoding="utf-8")
