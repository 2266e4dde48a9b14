"""Small files of own words in the published forms of RACE, GSM-Plus, HumanEval and MBPP."""

import gzip
import json
from pathlib import Path
from typing import Any

#: Solutions of the problems below: of HumanEval what follows the prompt.
SOLUTIONS = ("    return a + b\n", "    return a * b\n", "    return a - b\n")
_TESTS = ("check(2, 3) == 5", "check(2, 3) == 6", "check(2, 3) == -1")


def _lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def write_race(folder: Path) -> None:
    """Ten questions of each level about five articles, "middle" as the archive has them."""
    options = ["An oak.", "A long row of elms.", "Ash.", "A fir."]
    rows = [
        {
            "example_id": f"high{n // 2}.txt",
            "article": f"Along road {n // 2} stand trees.",
            "question": f"What stands at place {n}?",
            "options": options,
            "answer": "ABCD"[n % 4],
        }
        for n in range(10)
    ]
    _lines(folder / "race/high/test.jsonl", rows)
    articles = [
        {
            "id": f"middle{n}.txt",
            "article": f"Path {n} is short.",
            "questions": [f"What is path {n}?", "Path is _ ."],
            "options": [options, options],
            "answers": ["B", "D"],
        }
        for n in range(5)
    ]
    _lines(folder / "race/middle/test.jsonl", articles)


def write_gsm_plus(folder: Path) -> None:
    """Two seeds in three forms each, of which one has no answer."""
    rows = [
        {
            "question": f"{n} and 1, {change}?",
            "solution": "Add.",
            "answer": "None" if change == "critical thinking" else f"{n + 1:,}.0",
            "perturbation_type": change,
            "seed_question": f"{n} and 1?",
        }
        for n in (4, 1999)
        for change in ("numerical substitution", "critical thinking", "digit expansion")
    ]
    _lines(folder / "gsm_plus/test.jsonl", rows)


def write_humaneval(folder: Path, *, packed: bool = False) -> None:
    """Three functions of two numbers, with imports before them."""
    rows = [
        {
            "task_id": f"HumanEval/{n}",
            "prompt": f'import math\n\n\ndef join{n}(a: int, b: int) -> int:\n    """Way {n}."""\n',
            "entry_point": f"join{n}",
            "canonical_solution": solution,
            "test": f"def check(candidate):\n    check = candidate\n    assert {test}\n",
        }
        for n, (solution, test) in enumerate(zip(SOLUTIONS, _TESTS, strict=True))
    ]
    file = folder / "humaneval" / "HumanEval.jsonl"
    _lines(file, rows)
    if packed:
        file.with_suffix(".jsonl.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()


def write_mbpp(folder: Path) -> None:
    """Tasks 2 to 4, which are shown, and three of the test part."""
    rows = [
        {
            "task_id": number,
            "text": f"Join two numbers in way {number}.",
            "code": f"def check(a, b):\r\n{solution}",
            "test_setup_code": "",
            "test_list": [f"assert {test}", "assert check(0, 0) == 0"],
            "challenge_test_list": [],
        }
        for first in (2, 11)
        for number, (solution, test) in enumerate(zip(SOLUTIONS, _TESTS, strict=True), start=first)
    ]
    _lines(folder / "mbpp/mbpp.jsonl", rows)


WRITERS = {
    "gsm_plus": write_gsm_plus, "humaneval": write_humaneval, "mbpp": write_mbpp,
    "race": write_race,
}  # fmt: skip
