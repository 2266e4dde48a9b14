"""Decision models in a study: behind HTTP, where a stop loses nothing, and as the base of edits."""

from pathlib import Path
from typing import Any

import pytest
from decision_folder import save_deciding
from decision_serving import answered, serving

from equipoise.errors import RecipeError
from equipoise.records import Measurement
from equipoise.study import execution
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

SERVED = """\
title: Served
models: [{{name: "{model}", as: owl}}]
benchmarks: [{{name: crows_pairs, score: noul}}]
data: planted:default
draws: 0
limit: 12
"""
EDITED = """\
title: Edited
models: [{{name: "decision:{model}", as: tiny}}]
benchmarks: [{{name: stereoset, task: noul}}]
mitigations: [{{name: lftf, objective: parity, epochs: 1, learning_rate: 0.01}}]
supply: genbias
data: planted:default
draws: 20
limit: 10
"""


def planned(file: Path, text: str, model: object) -> Any:
    file.write_text(text.format(model=model))
    return plan(Recipe.from_yaml(file))


def measurements(folder: Path) -> list[Measurement]:
    return [measured.measurement for measured in read_study(folder).measured]


@pytest.mark.thorough
def test_a_server_that_stops_costs_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "SHARD_SIZE", 4)
    monkeypatch.setattr("time.sleep", lambda _: None)
    store = Store.open(tmp_path / "run")
    broken = [True]

    def answerer(body: Any) -> Any:
        if broken[0] and len(server.asked) > 20:
            return 500, b"out of memory"
        return answered(body, lambda *_: [0.5])

    with serving(answerer) as server:
        steps = planned(tmp_path / "study.yaml", SERVED, server.name)
        assert run(steps, store).failed
        whole = 2 * 8  # both sentences of the pairs of the shards that were finished
        broken[0] = False
        before = len(server.asked)
        assert not run(steps, store).failed
        assert len(server.asked) - before == 24 - whole
        assert len({body["state"] for body, _ in server.asked}) == 24
        before = len(server.asked)
        assert not run(steps, store).failed
        assert len(server.asked) == before  # it is kept
    (measurement,) = measurements(tmp_path / "run")
    assert measurement.estimate("ties").value == 100
    assert measurement.model_info["server"] == server.name[len("decision:") :].partition("#")[0]


def test_a_decision_model_in_a_chat_is_refused_with_its_line(tmp_path: Path) -> None:
    text = EDITED.replace("as: tiny", "as: tiny, chat: true")
    with pytest.raises(RecipeError, match=r"study.yaml line 2: .* leave its chat out"):
        planned(tmp_path / "study.yaml", text, tmp_path)


@pytest.mark.thorough
def test_a_decision_model_is_edited_and_asked_again(tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked")
    steps = planned(tmp_path / "study.yaml", EDITED, folder)
    assert not run(steps, Store.open(tmp_path / "run")).failed
    base, edited = measurements(tmp_path / "run")
    assert edited.model.startswith(f"{base.model}+lftf:")
    assert base.estimate("says_true").value != edited.estimate("says_true").value
    (folder / "decision.json").write_text('{"labels": {"noul": ["T", "F"]}}')
    again = planned(tmp_path / "study.yaml", EDITED, folder)
    assert not {step.key for step in steps.steps} & {step.key for step in again.steps}
