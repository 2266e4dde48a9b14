"""Write `equipoise/report/definitions.json`: what each metric means, as the pages of docs/ have it.

    python docs/definition_table.py

A page of results shows it where a metric is named. A test checks that the file is up to date.
"""

import json
import re
from pathlib import Path

DOCS = Path(__file__).parent
FILE = DOCS.parent / "equipoise" / "report" / "definitions.json"


def definitions() -> str:
    """The file's text: benchmark, metric, meaning."""
    known: dict[str, dict[str, str]] = {}
    for page in sorted((DOCS / "benchmarks").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for table in re.findall(r"^\| metric \|.*\n(?:\|.*\n)+", text, re.MULTILINE):
            for line in table.splitlines()[2:]:
                cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
                for name in re.findall(r"`(\w+)`", cells[0]):
                    known.setdefault(page.stem, {})[name] = plain(cells[-1])
    return json.dumps(known, indent=1, ensure_ascii=False) + "\n"


def plain(text: str) -> str:
    """A cell of Markdown as plain text."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text.replace("\\|", "|"))
    return re.sub(r"\s*\(below\)", "", re.sub(r"[`*]", "", text)).strip()


if __name__ == "__main__":
    FILE.write_text(definitions(), encoding="utf-8")
    print(f"wrote {FILE.name}")
