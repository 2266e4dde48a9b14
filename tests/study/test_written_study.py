"""A study whose model writes: its pairs are stored, shown, and its figures are files."""

from pathlib import Path

import pytest

from equipoise import cli
from equipoise.study.load_study import read_study
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: scenarios, axes: [gender], samples: 1, max_tokens: 3, scorers: [register]}}
mitigations: [{{name: lftf, objective: parity, epochs: 1, learning_rate: 0.01}}]
supply: {{name: genbias, split_by: both}}
data: planted:default
examples: {examples}
draws: 10
"""


def study_of(model: Path, folder: Path, examples: int) -> Path:
    """The store of a study that keeps so many examples."""
    (folder / "study.yaml").write_text(TEXT.format(model=model, examples=examples))
    done = run(plan(Recipe.from_yaml(folder / "study.yaml")), Store.open(folder / "run"))
    assert done.failed == ()
    return folder / "run"


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return study_of(tiny_folder, tmp_path_factory.mktemp("written"), 3)


@pytest.mark.thorough
def test_pairs_are_stored_with_their_prompts(place: Path) -> None:
    (chapter,) = read_study(place).chapters
    (compared,) = chapter.comparisons
    texts = {outcome.example: outcome.text for outcome in compared.after.outcomes}
    assert compared.written == len(texts)
    assert 20 <= len(compared.pairs) <= 60
    for pair in compared.pairs:
        assert pair.prompt
        assert pair.after == texts[pair.example]


@pytest.mark.thorough
def test_the_report_has_them_and_writes_figures(place: Path, tmp_path: Path) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures"
    asked = ["report", str(place), "--out", str(page), "--disparity", str(figures)]
    assert cli.run(asked) == 0
    assert 'class="sensitive kept-folded generations"' in page.read_text()
    assert [file.name for file in figures.iterdir()] == ["1-register_captions.svg"]


@pytest.mark.thorough
def test_a_study_that_wants_no_examples_keeps_no_texts(tiny_folder: Path, tmp_path: Path) -> None:
    (chapter,) = read_study(study_of(tiny_folder, tmp_path, 0)).chapters
    (compared,) = chapter.comparisons
    assert (compared.pairs, compared.examples) == ((), ())
