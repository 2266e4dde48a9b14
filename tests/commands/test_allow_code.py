"""`--allow-code` of `measure` and `run`, and files that a plan lacks."""

import json
from pathlib import Path

import pytest
from ability_files import SOLUTIONS, write_humaneval, write_mbpp

from equipoise import cli

RECIPE = """\
models: [planted:default]
benchmarks:
  - {{name: humaneval{allowed}}}
  - boolq
"""
REFUSED = "allow_code must be true, got False: programs that the model writes are run on this"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with HumanEval and MBPP, and without the network."""
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    write_humaneval(tmp_path)
    write_mbpp(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["humaneval"], REFUSED),
        (["genbias", "--allow-code"], "--allow-code is for benchmarks that run what a model"),
    ],
)
def test_measure_refuses_in_a_sentence(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["measure", "planted:default", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.thorough
@pytest.mark.usefixtures("folder")
def test_measure_runs_what_is_allowed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from equipoise import api
    from equipoise.commands import flags
    from equipoise.measure import measure
    from equipoise.testing import FakeScorer

    code = f"def check(a, b):\n{SOLUTIONS[0]}"
    monkeypatch.setattr(flags, "load_model", lambda *_, **__: FakeScorer(texts={"": code}))
    monkeypatch.setattr(api, "measure", measure)
    command = ["measure", "fake", "humaneval", "mbpp", "--allow-code", "--draws", "0", "--json"]
    assert cli.run(command) == 0
    benchmarks = json.loads(capsys.readouterr().out)["equipoise"]["benchmarks"]
    assert [each["options"]["allow_code"] for each in benchmarks.values()] == [True, True]


def test_a_plan_needs_leave_and_names_what_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "study.yaml"
    file.write_text(RECIPE.format(allowed=""))
    assert cli.run(["run", str(file), "--dry"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"study.yaml line 3: humaneval: {REFUSED}" in said
    assert cli.run(["run", str(file), "--dry", "--allow-code"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "missing: boolq: boolq/dev.jsonl must be in folder" in said
    file.write_text(RECIPE.format(allowed=", allow_code: true"))
    assert cli.run(["run", str(file), "--dry", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert [missing["what"] for missing in plan["missing"]] == ["boolq"]
    assert len(plan["steps"]) == 2


@pytest.mark.thorough
def test_the_plan_of_lftfs_ten_tasks_holds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from equipoise.data import harness_tasks
    from equipoise.errors import PackageError
    from equipoise.study.plan import plan
    from equipoise.study.recipe import Recipe

    def missing() -> None:
        raise PackageError("harness needs lm-evaluation-harness, got no module 'lm_eval'")

    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))
    monkeypatch.setattr(harness_tasks, "_shipped_tasks", missing)
    text = (Path(__file__).parents[2] / "examples" / "ability.yaml").read_text()
    (tmp_path / "ability.yaml").write_text(f"{text}data: planted:default\n")  # for professions
    recipe = Recipe.from_yaml(tmp_path / "ability.yaml")
    tasks = [benchmark.label for benchmark in recipe.benchmarks if benchmark.label != "genbias"]
    assert len(tasks) == 10
    planned = plan(recipe)
    assert {step.benchmark.label for step in planned.of("compare") if step.benchmark} == {
        "genbias", *tasks,
    }  # fmt: skip
    reasons = dict(planned.missing)
    assert reasons.keys() == set(tasks)
    assert "lm-evaluation-harness" in reasons["cmmlu"]
    assert "race/middle/test.jsonl must be in" in reasons["race"]
