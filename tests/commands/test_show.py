"""`equipoise show`: single examples, their texts only when asked for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Asked, Refused
from .test_export import results

DATA = ("--data", "planted:default")  # as the study's recipe


def test_examples_of_a_result(finished: Path, ask: Asked) -> None:
    folder = results(finished)
    status, out, err = ask("show", folder, "--count", 2)
    assert (status, "--texts" in err) == (0, True)
    assert "2 of 8 examples by" in out
    assert "asked" not in out
    status, out, err = ask("show", folder, "--count", 2, "--texts", *DATA)
    assert (status, err) == (0, "")
    assert out.count("asked: ") >= 2


@pytest.mark.thorough
def test_a_document_has_no_text_unless_asked(finished: Path, ask: Asked) -> None:
    folder = results(finished)
    for flags, wanted in (((), False), (("--texts",), True)):
        document = json.loads(ask("show", folder, "--json", *flags, *DATA)[1])
        (shown, *_) = document["examples"]
        assert shown["of"] == 8
        assert all(("texts" in row) == wanted for row in shown["examples"])


@pytest.mark.thorough
def test_what_moved_between_the_models_of_a_study(finished: Path, ask: Asked) -> None:
    listed = [item / "results" for item in (finished / "steps").iterdir() if "measure" in item.name]
    models: dict[str, Path] = {}
    for folder in listed:
        out = json.loads(ask("show", folder, "--json")[1])["examples"][0]
        if out["benchmark"] == "genbias":
            models[out["model"]] = folder
    before, after = list(models.values())[:2]
    status, out, _ = ask("show", after, "--changed", before)
    assert status == 0
    assert "by how much the distance of afgb from its ideal moved" in out
    assert " → " in out


@pytest.mark.thorough
def test_a_study_is_shown_by_model(finished: Path, ask: Asked) -> None:
    document = json.loads(ask("show", finished, "--benchmark", "genbias", "--json")[1])
    names = {shown["model"] for shown in document["examples"]}
    assert len(names) == 3  # the base, and the edit of each seed
    name = sorted(names)[0]
    out = ask("show", finished, "--benchmark", "genbias", "--json", "--model", name)[1]
    assert [shown["model"] for shown in json.loads(out)["examples"]] == [name]


@pytest.mark.thorough
def test_a_group_of_one_benchmark_is_shown_of_that_one(
    finished: Path, ask: Asked, refused: Refused
) -> None:
    document = json.loads(ask("show", finished, "--benchmark", "stereoset", "--json")[1])
    axis = document["examples"][0]["examples"][0]["groups"]["axis"]
    status, out, err = ask("show", finished, "--group", f"axis={axis}", "--json")
    assert status == 0
    assert {shown["benchmark"] for shown in json.loads(out)["examples"]} == {"stereoset"}
    assert err == f"not shown, without an example of axis={axis}: genbias\n"
    assert "got 'nonsense'" in refused("show", finished, "--group", "nonsense=x")


def test_a_page_folds_the_texts(finished: Path, ask: Asked, tmp_path: Path) -> None:
    page = tmp_path / "examples.html"
    status, out, err = ask("show", results(finished), "--html", page, "--count", 3, *DATA)
    assert (status, out, err) == (0, "", f"the page is {page}\n")
    text = page.read_text(encoding="utf-8")
    assert text.count("Content warning") == 3
    assert "<script" not in text
    assert " open" not in text.split("<body>")[1]


@pytest.mark.thorough
def test_what_cannot_be_shown_is_refused(finished: Path, refused: Refused, tmp_path: Path) -> None:
    folder = results(finished)
    assert "KEY=NAME, got 'axis'" in refused("show", folder, "--group", "axis")
    assert "got 'genbais'" in refused("show", finished, "--benchmark", "genbais")
    assert "--model must be of what" in refused("show", folder, "--model", "gpt3")
    assert "must be there" in refused("show", tmp_path / "nowhere")
    other = next(
        item / "results"
        for item in (finished / "steps").iterdir()
        if "measure" in item.name
        and json.loads((item / "results" / "results.json").read_text())["equipoise"][
            "benchmarks"
        ].keys()
        != json.loads((folder / "results.json").read_text())["equipoise"]["benchmarks"].keys()
    )
    assert "--changed must be a result of the same examples" in refused(
        "show", folder, "--changed", other
    )


@pytest.mark.thorough
def test_it_needs_no_torch(finished: Path) -> None:
    code = (
        "import sys; from equipoise import cli; cli.run(sys.argv[1:]); "
        "assert not {'torch', 'transformers', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "show", str(results(finished)), "--texts", *DATA]
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.thorough
def test_a_study_is_read_without_what_measures_checks_and_makes_worlds(finished: Path) -> None:
    heavy = "{'torch', 'equipoise.measure', 'equipoise.checks.run', 'equipoise.planted.world'}"
    code = (
        "import sys; from equipoise import cli; assert not cli.run(sys.argv[1:]); "
        f"assert not {heavy} & set(sys.modules)"
    )
    command = [sys.executable, "-c", code, "show", str(finished)]
    subprocess.run(command, check=True, capture_output=True)
