"""A worker with other code, other data or without the store may not take part."""

import json
from pathlib import Path
from typing import Any

import pytest
from stored_results import stored

from equipoise.errors import PlaceError
from equipoise.executors.study_job import find_difference, read_recipe, write_job
from equipoise.executors.worker import check_worker, do_step
from equipoise.study.plan import Plan
from equipoise.study.recipe import Recipe
from equipoise.study.store import Store

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def job(small_plan: Plan, store: Store) -> Path:
    return write_job(small_plan, store, device="cpu", batch_tokens=None)


def changed(job: Path, **values: Any) -> str:
    file = job.with_name("changed.json")
    file.write_text(json.dumps(json.loads(job.read_text()) | values))
    return str(file)


def test_a_recipe_comes_back_as_it_was(store: Store) -> None:
    for name in ("demo", "biasdiff", "bias_unlearn_tables"):
        recipe = Recipe.from_yaml(EXAMPLES / f"{name}.yaml")
        written = write_job(
            Plan(recipe=recipe, resolved={}, steps=()), store, device="cpu", batch_tokens=None
        )
        assert read_recipe(json.loads(written.read_text())) == recipe


def test_a_step_is_done_with_the_same_bytes(
    job: Path, small_plan: Plan, store: Store, serial: dict[str, bytes]
) -> None:
    step = small_plan.steps[0]
    outcome = do_step(str(job), step.key, [], 1)
    assert outcome["state"] == "done"
    assert outcome["seconds"] > 0
    mine = {name: data for name, data in stored(store.folder).items() if step.key in name}
    assert mine
    assert mine == {name: data for name, data in serial.items() if step.key in name}
    log = store.log_of(step.key).read_text()
    assert "measure genbias on tiny, begun on " in log
    assert do_step(str(job), step.key, [], 1)["state"] == "skipped"
    with store.lock(step.key):
        assert do_step(str(job), step.key, [], 1)["state"] == "busy"


def test_a_full_disk_is_told(job: Path, small_plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise PlaceError("no room")

    monkeypatch.setattr(Store, "write_step", full)
    outcome = do_step(str(job), small_plan.steps[0].key, [], 1)
    assert outcome == {"state": "no_place", "why": "no room"}


def test_other_code_is_refused(job: Path) -> None:
    other = changed(job, package={"version": "9.9", "code": "abc"})
    why = check_worker(other)
    assert "must have the same equipoise as the command, it has " in why
    assert "in place of 9.9 (code abc); install the same there" in why
    assert do_step(other, "any", [], 1) == {"state": "refused", "why": why}
    assert check_worker(str(job)) == ""


def test_other_data_is_refused(job: Path, small_plan: Plan) -> None:
    step = small_plan.steps[0]
    content = json.loads(json.dumps(dict(step.content)))
    content["benchmark"]["data"][0]["sha256"] = "0" * 64
    why = check_worker(changed(job, contents={"another": [step.title, content]}))
    assert "must have the same data and models as the command, of 'measure genbias on tiny'" in why
    assert "benchmark.data.0.sha256 is " in why
    assert why.endswith("; put the same files there")


def test_a_lock_that_the_command_holds(job: Path, store: Store) -> None:
    with store.lock("probe"):
        assert check_worker(str(job), "probe") == ""
    assert "must respect locks on" in check_worker(str(job), "probe")


def test_no_store_there(tmp_path: Path, job: Path) -> None:
    why = check_worker(str(tmp_path / "elsewhere" / "logs" / "study.json"))
    assert "must see the study's folder, got: [Errno 2]" in why
    job.write_text("{")
    assert "run the same command again" in check_worker(str(job))


def test_a_recipe_that_a_worker_cannot_read(job: Path) -> None:
    recipe = json.loads(job.read_text())["recipe"] | {"data": "no/such/folder"}
    assert "must be able to read the recipe, got: " in check_worker(changed(job, recipe=recipe))


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, ""),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a.1.b is 3 in place of 2"),
        ({"a": 1}, {"c": 1}, "a is null in place of 1"),
        ({"a": [1]}, {"a": [1, 2]}, "a is [1, 2] in place of [1]"),
    ],
)
def test_where_documents_differ(first: Any, second: Any, difference: str) -> None:
    assert find_difference(first, second) == difference
