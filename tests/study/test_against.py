"""A mitigation compared with another in place of the model as it is, seed by seed."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.compare import compare, reduction
from equipoise.conformance import tiny_supply
from equipoise.errors import RecipeError
from equipoise.export import tables
from equipoise.records import Measurement
from equipoise.report.html import study_page
from equipoise.report.reductions import reduction_sentences
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan, without_failed
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.study.study import Study
from equipoise.study.supplied import supply_sha256

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: genbias, split_by: both}}
  - {{name: stereoset, edited: false}}
mitigations:
  - {{name: prompt_explain, as: after, instruction: 'Q: {{input}} ', against: tuned}}
  - {{name: lftf, as: tuned, epochs: 1, learning_rate: 0.05}}
supply: {{name: genbias, split_by: both}}
data: planted:default
seeds: [0, 1]
draws: 100
limit: 40
"""

Written = Callable[..., Path]


@pytest.fixture
def planned(written: Written) -> Callable[[str], Plan]:
    return lambda text: plan(Recipe.from_yaml(written(text)))


@pytest.fixture(scope="module")
def place(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study, run once."""
    folder = tmp_path_factory.mktemp("against")
    (folder / "study.yaml").write_text(TEXT.format(model=tiny_folder))
    done = run(plan(Recipe.from_yaml(folder / "study.yaml")), Store.open(folder / "run"))
    assert done.failed == ()
    return folder / "run"


def measured(study: Study, mitigation: str | None) -> list[Measurement]:
    return [
        each.measurement
        for each in study.measured
        if each.mitigation == mitigation and each.measurement.benchmark == "genbias"
    ]


@pytest.mark.thorough
def test_measurements_of_the_other_mitigation_stand_before(place: Path) -> None:
    study = read_study(place)
    base, tuned, after = (measured(study, name) for name in (None, "tuned", "after"))
    assert (len(tuned), len(after)) == (2, 1)
    after *= 2  # no seed changes a prompt: it was measured once, and stands beside each seed
    chapter = next(each for each in study.chapters if each.mitigation == "after")
    (comparison,) = chapter.comparisons
    assert chapter.against == "tuned"
    assert comparison.sides == (*tuned, *after)
    assert repr(comparison.changes) == repr(compare(tuned, after, draws=100).changes)
    for index in (0, 1):
        alone = compare(tuned[index], after[index], draws=100)
        assert comparison.of_seed(index).before == tuned[index]
        overall = tuple(change for change in alone.changes if not change.group)
        assert repr(comparison.by_seed[index]) == repr(overall)
    change, first = comparison.changes[0], "afgb"
    values = [sum(side.estimate(first).value for side in sides) / 2 for sides in (tuned, after)]
    assert (change.metric, change.seeds) == (first, 2)
    assert (change.before, change.after) == pytest.approx(values)
    (reduced,) = chapter.reductions
    assert repr(reduced.estimates) == repr(reduction(base[0], tuned, after, draws=100))
    share = reduced.estimates[0]
    added = values[0] - base[0].estimate(first).value
    if share.reason is None:
        assert share.value == pytest.approx(100 * (values[0] - values[1]) / added)
    else:
        assert math.isnan(share.value)
        assert "not shown to differ" in share.reason


@pytest.mark.thorough
def test_report_and_export_name_what_it_is_against(place: Path) -> None:
    study = read_study(place)
    page = study_page(study)
    assert "after on tiny, against tuned" in page
    (chapter,) = (each for each in study.chapters if each.mitigation == "after")
    (sentence,) = reduction_sentences(chapter)
    assert sentence.startswith("genbias afgb: ")
    assert "tuned added" in sentence
    rows = tables.changes(study)
    assert set(rows[rows.mitigation == "after"].against) == {"tuned"}
    assert rows[rows.mitigation == "tuned"].against.isna().all()
    assert not [each for each in study.findings if each.level == "error"]


def test_a_comparison_goes_on_with_the_pairs_of_seeds_that_are_left(
    planned: Callable[[str], Plan],
) -> None:
    of = planned(TEXT)
    step = next(each for each in of.of("compare") if each.mitigation.label == "after")
    assert [need.seed for need in step.needs] == [0, 1, 0, 0]
    lost = {step.needs[0].key}
    left = without_failed(of.recipe, step, lost)
    assert left is not None
    assert [need.seed for need in left.needs] == [1, 0]
    assert without_failed(of.recipe, step, lost | {step.needs[3].key}) is None
    (reduced,) = of.of("reduction")
    assert without_failed(of.recipe, reduced, lost) is None


@pytest.mark.thorough
def test_what_it_is_against_changes_no_other_step(planned: Callable[[str], Plan]) -> None:
    with_it, without = planned(TEXT), planned(TEXT.replace(", against: tuned", ""))
    keys = {step.key for step in with_it.steps} ^ {step.key for step in without.steps}
    assert {key.partition("-")[0] for key in keys} == {"compare", "reduction"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("against: tuned", "against: tunde", "line 6: against must name .* did you mean 'tuned'"),
        ("against: tuned", "against: after", "line 6: against must .* 'after' against 'after'"),
        (
            "learning_rate: 0.05",
            "learning_rate: 0.05, against: after",
            "line 6: against must lead to the model .* 'after' against 'tuned' against 'after'; "
            "leave it out of 'tuned'",
        ),
        ("against: tuned", "against: 3", "line 6: mitigations.0.against"),
    ],
)
def test_labels_that_lead_nowhere_are_refused(
    written: Written, old: str, new: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe.from_yaml(written(TEXT.replace(old, new)))


def test_a_supply_without_rows_has_the_hash_that_it_had_before_there_were_any() -> None:
    supply = tiny_supply()
    parts = {
        name: part
        for name, part in dataclasses.asdict(supply).items()
        if name not in ("rows", "probes", "dev_probes")
    }
    if not len(supply.rows):
        text = json.dumps(parts, sort_keys=True)
        assert supply_sha256(supply) == hashlib.sha256(text.encode()).hexdigest()
