"""Studies that are run: resumed, repaired, shared, and gone on with after a failure."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stored_results import stored

import equipoise.measure  # noqa: F401  (so that its module is there)
from equipoise.edits.registry import load_edit
from equipoise.errors import PlaceError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.lftf import Lftf
from equipoise.study.load_study import EDIT, read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

from .conftest import RECIPE, SHARD

Written = Callable[..., Path]


measure = sys.modules["equipoise.measure"]  # the package's own name for it is the verb


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise.study.execution.SHARD_SIZE", SHARD)
        yield


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Store:
    """A store of one's own with the finished study in it."""
    shutil.copytree(finished, tmp_path / "copy")
    return Store.open(tmp_path / "copy")


@pytest.mark.thorough
def test_study_is_read_back(finished: Path) -> None:
    study = read_study(finished)
    assert study.missing == ()
    assert study.planned == 13
    assert study.title == "A tiny study"
    assert [(chapter.model, chapter.mitigation) for chapter in study.chapters] == [
        ("tiny", "parity")
    ]
    (chapter,) = study.chapters
    assert [comparison.before.benchmark for comparison in chapter.comparisons] == [
        "genbias",
        "stereoset",
    ]
    assert {comparison.changes[0].seeds for comparison in chapter.comparisons} == {2}
    assert len(chapter.comparisons[0].by_seed) == 2
    assert len(chapter.edits) == 2
    assert [(cost.model, cost.mitigation, cost.seed) for cost in study.costs] == [
        ("tiny", "parity", 0), ("tiny", "parity", 1),
    ]  # fmt: skip
    for cost in study.costs:
        # a block of the model is trained, and is what the edit brings
        assert cost.trained_parameters == cost.changed_parameters > 1000
        assert cost.seconds > 0
        assert (cost.passes_per_token, cost.reason) == (1, None)
    assert [item.locator for item in study.located] == ["block_influence", "random_block"]
    assert len(study.measured) == 7
    assert "error" not in {finding.level for finding in study.findings}
    assert {finding.check for finding in study.findings} >= {"icat", "stored", "texts"}


@pytest.mark.thorough
def test_most_changed_examples_are_kept_with_their_texts(finished: Path) -> None:
    genbias = read_study(finished).chapters[0].comparisons[0]
    assert 0 < len(genbias.examples) <= 10
    moved = [abs(example.after - example.before) for example in genbias.examples]
    assert moved == sorted(moved, reverse=True)
    assert all(
        example.texts and example.texts[0].startswith("The ") for example in genbias.examples
    )
    by_hand = [
        abs(abs(o.values["he"] - o.values["she"]) - abs(b.values["he"] - b.values["she"]))
        for b, o in zip(genbias.before.outcomes, genbias.after.outcomes, strict=True)
    ]
    assert moved[0] == pytest.approx(max(by_hand))


@pytest.mark.thorough
def test_a_second_run_does_nothing_and_changes_nothing(copied: Store, base_plan: Plan) -> None:
    before = stored(copied.folder)
    summary = run(base_plan, copied)
    assert (summary.skipped, summary.done) == (13, 0)
    assert stored(copied.folder) == before


@pytest.mark.thorough
def test_broken_steps_are_set_aside_and_done_again_with_the_same_bytes(
    copied: Store, base_plan: Plan
) -> None:
    before = stored(copied.folder)
    steps = sorted((copied.folder / "steps").iterdir())
    messages: list[str] = []
    cut = next(step for step in steps if step.name.startswith("measure"))
    parquet = next((cut / "results").glob("*.parquet"))
    parquet.write_bytes(parquet.read_bytes()[:100])
    half = next(step for step in steps if step.name.startswith("fit"))
    (half / "done.json").unlink()
    gone = next(step for step in steps if step.name.startswith("locate"))
    shutil.rmtree(gone)
    summary = run(base_plan, copied, say=messages.append)
    assert (summary.done, summary.skipped) == (3, 10)
    assert sum("is set aside and done again" in entry for entry in messages) == 2
    after = stored(copied.folder)
    assert {k: v for k, v in after.items() if not k.startswith("aside")} == before
    assert len(list((copied.folder / "aside").iterdir())) == 2


@pytest.mark.thorough
def test_a_recipe_with_another_seed_redoes_nothing_and_a_failure_stops_nothing_else(
    copied: Store, base_plan: Plan, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished = {step.seed: copied.step(step.key) / EDIT for step in base_plan.of("fit")}
    text = RECIPE.replace("  - stereoset\n", "").replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
    more = plan(Recipe.from_yaml(written(text)))

    def fails(*_: object, seed: int) -> None:
        raise RuntimeError(f"seed {seed} went wrong")

    monkeypatch.setattr(Lftf, "fit", fails)
    summary = run(more, copied)
    assert (summary.skipped, summary.done) == (9, 0)  # the comparison of two seeds is as it was
    assert summary.failed == (
        "fit on tiny with parity, seed 2",
        "measure genbias on tiny with parity, seed 2",
    )
    study = read_study(copied.folder)
    (chapter,) = study.chapters
    assert [comparison.changes[0].seeds for comparison in chapter.comparisons] == [2]
    missing = {step.what: step for step in study.missing}
    failed = missing["fit on tiny with parity, seed 2"]
    assert failed.why == "seed 2 went wrong"
    assert "RuntimeError" in (failed.traceback or "")
    waiting = missing["measure genbias on tiny with parity, seed 2"].why
    assert waiting == "it needs 'fit on tiny with parity, seed 2', which has no result"
    assert "made with 2 of 3 seeds" in missing["compare genbias on tiny with parity"].why
    # tried again; an edit that is there in place of a training
    monkeypatch.setattr(Lftf, "fit", lambda *_, seed: load_edit(finished[seed - 1]))
    again = run(more, copied)
    assert (again.failed, again.done) == ((), 3)
    study = read_study(copied.folder)
    assert study.missing == ()
    assert study.chapters[0].comparisons[0].changes[0].seeds == 3


@pytest.mark.thorough
def test_a_model_that_cannot_be_opened_does_not_stop_the_others(
    copied: Store, written: Written
) -> None:
    text = RECIPE.replace("models: [", "models: [./no-such-model, ")
    summary = run(plan(Recipe.from_yaml(written(text))), copied)
    assert len(summary.failed) == 13
    assert (summary.skipped, summary.done) == (13, 0)
    study = read_study(copied.folder)
    assert "model folder must exist" in study.missing[0].why
    assert [len(chapter.comparisons) for chapter in study.chapters] == [0, 2]


@pytest.mark.thorough
def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(
    copied: Store, base_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(copied.folder)
    for step in base_plan.of("locate"):
        shutil.rmtree(copied.step(step.key))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("equipoise.study.execution.write_record", full)
        with pytest.raises(PlaceError, match="needs room on its disk"):
            run(base_plan, copied)
    assert not list(copied.folder.glob("steps/locate*"))
    assert not list(copied.folder.glob("failed/*"))
    assert run(base_plan, copied).done == 2
    assert stored(copied.folder) == before


@pytest.mark.thorough
def test_measurements_have_the_names_of_the_recipe(copied: Store, base_plan: Plan) -> None:
    run(base_plan, copied)
    labels = [each.measurement.label for each in read_study(copied.folder).measured]
    assert set(labels) == {"", "everything"}


@pytest.mark.thorough
def test_an_unfinished_measurement_goes_on_with_the_shards_it_has(
    copied: Store, base_plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(copied.folder)
    step = next(step for step in base_plan.steps if step.title == "measure everything on tiny")
    shutil.rmtree(copied.step(step.key))
    answered: list[int] = []
    ask = measure.answer

    def counted(model: LanguageModel, requests: list[object], *, seed: int) -> object:
        if answered == [SHARD]:
            answered.append(0)
            raise KeyboardInterrupt
        if not model.rehearsing:
            answered.append(len(requests))
        return ask(model, requests, seed=seed)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "answer", counted)
    with pytest.raises(KeyboardInterrupt):
        run(base_plan, copied)
    remaining = sorted(file.name for file in copied.part(step.key).iterdir())
    assert remaining == ["outcomes-000000.json", "outcomes-000000.parquet"]
    run(base_plan, copied)
    assert answered == [SHARD, 0, 15]
    assert stored(copied.folder) == before


def test_the_log_has_what_results_must_not_depend_on(finished: Path) -> None:
    lines = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert len(lines) == 13
    assert {line["event"] for line in lines} == {"done"}
    assert all(line["seconds"] >= 0 for line in lines)
    assert not any("resumed" in line for line in lines)
