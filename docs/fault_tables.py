"""Write the tables of known faults in docs/data-faults.md from the lists in the package.

    python docs/fault_tables.py

A table stands between the lines `<!-- faults: BENCHMARK -->` and `<!-- end of faults -->`. A test
checks that the page is up to date.
"""

import re
from pathlib import Path

from equipoise.data.known_faults import fault_list

PAGE = Path(__file__).parent / "data-faults.md"
MARKED = re.compile(r"(<!-- faults: (\w+) -->\n).*?(<!-- end of faults -->)", flags=re.DOTALL)


def with_tables(page: str) -> str:
    """The page with the tables as the lists are now."""

    def filled(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        known = fault_list(name)
        rows = ["| kind | items | what is wrong | how it was counted | what to do |"]
        rows += ["|---|---|---|---|---|"]
        for kind in known.kinds if known else ():
            cells = (f"`{kind.name}`", f"{len(kind.ids):,}", kind.says, kind.rule, kind.advice)
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        return begin + "\n".join(rows) + "\n" + end

    return MARKED.sub(filled, page)


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(with_tables(text), encoding="utf-8")
