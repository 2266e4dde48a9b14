"""Run a recipe, and read from its folder what every method did to every model.

    python examples/study.py [RECIPE] [OUT]

Stopped at any moment, the same command goes on. Without arguments: `examples/planted.yaml`.
"""

import sys
from pathlib import Path

from equipoise.report.html import write_study_page
from equipoise.report.sentences import verdict_sentence
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

recipe, out, *_ = [*sys.argv[1:], *[""] * 2]
folder = Path(out or "runs/example-study")
steps = plan(Recipe.from_yaml(recipe or Path(__file__).with_name("planted.yaml")))
run(steps, Store.open(folder), say=print)

study = read_study(folder)  # without torch, in a second
for chapter in study.chapters:
    print(f"{chapter.mitigation} on {chapter.model}: {verdict_sentence(chapter.verdict)}")
frame = study.to_frame()  # a row for each estimate of each model, method and seed
overall = frame[frame["metric"].isin(["afgb", "perplexity"])]
print(overall[["mitigation", "seed", "metric", "value", "low", "high"]].to_string(index=False))
print(write_study_page(folder / "report.html", study))
