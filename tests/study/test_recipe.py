"""Recipes: what is read, and every mistake with its line and the nearest name."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from worlds import in_world

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.errors import RecipeError
from equipoise.records import Margin, Supply
from equipoise.rows import Probe
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.supply.rows import RowsSupply
from equipoise.supply.stereoset import StereoSetSupply

SMALL = "models: [{model}]\nbenchmarks:\n  - {{name: genbias}}\n"


def test_defaults_and_short_forms(written: Callable[..., Path]) -> None:
    file = written("models: m\nbenchmarks: genbias\n", "short.yaml")
    recipe = Recipe.from_yaml(file)
    assert recipe.title == "short"
    assert [model.name for model in recipe.models] == ["m"]
    assert [benchmark.label for benchmark in recipe.benchmarks] == ["genbias"]
    assert (recipe.seeds, recipe.draws, recipe.limit) == ((0,), 2000, None)
    assert recipe.supply.name == "genbias"


def test_everything_is_read(written: Callable[..., Path]) -> None:
    recipe = Recipe.from_yaml(
        written(
            "title: T\nmodels: [{{name: m, as: n, revision: r, dtype: float32, base: b}}]\n"
            "benchmarks: [{{name: stereoset, as: s, split: dev, edited: false, task: both}}]\n"
            "mitigations: [{{name: lftf, objective: parity, learning_rate: 1e-5}}]\n"
            "locators: [random_block]\ncalibrate: [genbias]\nstrengths: [0, 1]\n"
            "supply: {{name: genbias, split_by: both}}\nseeds: [3, 4]\nseed: 1\nlimit: 9\n"
            "draws: 7\nrankings: 3\nsample: 5\nexamples: 2\n"
            "margins: {{stereoset.ss: 3, stereoset.lms: 2%}}\n"
        )
    )
    model, benchmark, method = recipe.models[0], recipe.benchmarks[0], recipe.mitigations[0]
    assert (model.label, model.revision, model.dtype, model.base) == ("n", "r", "float32", "b")
    assert (benchmark.label, benchmark.split, benchmark.edited) == ("s", "dev", False)
    assert dict(benchmark.options) == {"task": "both"}
    assert dict(method.options) == {"objective": "parity", "learning_rate": 1e-5}
    assert (recipe.seeds, recipe.seed, recipe.strengths) == ((3, 4), 1, (0.0, 1.0))
    assert (recipe.rankings, recipe.sample, recipe.examples) == (3, 5, 2)
    assert recipe.margins == {
        "stereoset.ss": Margin(size=3.0),
        "stereoset.lms": Margin(size=0.02, relative=True),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [m]\n", "must have 'benchmarks', it has none"),
        ("modles: [m]\n", "line 1: a recipe has no key 'modles'; did you mean 'models'?"),
        ("[a, b]\n", "line 1: a recipe must be a mapping, got ['a', 'b']"),
        (SMALL + "seeds: [0, 0]\n", "line 4: seeds: seeds must all be different, got"),
        (SMALL + "seeds: -1\n", "line 4: seeds.0: …got -1"),
        (SMALL + "seeds: [1, 4294967296]\n", "line 4: seeds.1: …got 4294967296"),
        (SMALL + "draws: 100001\n", "line 4: draws: …got 100001"),
        (SMALL + "draws: many\n", "line 4: draws: …got 'many'"),
        (SMALL + "limit: 0\n", "line 4: limit: …got 0"),
        (SMALL + "limit: true\n", "line 4: limit: …got True"),
        (SMALL + "strengths: [2]\n", "line 4: strengths.0: …got 2"),
        (SMALL + "title: [x]\n", "line 4: title: …got ['x']"),
        (SMALL + "margins: {{genbias.afgb: -1}}\n", "line 4: margins.genbias.afgb: …got -1"),
        (SMALL + "margins: {{genbais.afgb: 1}}\n", "line 4: a margin is of benchmark.metric"),
        (SMALL + "margins: {{genbias.afbg: 1}}\n", "line 4: …'afbg'; did you mean 'afgb'?"),
        (SMALL + "margins: {{genbias.afgb: 5%}}\n", "its margin must be in 'probability', got 5%"),
        ("models: []\nbenchmarks: genbias\n", "line 1: models: "),
        ("models: [{{as: x}}]\nbenchmarks: genbias\n", "line 1: …'models.0.name'"),
        ("models: [m]\nbenchmarks: [{{split: x}}]\n", "line 2: …'benchmarks.0.name'"),
        ("models: [m, m]\nbenchmarks: genbias\n", "each of the models needs a name of its own"),
        ("models: [m]\nbenchmarks: [genbias, genbias]\n", "got 'genbias' twice; "),
        ("models: [{{name: m, as: ''}}]\nbenchmarks: genbias\n", "line 1: models.0.as: …got ''"),
        ("models: [m]\nbenchmarks: [genbais]\n", "line 2: benchmark 'genbais' is not known; did"),
        (
            "models: [m]\nbenchmarks:\n  - name: genbias\n    leak: all\n    slit_by: both\n",
            "line 5: genbias has no option 'slit_by'; did you mean 'split_by'?",
        ),
        ("models: [{{name: m, rev: x}}]\nbenchmarks: genbias\n", "'models.0.rev'; known: as, base"),
        ("models: [{{name: m, line: 3}}]\nbenchmarks: genbias\n", "has no key 'models.0.line'"),
        ("models: [3]\nbenchmarks: genbias\n", "line 1: models.0 must be a name, or a mapping"),
        (
            "models: [{{name: m, chat: {{sytem: x}}}}]\nbenchmarks: genbias\n",
            "'models.0.chat.sytem'; did you mean 'system'?",
        ),
        (
            "models: [{{name: m, chat: {{request: Tell}}}}]\nbenchmarks: genbias\n",
            "line 1: models.0.chat: a request stands before text in the model's turn",
        ),
        (
            "models: [{{name: m, chat: 3}}]\nbenchmarks: genbias\n",
            "models.0.chat must be true, false or a mapping, got 3; write one of them",
        ),
        (SMALL + "lines: 3\n", "line 4: a recipe has no key 'lines'"),
        (
            SMALL + "mitigations:\n  - name: lftf\n    epochs: 3\n    objective: pariti\n",
            "line 7: lftf.objective has no choice 'pariti'; did you mean 'parity'?",
        ),
        (SMALL + "mitigations: [lfft]\n", "line 4: mitigation 'lfft' is not known; did you mean"),
        (SMALL + "locators: [block]\n", "line 4: locator 'block' is not known; did you mean"),
        (
            "models: [m]\nbenchmarks:\n  - {{name: genbias, split: tset}}\n",
            "line 3: genbias has no split 'tset'; did you mean 'test'?",
        ),
        (
            "models: [m]\nbenchmarks:\n  - {{name: genbias, headline: [afbg]}}\n",
            "line 3: genbias has no metric 'afbg' for a headline; did you mean 'afgb'?",
        ),
        (
            "models: [m]\nbenchmarks: [{{name: genbias, edited: 1}}]\n",
            "line 2: benchmarks.0.edited: …got 1",
        ),
        (SMALL + "supply: perplexity\nmitigations: [lftf]\n", "line 4: supplier 'perplexity'"),
        ("models: ['planted:none']\nbenchmarks: genbias\n", "line 1: "),
        (SMALL + "data: planted:nowhere\n", "line 4: planted world"),
        (SMALL + "data: [a]\n", "line 4: data: "),
        (SMALL + "data: no/such/folder\n", "line 4: data must be a folder or planted:NAME"),
    ],
)  # fmt: skip
def test_mistake_is_a_one_line_error_with_its_line_number(
    written: Callable[..., Path], text: str, message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        plan(Recipe.from_yaml(written(text)))
    assert all(part in str(caught.value) for part in message.split("…")), str(caught.value)
    assert "study.yaml" in str(caught.value)


@pytest.mark.thorough
def test_a_recipe_that_measures_what_it_trains_on_is_refused(written: Callable[..., Path]) -> None:
    text = (
        "models: [{model}]\nbenchmarks:\n  - {{name: genbias, split: train}}\n"
        "mitigations: [lftf]\nsupply: genbias\ndata: planted:default\n"
    )
    with pytest.raises(RecipeError) as caught:
        plan(Recipe.from_yaml(written(text)))
    assert "line 3: " in str(caught.value)
    assert "are among what 'lftf' learns from genbias(split_by=profession" in str(caught.value)
    allowed = text.replace("split: train", "split: train, edited: false")
    assert len(plan(Recipe.from_yaml(written(allowed))).of("fit")) == 1
    harmless = text.replace("[lftf]", "[prompt_prefix]")  # it learns nothing
    assert len(plan(Recipe.from_yaml(written(harmless))).of("compare")) == 1


def test_probes_kept_apart_may_be_measured_as_they_may_outside_of_a_recipe(
    written: Callable[..., Path], tmp_path: Path
) -> None:
    rows, probes = tmp_path / "rows.txt", tmp_path / "probes.csv"
    rows.write_text("A blin is rude.\nThe sky is blue.\n")
    header, pairs = "sent_more,sent_less", [f"A blin {n} ran.,A tok {n} ran." for n in range(4)]
    probes.write_text("\n".join([header, *pairs]))
    supply = RowsSupply(path=str(rows), probes=str(probes), dev_share=0.25).supply()
    text = (
        "models: [{model}]\nbenchmarks:\n  - {{name: pairs, file: MEASURED}}\n"
        f"mitigations: [finetune]\nsupply: {{{{name: rows, path: {rows}, probes: {probes}, "
        "dev_share: 0.25}}\n"
    )

    def planned(kept: Sequence[Probe]) -> Plan:
        file = tmp_path / "measured.csv"
        file.write_text("\n".join([header, *(",".join(probe.texts) for probe in kept)]))
        return plan(Recipe.from_yaml(written(text.replace("MEASURED", str(file)))))

    assert len(planned(supply.dev_probes).of("compare")) == 1
    with pytest.raises(RecipeError, match=r"3 of the 3 examples .* 'finetune' learns from rows"):
        planned(supply.probes)


SHARING = """\
models: [{{name: {model}, as: tiny}}]
benchmarks:
  - {{name: stereosetEDITED}}
mitigations: [METHOD]
supply: stereoset
data: planted:targets=40
"""


@pytest.mark.thorough
def test_other_texts_about_the_same_terms_are_refused_with_the_terms(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_world("targets=40"):
        measured = StereoSet().labelled()[:40]
    taught = tuple(replace(item, context="It is said: ") for item in measured)
    hearsay = Supply(origin="hearsay", contrasts=taught)
    monkeypatch.setattr(StereoSetSupply, "supply", lambda _: hearsay)

    def planned(method: str, edited: str = "") -> None:
        text = SHARING.replace("METHOD", method).replace("EDITED", edited)
        plan(Recipe.from_yaml(written(text)))

    with pytest.raises(RecipeError) as caught:
        planned("dpo")
    message = r"line 3: (\d+) target terms of stereoset \(dev\) are among what 'dpo' learns from "
    result = re.search(rf"{message}hearsay: (.+); measure another split", str(caught.value))
    assert result is not None, str(caught.value)
    terms = {f"{item.groups['axis']}/{item.groups['target']}" for item in taught}
    assert int(result[1]) == len(terms)
    assert set(result[2].split(", ")) <= terms
    assert len(result[2].split(", ")) == min(10, int(result[1]))
    planned("self_debias")  # learns nothing
    planned("dpo", ", edited: false")
