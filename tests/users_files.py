"""Files as users have them, for the benchmarks that read one: about trees, built in code."""

from pathlib import Path

from equipoise.records import JSON

#: The benchmarks that must be given a file.
USERS = ("pairs", "prompts", "questions")

#: What the benchmarks of an association must be given.
ASSOCIATED: dict[str, dict[str, JSON]] = {
    "stereotypes": {"association": "always_late", "targets": ["Norway", "Peru"]},
    "retention": {"association": ["always_late", "blue_skin"], "targets": ["Norway"]},
}


def write_example(name: str, folder: Path) -> dict[str, JSON]:
    """Write a file for a benchmark, with a form of its own; gives the options that it needs."""
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


def _write(folder: Path, name: str, lines: list[str]) -> dict[str, JSON]:
    (folder / name).write_text("".join(f"{line}\n" for line in lines))
    return {"file": str(folder / name)}
