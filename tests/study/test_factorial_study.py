"""A study of a combined method and its parts: which factorials are planned, computed and read."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from equipoise.compare import decompose
from equipoise.errors import RecipeError
from equipoise.export import tables
from equipoise.files.atomic import sha256
from equipoise.mitigate.prompt_explain import PromptExplain
from equipoise.records import Measurement
from equipoise.report.html import study_page
from equipoise.study.load_study import FACTORIAL, read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.study.study import Study

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - {{name: stereoset, edited: false}}
mitigations:
  - {{name: lftf, as: edit, epochs: 1, learning_rate: 0.02}}
  - {{name: prompt_explain, as: prompt, instruction: 'Q: {{input}} '}}
  - name: combined
    as: both
    first: {{name: prompt_explain, instruction: 'Q: {{input}} '}}
    second: {{name: lftf, epochs: 1, learning_rate: 0.02}}
    second_on: base
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 100
limit: 16
"""

Written = Callable[..., Path]


@pytest.fixture
def planned(written: Written) -> Callable[[str], Plan]:
    return lambda text: plan(Recipe.from_yaml(written(text)))


@dataclass(frozen=True)
class Ran:
    recipe: Plan
    folder: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Ran:
    """The study, run once; leave it as it is."""
    place = tmp_path_factory.mktemp("factorial")
    (place / "study.yaml").write_text(TEXT.format(model=tiny_folder))
    recipe = plan(Recipe.from_yaml(place / "study.yaml"))
    assert run(recipe, Store.open(place / "run")).failed == ()
    return Ran(recipe, place / "run")


def by_cell(study: Study) -> dict[str, list[Measurement]]:
    cells: dict[str, list[Measurement]] = {}
    for measured in study.measured:
        if measured.measurement.benchmark == "genbias":
            cells.setdefault(measured.mitigation or "neither", []).append(measured.measurement)
    assert len(cells["prompt"]) == 1  # which no seed changes
    cells["prompt"] *= 2
    return cells


@pytest.mark.thorough
def test_what_the_parts_are_is_found_by_method_and_options(planned: Callable[[str], Plan]) -> None:
    def titles(*change: str) -> list[str]:
        return [step.title for step in planned(TEXT.replace(*change)).of("factorial")]

    (step,) = planned(TEXT).of("factorial")
    assert step.title == "factorial genbias on tiny with both"
    assert [need.seed for need in step.needs] == [None, 0, 0, 0, 1, 0, 1]
    labels = [need.mitigation and need.mitigation.label for need in step.needs]
    assert labels == [None, "prompt", "prompt", "edit", "edit", "both", "both"]
    # a default that is written out is the same method, another option is not
    assert titles("as: edit, ", "as: edit, norms: true, ") == [step.title]
    assert titles("as: edit, ", "as: edit, norms: false, ") == []
    assert titles("'Q: {{input}} '}}\n  -", "'A: {{input}} '}}\n  -") == []
    other = planned(TEXT.replace("draws: 100", "draws: 99")).of("factorial")
    assert [each.key for each in other] != [step.key]


@pytest.mark.thorough
def test_shares_are_of_the_measurements_of_the_study(ran: Ran, tmp_path: Path) -> None:
    study = read_study(ran.folder)
    (factored,) = study.factored
    assert study.missing == ()
    names = (factored.model, factored.first, factored.second, factored.both)
    assert names == ("tiny", "prompt", "edit", "both")
    cells = by_cell(study)
    assert factored.neither == cells["neither"][0]
    headline = factored.factorials[0]
    assert (headline.metric, headline.seeds) == ("afgb", 2)
    for cell in ("first", "second", "both"):
        values = [each.estimate("afgb").value for each in cells[getattr(factored, cell)]]
        assert headline.estimate(cell).value == pytest.approx(sum(values) / 2)
    alone = [cells[name] for name in ("prompt", "edit", "both")]
    again = decompose(cells["neither"][0], *alone, seed=0, draws=100)
    assert repr(again) == repr(factored.factorials)
    # run again, the same bytes
    store = Store.open(Path(shutil.copytree(ran.folder, tmp_path / "copy")))
    (step,) = ran.recipe.of("factorial")
    first = sha256(store.step(step.key) / FACTORIAL)
    store.set_aside(step.key)
    assert run(ran.recipe, store).done == 1
    assert sha256(store.step(step.key) / FACTORIAL) == first
    check_shown(study)


def check_shown(study: Study) -> None:
    """In the page and in the export, every number of the factorial."""
    (factored,) = study.factored
    frame = tables.factorials(study)
    total = frame.query("metric == 'afgb' and quantity == 'effect_both'")
    assert total.value.item() == factored.factorials[0].estimate("effect_both").value
    assert len(frame) == sum(len(each.estimates) for each in factored.factorials)
    page = study_page(study)
    assert "How much of it is whose" in page


@pytest.mark.thorough
def test_a_failed_part_leaves_the_factorial_missing(
    planned: Callable[[str], Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fail(*_: object, **__: object) -> None:
        raise RecipeError(f"no prompt {1}")

    monkeypatch.setattr(PromptExplain, "fit", fail)
    run(planned(TEXT), Store.open(tmp_path / "run"))
    study = read_study(tmp_path / "run")
    assert study.factored == ()
    lacking = [each.why for each in study.missing if each.what.startswith("factorial")]
    assert lacking == [
        "it needs 'measure genbias on tiny with prompt, seed 0', which has no result"
    ]
    assert "How much of it is whose" not in study_page(study)


def changed(measurements: Sequence[Measurement], **info: str) -> list[Measurement]:
    return [replace(each, model_info={**each.model_info, **info}) for each in measurements]


@pytest.mark.thorough
def test_sides_of_other_settings_have_no_shares_and_other_items_are_refused(ran: Ran) -> None:
    cells = by_cell(read_study(ran.folder))
    sides = [cells[name] for name in ("prompt", "edit", "both")]
    apart = decompose(cells["neither"][0], sides[0], changed(sides[1], dtype="other"), sides[2])
    share = apart[0].estimate("share_second")
    assert "not comparable: " in str(share.reason)
    elsewhere = [replace(each, examples_sha256="0" * 64) for each in sides[2]]
    with pytest.raises(RecipeError, match="same examples_sha256"):
        decompose(cells["neither"][0], sides[0], sides[1], elsewhere)
