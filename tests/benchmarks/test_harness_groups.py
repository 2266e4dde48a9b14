"""Groups and tags of tasks, against the group's own mean in lm-evaluation-harness."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from local_tasks import write_tasks

from equipoise.benchmarks.harness import Harness
from equipoise.measure import measure
from equipoise.records import Measurement
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.testing import check_benchmark, tiny_model

GROUP = """\
group: {name}
task: [choose, {{group: inner, task: [{inner}]}}]
aggregate_metric_list:
  - {{metric: acc, weight_by_size: {by_size}}}
  - {{metric: f1, weight_by_size: {by_size}}}
"""

STUDY = """\
title: Ability by a group of tasks
models: [{{name: {folder}/model, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - {{name: harness, as: abilities, task: alike, tasks_folder: {folder}}}
mitigations:
  - {{name: lftf, as: parity, objective: parity, epochs: 1, learning_rate: 0.000001}}
supply: {{name: genbias, split_by: both}}
data: planted:default
draws: 20
limit: 16
margins: {{harness.acc: 0.5}}
"""


@pytest.fixture
def folder(tmp_path: Path, harness: ModuleType) -> Path:  # noqa: ARG001 (skips)
    """Tasks of 8, 3 and 5 documents: alone, in two groups, and by a tag."""
    write_tasks(tmp_path)
    rows = (tmp_path / "test.json").read_text().splitlines()
    choose = (tmp_path / "choose.yaml").read_text()
    for name, part in (("small", rows[:3]), ("middle", rows[3:])):
        text = choose.replace("task: choose", f"task: {name}\ntag: tagged")
        text = text.replace(f"test: {tmp_path}/test.json", f"test: {tmp_path}/{name}.json")
        (tmp_path / f"{name}.yaml").write_text(text)
        # other answers, so that the tasks differ
        moved = [json.loads(row) for row in part]
        (tmp_path / f"{name}.json").write_text(
            "\n".join(json.dumps({**row, "answer": 1 - row["answer"]}) for row in moved)
        )
    for name, by_size in (("sizes", "true"), ("alike", "false")):
        text = GROUP.format(name=name, by_size=by_size, inner="small, middle")
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def measured(folder: Path, task: str, **options: Any) -> Measurement:
    benchmark = Harness(task=task, tasks_folder=str(folder), **options)
    return measure(tiny_model("llama", bos="bos", context=512), benchmark, draws=50)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")  # the harness's own
@pytest.mark.parametrize("group", ["sizes", "alike"])
def test_means_equal_the_groups_own(folder: Path, group: str, harness: ModuleType) -> None:
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = tiny_model("llama", bos="bos", context=512)
    evaluation = harness.simple_evaluate(
        model=HFLM(pretrained=model.module, tokenizer=model.tokenizer, batch_size=4),
        tasks=[group],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        bootstrap_iters=0,
        log_samples=False,
    )
    theirs = evaluation["groups"][group]
    ours = measure(model, Harness(task=group, tasks_folder=str(folder)), draws=50)
    for metric in ("acc", "f1"):
        assert ours.estimate(metric).value == pytest.approx(theirs[f"{metric},none"])
    for task in ("choose", "small", "middle"):
        assert ours.estimate("acc", subject=task).value == pytest.approx(
            evaluation["results"][task]["acc,none"]
        )
    accuracies = {ours.estimate("acc", subject=task).value for task in ("choose", "small")}
    assert len(accuracies) == 2


def test_documents_clusters_and_notes(folder: Path) -> None:
    result = measured(folder, "sizes")
    estimate = result.estimate("acc")
    assert (estimate.n, estimate.clusters, result.cluster) == (16, 3, "subject")
    assert estimate.low < estimate.value < estimate.high
    assert {e.metric for e in result.estimates} == {"acc", "f1"}  # of which the group has a mean
    assert [outcome.example for outcome in result.outcomes][7:9] == ["choose/7", "small/0"]
    assert "'sizes', documents counted alike" in result.about["acc"][1]
    assert any(note.startswith("group 'sizes' of 3 tasks in version") for note in result.notes)
    assert any(note.startswith("means count documents alike, as the") for note in result.notes)
    # one file for the folder of tasks, one for each file of documents
    assert [Path(file.name).name for file in result.data] == [
        folder.name, "train.json", "test.json", "small.json", "middle.json",
    ]  # fmt: skip


def test_a_tag_counts_tasks_alike(folder: Path) -> None:
    result = measured(folder, "tagged", shots=1)
    by_task = [result.estimate("acc", subject=name).value for name in ("small", "middle")]
    assert result.estimate("acc").value == pytest.approx(sum(by_task) / 2)
    assert {estimate.metric for estimate in result.estimates} >= {"acc", "acc_norm", "brier_score"}
    assert any("2 tasks in version 1.0, 1 shots" in note for note in result.notes)
    assert any("tasks alike, since the group has no mean" in note for note in result.notes)


@pytest.mark.thorough
@pytest.mark.parametrize("task", ["sizes", "tagged"])
def test_conformance_of_groups(folder: Path, task: str) -> None:
    check_benchmark(Harness(task=task, tasks_folder=str(folder)))


@pytest.mark.thorough
def test_a_group_of_a_single_task_is_that_task(folder: Path) -> None:
    """Its documents are the sample: a single cluster would have no interval."""
    (folder / "lone.yaml").write_text("group: lone\ntask: [choose]\n")
    of_group, of_task = measured(folder, "lone"), measured(folder, "choose")
    estimate = of_group.estimate("acc")
    assert (estimate.n, estimate.clusters, of_group.cluster) == (8, 8, None)
    assert estimate == of_task.estimate("acc")
    assert any(
        "alone in version" in note and "scatter of documents" in note for note in of_group.notes
    )


@pytest.mark.thorough
def test_a_study_concludes_from_the_mean_of_a_group(folder: Path) -> None:
    model = tiny_model("llama", bos="bos", context=512)
    model.module.save_pretrained(folder / "model")
    model.tokenizer.save_pretrained(folder / "model")
    (folder / "study.yaml").write_text(STUDY.format(folder=folder))
    store = Store.open(folder / "run")
    assert run(plan(Recipe.from_yaml(folder / "study.yaml")), store).failed == ()
    (chapter,) = read_study(folder / "run").chapters
    (headline,) = chapter.verdict.ability
    assert (headline.benchmark, headline.change.metric, headline.change.group) == (
        "abilities", "acc", {},
    )  # fmt: skip
    before = chapter.comparisons[-1].before
    by_task = [before.estimate("acc", subject=name).value for name in ("choose", "small", "middle")]
    assert headline.change.before == before.estimate("acc").value == pytest.approx(sum(by_task) / 3)
    # within half of all, and an edit of next to nothing moves nothing
    assert (headline.change.after, chapter.verdict.kept) == (headline.change.before, True)
