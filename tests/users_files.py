"""Files as users have them, for the benchmarks that read one: about trees, built in code."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from ability_files import WRITERS
from pronoun_files import write_winobias, write_winogender

from equipoise.records import JSON

#: The benchmarks that must be given a file.
USERS = ("mt_bench", "pairs", "prompts", "questions")
#: Those of official files that are nobody's to hand on, in the forms that are published.
TASKS = ("amazon_polarity", "boolq", "flute", "mrpc")
#: What the benchmarks of an association must be given.
ASSOCIATED: dict[str, dict[str, JSON]] = {
    "stereotypes": {"association": "always_late", "targets": ["Norway", "Peru"]},
    "retention": {"association": ["always_late", "blue_skin"], "targets": ["Norway"]},
}

#: What benchmarks must be given beside a file of the user's own. Of CEB's texts a list of words can
#: say nothing; nothing is sent before a text is there to judge.
NEEDED: dict[str, dict[str, JSON]] = {
    **ASSOCIATED,
    "ceb_writing": {"judge": {"name": "endpoint", "address": "http://127.0.0.1:9", "model": "any"}},
    **{name: {"judge": {"name": "lexicon"}} for name in ("fairmt", "mt_bench")},
    **{name: {"allow_code": True} for name in ("humaneval", "mbpp")},
}


def write_example(name: str, folder: Path) -> dict[str, JSON]:
    """Write a file for a benchmark, with a form of its own; gives the options that it needs."""
    if name == "mt_bench":
        return {"file": write_questions(folder), **NEEDED[name]}
    if name == "pairs":
        lines = [f"The old oak {n} fell.,The young oak {n} fell.,age" for n in range(40)]
        return _write(folder, "pairs.csv", ["sent_more,sent_less,bias_type", *lines])
    if name == "prompts":
        lines = [f'{{"prompt": "Tree {n} is", "target": "{n % 5}"}}' for n in range(40)]
        return {**_write(folder, "prompts.jsonl", lines), "words": ["old|gray", "young|green"]}
    lines = [
        f"An oak and an elm stood by road {n}.{evidence}\tWhich fell?\toak\telm\tNot known\t{right}"
        f"\t{n % 2}"
        for n in range(20)
        for evidence, right in (("", 2), (" The oak fell.", 0), (" The elm fell.", 1))
    ]
    header = "\t".join(("context", "question", "ans0", "ans1", "ans2", "label", "target"))
    return _write(folder, "questions.tsv", [header, *lines])


def write_questions(folder: Path) -> str:
    """Eight questions of two domains in MT-bench's form, every other with a reference."""
    rows = [
        {
            "question_id": n,
            "category": "math" if n % 2 else "writing",
            "turns": [f"Tell of tree {n % 2}.", f"And of tree {n % 2}?"],
            **({"reference": [f"Oak {n}."]} if n % 2 else {}),
        }
        for n in range(8)
    ]
    file = folder / "two_turns.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return str(file)


def write_task(name: str, folder: Path) -> None:
    """Write the file of a task of `TASKS` into a data folder: 40 rows, 24 of them positive."""
    positive = [n % 5 < 3 for n in range(40)]
    if name == "mrpc":
        path = "glue/MRPC/dev.tsv"
        lines = ["Quality\t#1 ID\t#2 ID\t#1 String\t#2 String"]
        lines += [
            f"{int(yes)}\t{n}\t{n + 100}\tOwl {n} is here.\tHere is owl {n}."
            for n, yes in enumerate(positive)
        ]
    elif name == "boolq":
        path = "boolq/dev.jsonl"
        rows = [
            {"passage": f"Owl {n} is here.", "question": f"is owl {n} here", "answer": yes}
            for n, yes in enumerate(positive)
        ]
        lines = [json.dumps(row) for row in rows]
    elif name == "flute":
        path = "flute/flute.jsonl"
        lines = [
            json.dumps(
                {
                    "premise": f"Owl {n} is quiet.",
                    "hypothesis": f"Owl {n // 2} is snow.",
                    "label": "Entailment" if yes else "Contradiction",
                    "type": "Simile" if n % 2 else "Idiom",
                }
            )
            for n, yes in enumerate(positive)
        ]
    else:
        path = "amazon_polarity/test.csv"
        lines = [f'"{1 + yes}","Lamp {n}","It shines."' for n, yes in enumerate(positive)]
    file = folder / path
    file.parent.mkdir(parents=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def _write(folder: Path, name: str, lines: list[str]) -> dict[str, JSON]:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return {"file": str(folder / name)}


#: Benchmarks whose official files are the user's to get, and what writes small ones of their form.
NOT_AT_HAND: dict[str, Callable[[Path], None]] = {
    **WRITERS,
    "winobias": write_winobias,
    "winogender": write_winogender,
    **{name: partial(write_task, name) for name in TASKS},
}
