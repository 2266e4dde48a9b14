"""A study's keys hold what a judge's grades follow from, and not how its server is reached."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from decision_folder import save_deciding

from equipoise.errors import RecipeError
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe

RECIPE = """\
title: Judged
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: stereotypes, association: always_late, targets: [Norway], judge: JUDGE}}]
data: planted:default
draws: 20
limit: 4
"""
SERVER = {"name": "endpoint", "address": "http://127.0.0.1:9", "model": "owl"}
Keys = Callable[[dict[str, Any]], list[str]]


@pytest.fixture
def keys(written: Callable[..., Path]) -> Keys:
    def of(judge: dict[str, Any]) -> list[str]:
        braced = json.dumps(judge).replace("{", "{{").replace("}", "}}")
        planned = plan(Recipe.from_yaml(written(RECIPE.replace("JUDGE", braced))))
        assert "record" not in json.dumps(planned.resolved)
        return [step.key for step in planned.steps]

    return of


def test_weights_of_a_judge_are_part_of_the_key(keys: Keys, tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "judge")
    judge = {"name": "model_judge", "model": str(folder)}
    before = keys(judge)
    assert keys(judge) == before
    file = folder / "config.json"
    file.write_text(file.read_text() + "\n")
    assert set(keys(judge)).isdisjoint(before)


def test_how_a_server_is_reached_is_no_part_of_it(keys: Keys, tmp_path: Path) -> None:
    before = keys(SERVER)
    reached = {"seconds": 9, "tries": 2, "per_minute": 6, "in_flight": 1}
    assert keys({**SERVER, **reached, "record": str(tmp_path / "a.jsonl")}) == before
    assert keys({**SERVER, "max_tokens": 9}) != before


def test_the_replies_that_are_replayed_are(keys: Keys, tmp_path: Path) -> None:
    file = tmp_path / "replies.jsonl"
    judge = {**SERVER, "record": str(file), "replay": True}
    with pytest.raises(RecipeError, match=r"line 3.*record one first, or leave replay out"):
        keys(judge)
    file.write_text("")
    before = keys(judge)
    assert keys(judge) == before
    file.write_text("\n")
    assert keys(judge) != before
    assert keys({**judge, "replay": False})  # as the sentence says
    other = tmp_path / "elsewhere.jsonl"
    other.write_text("\n")
    assert keys({**judge, "record": str(other)}) == keys(judge)
