"""What `equipoise measure` says at its end, and the page of its results."""

import json
from pathlib import Path

import pytest

from equipoise.answer import answer
from equipoise.study.results import read_results, write_results

from .conftest import Asked, Refused

QUICK = ("--data", "planted:default", "--limit", 60, "--draws", 50)


@pytest.fixture(scope="module")
def kept(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a tiny model on two benchmarks."""
    from equipoise import cli

    folder = tmp_path_factory.mktemp("measured") / "kept"
    arguments = ("measure", model, "genbias", "stereoset", *QUICK, "--out", folder, "--json")
    assert cli.run([*map(str, arguments)]) == 0
    return folder


@pytest.mark.thorough
def test_measuring_ends_with_the_answer(model: Path, ask: Asked, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, out, err = ask("measure", model, "stereoset", *QUICK, "--html", page)
    assert status == 0
    table, _, answer = out.partition("How biased is the model?\n")
    assert 2 <= len(answer.splitlines()) <= 5
    assert answer.splitlines()[0].startswith(("No bias is shown", "Bias is shown"))
    rows = [line.split()[0] for line in table.splitlines() if "  overall  " in line]
    assert rows == ["ss", "lms"]
    assert table.count("note: A model that knows nothing") == 1
    assert f"the page is {page}" in err
    assert "<h2>The answer</h2>" in page.read_text()


@pytest.mark.thorough
def test_all_prints_every_number_and_groups_their_tables(model: Path, ask: Asked) -> None:
    _, short, _ = ask("measure", model, "stereoset", *QUICK)
    _, every, _ = ask("measure", model, "stereoset", *QUICK, "--all")
    _, groups, _ = ask("measure", model, "stereoset", *QUICK, "--groups")
    assert "icat_domain_mean" in every
    assert "icat_domain_mean" not in short + groups
    assert "ss by axis:\naxis " in groups
    assert "could have been seen" in groups
    assert "ss by axis" not in short


@pytest.mark.thorough
def test_json_and_results_have_the_same_sentences(kept: Path) -> None:
    section = json.loads((kept / "results.json").read_text())["equipoise"]
    assert 2 <= len(section["answer"]) <= 5
    for row in section["benchmarks"].values():
        assert row["answer"][0].startswith(("No bias is shown", "Bias is shown"))
        assert row["slices"][0]["by"]
    # what was written is read back the same
    again = write_results(kept.parent / "again", read_results(kept))
    assert (again / "results.json").read_bytes() == (kept / "results.json").read_bytes()


@pytest.mark.thorough
def test_report_of_results_is_their_page(kept: Path, ask: Asked, tmp_path: Path) -> None:
    status, _, err = ask("report", kept, "--out", tmp_path / "page.html")
    assert (status, err.splitlines()[-1]) == (0, f"the page is {tmp_path / 'page.html'}")
    page = (tmp_path / "page.html").read_text()
    assert "How biased is tiny@" in page
    assert '<html lang="en" class="short">' in page
    assert ask("report", kept, "--out", tmp_path / "full.html", "--full")[0] == 0
    assert '<html lang="en" class="full">' in (tmp_path / "full.html").read_text()
    document = json.loads(ask("report", kept, "--out", tmp_path / "page.html", "--json")[1])
    assert document["report"] == str(tmp_path / "page.html")
    assert document["answer"] == list(answer(read_results(kept)))


def test_a_page_of_empty_results_is_refused(kept: Path, refused: Refused, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    document = json.loads((kept / "results.json").read_text())
    document["equipoise"]["benchmarks"] = {}
    (folder / "results.json").write_text(json.dumps(document))
    error = refused("report", folder)
    assert "a page needs a measurement with a number, got 0 without any" in error
    assert "measure a model on a benchmark first" in error


def test_plots_of_a_study_are_not_those_of_results(kept: Path, refused: Refused) -> None:
    assert "plots in a file are of a study, got plot.svg" in refused(
        "report", kept, "--figure", "plot.svg"
    )
