"""A model behind an OpenAI-compatible server in a study."""

from pathlib import Path
from typing import Any

import pytest
from openai_serving import serving_model

from equipoise.errors import RecipeError
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.testing import tiny_model

MODEL = tiny_model("llama", context=512)
RECIPE = """\
title: Served
models: [{{name: "{model}", as: owl{server}}}]
benchmarks: [genbias]
data: planted:default
draws: 0
limit: 4
nulls: false
"""


def planned(file: Path, model: str, server: str = "") -> Any:
    file.write_text(RECIPE.format(model=model, server=server))
    return plan(Recipe.from_yaml(file))


@pytest.mark.thorough
def test_a_step_that_fails_asks_for_the_rest_alone(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "run")
    with serving_model(MODEL) as server:
        steps = planned(tmp_path / "study.yaml", server.name, ", server: {in_flight: 1, tries: 1}")
        server.status = lambda body: 500 if body["prompt"].count("she") else 200
        assert run(steps, store).failed
        (replies,) = (tmp_path / "run" / "parts").glob("*/replies.jsonl")
        kept = len(replies.read_text().splitlines())
        assert kept > 0
        server.status = lambda _: 200
        server.asked.clear()
        assert not run(steps, store).failed
        sent = [body for body in server.asked if "nurse" not in str(body)]
        assert len(sent) > 0
        assert not replies.exists()
    (measured,) = read_study(tmp_path / "run").measured
    assert measured.measurement.model_info["server"] == server.address


def test_keys_have_what_answers_depend_on(tmp_path: Path) -> None:
    name, file = "openai:http://127.0.0.1:9/v1#owl", tmp_path / "study.yaml"
    keys = [
        [step.key for step in planned(file, name, server).steps]
        for server in ("", ", server: {in_flight: 9}", ", server: {chat: true}", ", chat: true")
    ]
    assert keys[0] == keys[1]
    assert keys[0] != keys[2]


@pytest.mark.parametrize(
    ("model", "server", "what"),
    [
        ("planted:default", ", server: {in_flight: 2}", "server is of a model behind openai:"),
        ("openai:http://127.0.0.1:9/v1#owl", ", server: {key: a}", "openai has no option 'key'"),
        ("openai:http://127.0.0.1:9/v1#owl", ", dtype: bfloat16", "dtype is of a model that is"),
        ("openai:http://127.0.0.1:9/v1#owl", ", base: a", "base is of a model that is opened"),
        ("decision:http://127.0.0.1:9#owl", ", revision: a", "revision is of a model that is"),
        ("openai:http://127.0.0.1:9/v1", "", "is named openai:http://HOST:PORT/v1#NAME"),
    ],
)
def test_what_is_no_server_is_refused_with_its_line(
    tmp_path: Path, model: str, server: str, what: str
) -> None:
    with pytest.raises(RecipeError, match=rf"study.yaml.* line 2: .*{what}"):
        planned(tmp_path / "study.yaml", model, server)
