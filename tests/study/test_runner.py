"""Studies that are run: resumed, repaired, shared, and gone on with after a failure."""

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import equipoise.measure  # noqa: F401  (so that its module is there)
from equipoise.errors import PlaceError
from equipoise.mitigate.lftf import Lftf
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

from .conftest import RECIPE, stored

Written = Callable[..., Path]


measure = sys.modules["equipoise.measure"]  # the package's own name for it is the verb


@pytest.fixture(scope="module", autouse=True)
def _small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("equipoise.study.execution.SHARD_SIZE", 25)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The small study, run once without interruption."""
    place = tmp_path_factory.mktemp("finished")
    recipe = place / "study.yaml"
    recipe.write_text(RECIPE.format(model=tiny_folder))
    walked = run(plan(Recipe.from_yaml(recipe)), Store.open(place / "run"))
    assert (walked.skipped, walked.failed) == (0, ())
    return place / "run"


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Store:
    """A store of one's own with the finished study in it."""
    shutil.copytree(finished, tmp_path / "copy")
    return Store.open(tmp_path / "copy")


def planned(written: Written, text: str = RECIPE) -> Plan:
    return plan(Recipe.from_yaml(written(text)))


def test_everything_is_read_back(finished: Path) -> None:
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
    assert [item.locator for item in study.located] == ["block_influence", "random_block"]
    assert len(study.measured) == 7
    assert "error" not in {finding.level for finding in study.findings}
    assert {finding.check for finding in study.findings} >= {"icat", "stored", "texts"}


def test_what_changed_most_is_kept_with_its_texts(finished: Path) -> None:
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


def test_a_second_run_does_nothing_and_changes_nothing(copied: Store, written: Written) -> None:
    before = stored(copied.folder)
    walked = run(planned(written), copied)
    assert (walked.skipped, walked.done) == (13, 0)
    assert stored(copied.folder) == before


def test_broken_steps_are_set_aside_and_done_again_with_the_same_bytes(
    copied: Store, written: Written
) -> None:
    before = stored(copied.folder)
    steps = sorted((copied.folder / "steps").iterdir())
    said: list[str] = []
    cut = next(step for step in steps if step.name.startswith("measure"))
    parquet = next((cut / "results").glob("*.parquet"))
    parquet.write_bytes(parquet.read_bytes()[:100])
    half = next(step for step in steps if step.name.startswith("fit"))
    (half / "done.json").unlink()
    gone = next(step for step in steps if step.name.startswith("compare"))
    shutil.rmtree(gone)
    walked = run(planned(written), copied, say=said.append)
    assert (walked.done, walked.skipped) == (3, 10)
    assert sum("is set aside and done again" in entry for entry in said) == 2
    after = stored(copied.folder)
    assert {k: v for k, v in after.items() if not k.startswith("aside")} == before
    assert len(list((copied.folder / "aside").iterdir())) == 2


def test_a_changed_recipe_keeps_what_still_holds(copied: Store, written: Written) -> None:
    more = RECIPE.replace("seeds: [0, 1]", "seeds: [0, 1, 2]")
    walked = run(planned(written, more), copied)
    assert (walked.skipped, walked.done) == (11, 1 + 2 + 2)
    assert {
        comparison.changes[0].seeds
        for comparison in read_study(copied.folder).chapters[0].comparisons
    } == {3}


def test_a_failed_step_is_recorded_and_the_rest_goes_on(
    copied: Store, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in planned(written).steps:
        if step.title.endswith("seed 1") or step.title.startswith("compare"):
            shutil.rmtree(copied.step(step.key))
    fit = Lftf.fit

    def fails(self: Lftf, *given: object, seed: int) -> object:
        if seed == 1:
            raise RuntimeError(f"seed {seed} went wrong")
        return fit(self, *given, seed=seed)  # type: ignore[arg-type]

    monkeypatch.setattr(Lftf, "fit", fails)
    copied = Store.open(copied.folder)
    walked = run(planned(written), copied)
    assert walked.failed == (
        "fit on tiny with parity, seed 1",
        "measure genbias on tiny with parity, seed 1",
        "measure stereoset on tiny with parity, seed 1",
    )
    study = read_study(copied.folder)
    (chapter,) = study.chapters
    assert [comparison.changes[0].seeds for comparison in chapter.comparisons] == [1, 1]
    why = {part.what: part for part in study.missing}
    failed = why["fit on tiny with parity, seed 1"]
    assert failed.why == "seed 1 went wrong"
    assert "RuntimeError" in (failed.traceback or "")
    waiting = why["measure genbias on tiny with parity, seed 1"].why
    assert waiting == "it needs 'fit on tiny with parity, seed 1', which has no result"
    assert "made with 1 of 2 seeds" in why["compare genbias on tiny with parity"].why
    monkeypatch.undo()
    again = run(planned(written), copied)
    assert again.failed == ()
    assert again.done == 1 + 2 + 2
    assert read_study(copied.folder).missing == ()


def test_a_model_that_cannot_be_opened_does_not_stop_the_others(
    copied: Store, written: Written
) -> None:
    text = RECIPE.replace("models: [", "models: [./no-such-model, ")
    plan = planned(written, text)
    again = next(step for step in plan.steps if step.title == "measure everything on tiny")
    shutil.rmtree(copied.step(again.key))
    walked = run(plan, copied)
    assert len(walked.failed) == 13
    assert (walked.skipped, walked.done) == (12, 1)
    missing = read_study(copied.folder).missing
    assert "model folder must exist" in missing[0].why
    assert len(read_study(copied.folder).chapters[0].comparisons) == 0
    assert len(read_study(copied.folder).chapters[1].comparisons) == 2


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(
    copied: Store, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(copied.folder)
    fits = [one for one in (copied.folder / "steps").iterdir() if one.name.startswith("fit")]
    for fit in fits:
        shutil.rmtree(fit)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("equipoise.edits.storage.save", full)
    with pytest.raises(PlaceError, match="needs room on its disk"):
        run(planned(written), copied)
    study = read_study(copied.folder)
    assert len(study.measured) == 7
    assert {one.why for one in study.missing} == {"not run yet"}
    monkeypatch.undo()
    assert run(planned(written), copied).done == 2
    assert stored(copied.folder) == before


def test_an_unfinished_measurement_goes_on_with_the_shards_it_has(
    copied: Store, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(copied.folder)
    step = next(
        step for step in planned(written).steps if step.title == "measure everything on tiny"
    )
    shutil.rmtree(copied.step(step.key))
    answered: list[int] = []
    ask = measure.answer

    def counted(model: object, requests: list[object], *, seed: int) -> object:
        if len(answered) == 1:
            raise KeyboardInterrupt
        answered.append(len(requests))
        return ask(model, requests, seed=seed)  # type: ignore[arg-type]

    monkeypatch.setattr(measure, "answer", counted)
    with pytest.raises(KeyboardInterrupt):
        run(planned(written), copied)
    remaining = sorted(one.name for one in copied.part(step.key).iterdir())
    assert remaining == ["outcomes-000000.json", "outcomes-000000.parquet"]
    answered.clear()
    answered.append(0)
    monkeypatch.setattr(
        measure, "answer", lambda m, r, *, seed: answered.append(len(r)) or ask(m, r, seed=seed)
    )
    run(planned(written), copied)
    assert answered == [0, 15]
    assert stored(copied.folder) == before


def test_a_broken_shard_is_as_good_as_none(copied: Store, written: Written) -> None:
    before = stored(copied.folder)
    step = next(
        step for step in planned(written).steps if step.title == "measure everything on tiny"
    )
    shutil.rmtree(copied.step(step.key))
    copied.part(step.key).mkdir(parents=True)
    (copied.part(step.key) / "outcomes-000000.parquet").write_bytes(b"PAR1")
    (copied.part(step.key) / "outcomes-000000.json").write_text('{"sha256": "0"}')
    run(planned(written), copied)
    assert stored(copied.folder) == before


def test_the_log_has_what_results_must_not_depend_on(finished: Path) -> None:
    lines = [
        json.loads(splitline) for splitline in (finished / "log.jsonl").read_text().splitlines()
    ]
    assert len(lines) == 13
    assert {line["event"] for line in lines} == {"done"}
    assert all(line["seconds"] >= 0 for line in lines)
