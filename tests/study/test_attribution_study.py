"""A study that attributes: what is planned, computed, kept, read, shown and exported."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from equipoise import api, cli
from equipoise.errors import RecipeError
from equipoise.export import tables
from equipoise.loading.load import load
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan, without_failed
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.study.study import Study

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: genbias, edited: false}}]
attributors:
  - {{name: influence, as: mine, training: {{rank: 2, epochs: 1, targets: [q_proj]}}}}
  - bm25
  - random
supply: {{name: rows, path: ROWS, probes: PROBES, dev_share: 0.25}}
attribution:
  shares: [0.25, 0.5]
  subsets: 3
  removal: [0.5]
  seeds: 1
  training: {{rank: 2, epochs: 1, targets: [q_proj]}}
data: planted:default
examples: 3
draws: 20
limit: 4
"""

Written = Callable[..., Path]


def write_rows(text: str, folder: Path) -> str:
    """Write rows and probes into a folder; gives the recipe with their names."""
    rows, probes = folder / "rows.jsonl", folder / "probes.csv"
    rows.write_text(
        "".join(
            f'{{"id": "r{n}", "text": "The {who} is {what} {n}.", "label": "{label}"}}\n'
            for n, (who, what, label) in enumerate(
                [("blin", "rude", "biased"), ("sky", "blue", "neutral")] * 4
            )
        )
    )
    probes.write_text(
        "sent_more,sent_less,bias_type\n"
        + "".join(f"A blin is {what}.,A tok is {what}.,age\n" for what in ("rude", "bad", "mean"))
        + "A blin shouts.,A tok shouts.,religion\n"
    )
    return text.replace("ROWS", str(rows)).replace("PROBES", str(probes))


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_rows(TEXT, tmp_path_factory.mktemp("rows"))


@pytest.fixture
def planned(written: Written) -> Callable[[str], Plan]:
    return lambda text: plan(Recipe.from_yaml(written(text)))


@pytest.fixture(scope="module")
def place(text: str, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("attributed")
    (folder / "study.yaml").write_text(text.format(model=tiny_folder))
    done = run(plan(Recipe.from_yaml(folder / "study.yaml")), Store.open(folder / "run"))
    assert done.failed == ()
    return folder / "run"


@pytest.fixture(scope="module")
def study(place: Path) -> Study:
    return read_study(place)


@pytest.mark.thorough
def test_scores_are_those_of_the_verb(study: Study, tiny_folder: Path, text: str) -> None:
    assert [each.attributor for each in study.attributed] == ["mine", "bm25", "random"]
    rows, probes = (
        line.partition(f"{key}: ")[2].split(",")[0]
        for key, line in (("path", text), ("probes", text))
    )
    bm25 = api.attribute(load(str(tiny_folder)), "bm25", rows=rows, probes=probes)
    stored = study.attributed[1].attribution
    assert stored.ids == bm25.ids == tuple(f"r{n}" for n in range(8))
    assert stored.probes == 3  # a quarter is kept apart
    assert stored.order.tolist()[:4] == [0, 2, 4, 6]  # the rows that say what probes say
    assert len(study.attributed[0].summary.most) == 3
    assert set(study.attributed[0].attribution.by_group) <= {"age", "religion"}


def test_all_are_judged_together_by_their_labels(study: Study) -> None:
    (validated,) = study.validated
    assert validated.attributors == ("mine", "bm25", "random")
    assert [each.attributor for each in validated.quality] == ["mine", "bm25", "random"]
    bm25 = validated.quality[1]
    assert bm25.value("auc").estimate.value == 1.0
    assert bm25.value("coverage", 0.25).estimate.value == 0.5
    assert {each.other for each in validated.quality[0].versus} == {"bm25", "random"}
    assert "attribute-" not in " ".join(each.sentence for each in validated.quality[0].versus)
    assert [each.subsets for each in validated.leave_out] == [3, 3, 3]
    # a quarter of the four probes is kept apart, and models are measured on these
    assert [(each.estimate.n, len(each.by_probe)) for each in validated.leave_out] == [(1, 1)] * 3
    assert len(validated.removal[0].full.margins.ravel()) == 1
    assert not any("kept apart" in note for each in validated.leave_out for note in each.notes)
    assert [len(each.points) for each in validated.removal] == [1, 1, 1]
    assert isinstance(validated.removal[0].full.margins, np.ndarray)


@pytest.mark.thorough
def test_without_probes_kept_apart_the_leave_out_check_says_so(
    planned: Callable[[str], Plan], text: str, tmp_path: Path
) -> None:
    alone = text.replace("dev_share: 0.25", "dev_share: 0").replace("  removal: [0.5]\n", "")
    influence = next(line for line in alone.splitlines() if "name: influence" in line)
    done = run(planned(alone.replace(f"{influence}\n", "")), Store.open(tmp_path / "run"))
    assert done.failed == ()
    (validated,) = read_study(tmp_path / "run").validated
    assert [each.estimate.n for each in validated.leave_out] == [4, 4]
    for each in validated.leave_out:
        assert "none are kept apart" in each.notes[0]


@pytest.mark.thorough
def test_page_figure_and_tables_of_the_study(study: Study, place: Path, tmp_path: Path) -> None:
    figure = tmp_path / "rows.svg"
    assert (
        cli.run(["report", str(place), "--out", str(tmp_path / "p.html"), "--figure", str(figure)])
        == 0
    )
    assert "bias left" in figure.read_text()
    page = (tmp_path / "p.html").read_text()
    assert "Which training rows taught it" in page
    assert study.attributed[0].summary.most[0].texts[0] in page
    frame = tables.attributions(study)
    assert {"lds", "auc", "bias_left", "mean_score"} <= set(frame.statistic)
    assert len(tables.attribution_scores(study)) == 3 * 8


@pytest.mark.thorough
def test_labels_are_in_no_key_and_are_read_as_they_are_now(
    planned: Callable[[str], Plan], place: Path, text: str
) -> None:
    renamed = planned(text.replace("as: mine", "as: yours"))
    assert {step.key for step in renamed.steps} == {step.key for step in planned(text).steps}
    summary = run(renamed, Store.open(place))
    assert summary.done == 0
    validated = read_study(place).validated[0]
    assert validated.quality[0].attributor == "yours"
    run(planned(text), Store.open(place))


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ("epochs: 1, targets: [q_proj]}}}}\n  - bm25", "epochs: 2, targets: [q_proj]}}}}\n  - bm25",
         {"attribute": 2}),
        ("shares: [0.25, 0.5]", "shares: [0.25]", {"attribute": 3, "lds": 1, "removal": 1}),
        ("subsets: 3", "subsets: 4", {"attribute": 3, "quality": 1, "removal": 1}),
        ("dev_share: 0.25", "dev_share: 0.5", {}),
    ],
)  # fmt: skip
def test_a_change_redoes_what_depends_on_it_alone(
    planned: Callable[[str], Plan], text: str, old: str, new: str, kept: dict[str, int]
) -> None:
    assert old in text
    keys = [{step.key for step in planned(each).steps} for each in (text, text.replace(old, new))]
    same = [key.partition("-")[0] for key in keys[0] & keys[1] if not key.startswith("measure")]
    assert {kind: same.count(kind) for kind in same} == kept


def test_judging_goes_on_without_an_attributor_that_failed(
    planned: Callable[[str], Plan], text: str
) -> None:
    of = planned(text)
    (step,) = of.of("quality")
    lost = {step.needs[1].key}
    left = without_failed(of.recipe, step, lost)
    assert left is not None
    assert [need.plugin.label for need in left.needs if need.plugin] == ["mine", "random"]
    assert left.content["baselines"] == [left.needs[1].key]
    assert without_failed(of.recipe, step, {need.key for need in step.needs}) is None


def test_rows_without_labels_are_not_judged_by_them(
    planned: Callable[[str], Plan], text: str, tmp_path: Path
) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("The sky is blue.\nThe sea is wet.\n")
    rows = text.partition("path: ")[2].split(",")[0]
    kinds = {step.kind for step in planned(text.replace(rows, str(plain))).steps}
    assert kinds == {"measure", "attribute", "lds", "removal"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("- bm25", "- bm52", "line 5: attributor 'bm52' is not known; did you mean 'bm25'"),
        ("- random", "- {{name: random, supply: genbias}}",
         "line 6: random scores training rows, and genbias has 0; .* 'supply: mix'"),
        ("subsets: 3", "subset: 3", "line 10: a recipe has no key 'attribution.subset'; did you"),
        ("subsets: 3", "subsets: -3", "line 10: attribution.subsets: .* got -3"),
        ("seeds: 1\n  training: {{rank: 2", "seeds: 1\n  training: {{rnak: 2",
         "line 8: attribution.training has no option 'rnak'; did you mean 'rank'"),
    ],
)  # fmt: skip
def test_mistakes_are_refused_with_their_line(
    planned: Callable[[str], Plan], text: str, old: str, new: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        planned(text.replace(old, new))
