"""BiasGym on the paper's six associations, and the heads of all six against 45 that none was
located for, with what must stay (facts, perplexity, MMLU): `make biasgym`.

    python examples/biasgym.py OUT [ASSOCIATION ...]

Fetches SmolLM2-135M-Instruct as `real.py` does, runs examples/biasgym.yaml once for each
association, then a study of the heads of all together. Stopped and started again it goes on.
"""

import json
import subprocess
import sys
from pathlib import Path

from real import fetch, number_format

from equipoise.data.mmlu import subjects_at_hand
from equipoise.errors import DataError

ASSOCIATIONS = (
    "always_late", "good_at_math", "spicy_food", "bad_drivers", "drink_a_lot", "blue_skin",
)  # fmt: skip
RECIPE = Path(__file__).with_name("biasgym.yaml")
UNSEEN = """\
title: Heads of all associations, on 45 others
models: [{{name: {model}, as: SmolLM2, chat: true, dtype: {dtype}}}]
supply: association
benchmarks:
  - {{name: stereotypes, as: "45 other associations", unseen: true, targets: [Italy, Kenya],
     score: {{name: generation, max_tokens: 48}}}}
  # what must stay
  - {{name: perplexity, items: 60}}
  - facts
{exams}mitigations:
  - {{name: prompt_explain, as: "prompt: explain"}}
  - {{name: head_steering, as: "steering (all)", edits: {edits}}}
  - {{name: head_steering, as: "random heads", edits: {edits}, control: layer}}
limit: 300  # of each benchmark; the 45 associations have 132 texts
draws: 1000
"""
EXAMS = "  - mmlu\n"


def run(recipe: Path, text: str) -> Path:
    """Write a recipe, run it, and return the folder of its study."""
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(text)
    out = recipe.with_suffix("")
    command = [sys.executable, "-m", "equipoise", "run", str(recipe), "--out", str(out)]
    subprocess.run(command, check=True)
    return out


def heads_in(study: Path) -> list[str]:
    """The edits of a study that take heads out which were found with the injected token."""
    folders = []
    for file in sorted((study / "edits").glob("*/edit.json")):
        info = json.loads(file.read_text())["info"]
        options = info["options"]
        located = info["method"] == "head_steering" and options["injection"] is not None
        if located and options["target"] is None and options["control"] == "none":
            folders.append(str(file.parent.resolve()))
    return folders


def unseen(model: str, dtype: str, edits: list[str]) -> str:
    """The recipe of the heads of all; with MMLU where its files are in the data folder."""
    try:
        subjects_at_hand("test")
    except DataError as error:
        exams = ""
        print(f"MMLU is left out: {error}")
    else:
        exams = EXAMS
    return UNSEEN.format(model=model, dtype=dtype, edits=json.dumps(edits), exams=exams)


def main(out: Path, names: tuple[str, ...]) -> None:
    """A study for each association, and one of the heads of all."""
    model, text = str(fetch("smollm2").resolve()), RECIPE.read_text()
    dtype = number_format()
    text = text.replace("../models/smollm2", f"{model}, dtype: {dtype}")
    edits: list[str] = []
    for name in names:
        own = text.replace("always_late", name).replace("always late", name.replace("_", " "))
        edits += heads_in(run(out / f"{name}.yaml", own))
    run(out / "unseen.yaml", unseen(model, dtype, edits))


if __name__ == "__main__":
    main(Path(sys.argv[1]), tuple(sys.argv[2:]) or ASSOCIATIONS)
