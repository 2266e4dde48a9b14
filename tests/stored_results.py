"""The results in a study's folder, to be compared byte by byte."""

import re
from pathlib import Path

#: What no result depends on: when things were done, and by whom.
LEFT_OUT = {"log.jsonl", "locks", "logs"}
#: Seconds and memory, of a report.
COSTS = re.compile(rb'<section id="costs">.*?</section>', re.DOTALL)


def stored(folder: Path) -> dict[str, bytes]:
    """Every file that is a result, by its path; a report without what it cost."""
    return {
        file.relative_to(folder).as_posix(): COSTS.sub(b"", file.read_bytes())
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not LEFT_OUT & set(file.relative_to(folder).parts)
    }
