"""`measure --as NAME`: what every result calls the model, beside its identity."""

import json
from pathlib import Path

import pytest

from equipoise.study.results import read_results

from .conftest import Asked

SMALL = ("genbias", "--data", "planted:default", "--limit", 20, "--draws", 20, "--no-nulls")


@pytest.mark.thorough
def test_results_call_the_model_by_its_name(model: Path, ask: Asked, tmp_path: Path) -> None:
    status, out, _ = ask(
        "measure", model, *SMALL, "--as", "Our model, v2", "--out", tmp_path / "named"
    )
    assert status == 0
    assert out.startswith("genbias (test) on Our model, v2\n")
    (named,) = read_results(tmp_path / "named")
    assert named.model.startswith("tiny@")
    assert json.loads((tmp_path / "named" / "results.json").read_text())["model_name"] == (
        "Our model, v2"
    )
    _, table, _ = ask("export", tmp_path / "named", "--csv")
    assert all(line.startswith('"Our model, v2"') for line in table.splitlines()[1:])
    ask("measure", model, *SMALL, "--out", tmp_path / "plain")
    _, compared, _ = ask("compare", tmp_path / "plain", tmp_path / "named", "--draws", 20)
    assert f"{named.model} → Our model, v2" in compared
    command = ("compare", tmp_path / "plain", tmp_path / "named", "--draws", 20, "--json")
    (item,) = json.loads(ask(*command)[1])["comparisons"]
    assert (item["before_name"], item["after_name"]) == (named.model, "Our model, v2")
    assert (item["before"], item["after"]) == (named.model, named.model)
    file = tmp_path / "junit.xml"
    ask("check", tmp_path / "named", "--require", "genbias.afgb at least 0", "--junit", file)
    assert 'value="Our model, v2"' in file.read_text()
