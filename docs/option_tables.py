"""Write the tables of options in docs/ from the plug-ins' own source.

    python docs/option_tables.py

A table stands between the lines `<!-- options: KIND NAME -->` and `<!-- end of options -->`.
KIND is benchmark, supply, locator, attributor, mitigation, judge or scorer, or "server" for the
options of a model behind one. A test checks that pages are up to date.
"""

import re
from pathlib import Path

from equipoise.commands.describe import plugin_bases
from equipoise.describe import describe_options, option_table
from equipoise.plugins import find
from equipoise.remote.options import ServerOptions

DOCS = Path(__file__).parent
BASES = plugin_bases()
MARKED = re.compile(
    r"(<!-- options: (\w+) (\w+) -->\n).*?(<!-- end of options -->)", flags=re.DOTALL
)


def with_tables(page: str) -> str:
    """A page with its tables of options as the source has them now."""

    def filled(match: re.Match[str]) -> str:
        begin, kind, name, end = match.groups()
        named = ServerOptions if kind == "server" else find(BASES[kind], name)
        options = describe_options(named)
        return begin + (option_table(options) if options else "No options.\n") + end

    return MARKED.sub(filled, page)


if __name__ == "__main__":
    for file in sorted(DOCS.rglob("*.md")):
        page = file.read_text(encoding="utf-8")
        if with_tables(page) != page:
            file.write_text(with_tables(page), encoding="utf-8")
            print(f"wrote {file.relative_to(DOCS)}")
