"""Tasks of the harness in a study: keys, resuming, margins, verdicts."""

from pathlib import Path
from types import ModuleType

import pytest
from local_tasks import write_tasks

from equipoise.errors import RecipeError
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.testing import tiny_model

RECIPE = """\
title: Ability by tasks of the harness
models: [{{name: {folder}/model, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - {{name: harness, as: choose, task: choose, tasks_folder: {folder}, shots: 1}}
  - {{name: harness, as: read, task: read, tasks_folder: {folder}}}
mitigations:
  - {{name: lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.000001}}
supply: {{name: genbias, split_by: both}}
data: planted:default
draws: 20
limit: 6
margins: {{harness.acc: 0.5}}
"""


@pytest.fixture
def folder(tmp_path: Path, harness: ModuleType) -> Path:  # noqa: ARG001 (skips)
    """Local tasks, a model and a recipe."""
    write_tasks(tmp_path)
    model = tiny_model("llama", context=256)
    model.module.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path


def recipe(folder: Path, text: str = RECIPE) -> Recipe:
    (folder / "study.yaml").write_text(text.format(folder=folder))
    return Recipe.from_yaml(folder / "study.yaml")


@pytest.mark.thorough
def test_study_of_harness_tasks(folder: Path) -> None:
    store = Store.open(folder / "run")
    walked = run(plan(recipe(folder)), store)
    assert (walked.skipped, walked.failed) == (0, ())
    study = read_study(folder / "run")
    assert study.missing == ()
    (chapter,) = study.chapters
    assert [comparison.before.benchmark for comparison in chapter.comparisons] == [
        "genbias",
        "harness",
        "harness",
    ]
    choose, read = chapter.comparisons[1:]
    assert {change.metric for change in choose.changes} >= {"acc", "acc_norm", "f1", "brier_score"}
    assert {change.metric for change in read.changes} == {"word_perplexity", "bits_per_byte"}
    assert [headline.change.metric for headline in chapter.verdict.ability] == [
        "acc",
        "word_perplexity",
    ]
    assert chapter.verdict.kept is True  # an edit of next to nothing loses next to nothing
    assert "error" not in {finding.level for finding in study.findings}

    again = run(plan(recipe(folder)), store)
    assert (again.skipped, again.failed) == (walked.done, ())


def test_step_keys_cover_task_files_and_documents(folder: Path) -> None:
    def keys() -> list[str]:
        return [step.key for step in plan(recipe(folder)).of("measure")]

    before = keys()
    assert keys() == before
    for name, text in (("scoring.py", "\n# more\n"), ("choose.yaml", "\n# more\n")):
        file = folder / name
        file.write_text(file.read_text() + text)
    after = keys()
    same = [key == other_key for key, other_key in zip(before, after, strict=True)]
    assert same == [True, False, False] * 2  # the Python beside a task may be any task's
    rows = (folder / "test.json").read_text()
    (folder / "test.json").write_text(rows.replace("coal", "iron"))
    moved = [key == other_key for key, other_key in zip(after, keys(), strict=True)]
    assert moved == [True, False, False] * 2


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("task: choose", "task: chose", r"study.yaml line 5: harness: there is no task 'chose'"),
        ("task: choose, ", "", r"study.yaml line 5: harness.task must name a task"),
        ("harness.acc", "harness.acd", r"study.yaml line 13: margins: harness has no metric 'acd'"),
    ],
)
def test_recipe_errors_name_the_line(
    folder: Path, old: str, new: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise.data import harness_tasks

    local = harness_tasks._local_tasks(str(folder))
    monkeypatch.setattr(harness_tasks, "_shipped_tasks", lambda: local)  # all of them take seconds
    with pytest.raises(RecipeError, match=message):
        plan(recipe(folder, RECIPE.replace(old, new)))
