"""Results in a notebook: a short line, a table, a figure; and mistakes answered with a sentence."""

import copy
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot
from peft import PeftModel, PromptTuningConfig, get_peft_model
from report.conftest import reduced
from tiny_adapters import adapter_for, quiet
from transformers import pipeline

import equipoise as eq
from equipoise.attributions import Attribution
from equipoise.benchmarks.genbias import GenBias
from equipoise.conclusions import Comparison, Ranking
from equipoise.edits.adapter import read_adapter
from equipoise.errors import EquipoiseError, ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.lftf import Lftf
from equipoise.study.study import plain_study
from equipoise.testing import tiny_model, tiny_supply

__all__ = ["reduced"]
matplotlib.use("Agg")
SMALL = {"limit": 20, "draws": 20, "data": "planted:default", "nulls": False}
RANKING = Ranking(
    locator="toy",
    scores=(0.1, 0.9, 0.5),
    low=(0.0, 0.8, math.nan),
    high=(0.2, 1.0, math.nan),
    prompts=7,
    unit="nats",
)
ATTRIBUTION = Attribution(
    attributor="toy", ids=("a", "<b>", "c"), scores=np.array([0.5, 2.0, math.nan]), unit="cosine",
    probes=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return tiny_model("gpt2")


@pytest.fixture
def axes() -> pyplot.Axes:
    return pyplot.figure().subplots()


@pytest.mark.thorough
def test_every_result_is_a_line(reduced: Comparison, tiny: LanguageModel) -> None:
    measured = reduced.before
    lines = {
        "measurement": repr(measured),
        "comparison": repr(reduced),
        "ranking": repr(RANKING),
        "attribution": repr(ATTRIBUTION),
        "study": repr(plain_study("A study", measurements=[measured])),
        "model": repr(tiny),
        "edit": repr(eq.mitigate(tiny, "lftf", supply=tiny_supply(), epochs=1)),
    }
    assert all("\n" not in line and len(line) < 220 for line in lines.values()), lines
    assert ": share 90 [" in lines["measurement"]
    assert "share 90 to 50 %, reduced; 9 changes>" in lines["comparison"]
    assert lines["ranking"] == "<Ranking toy of 3 blocks: 1, 2, 0; 7 prompts>"
    assert lines["attribution"] == "<Attribution toy: 2 of 3 rows scored in cosine, 3 probes>"
    assert lines["study"] == ("<Study A study: 1 measurements, 0 chapters, 0 of 0 steps missing>")
    assert "tiny-gpt2@0: causal, " in lines["model"]
    assert lines["edit"] == "<WeightEdit lftf of tiny-gpt2@0, seed 0>"
    # "share 90 [...] %, n 30": a number keeps its interval; a group stands in brackets
    assert repr(measured.estimate("share")).startswith("<Estimate share: 90 [")
    grouped = replace(measured.estimate("share"), group={"axis": "race"}, low=math.nan)
    assert repr(grouped) == f"<Estimate share (axis race): 90 %, n {grouped.n}>"
    change = repr(reduced.change("share"))
    assert change.startswith("<Change share: 90 to 50 [")
    assert change.endswith("%, reduced, n " + f"{reduced.change('share').n}>")
    assert repr(replace(measured, estimates=())).endswith("no estimates>")
    assert repr(replace(reduced, changes=())).endswith("no changes>")


def test_tables(reduced: Comparison) -> None:
    frame = RANKING.to_frame()
    assert frame["block"].tolist() == ["1", "2", "0"]
    assert frame["rank"].tolist() == [1, 2, 3]
    for result in (reduced, reduced.before, RANKING, ATTRIBUTION):
        assert "<table" in result._repr_html_()
    assert "&lt;b&gt;" in ATTRIBUTION._repr_html_()


def test_a_measurement_is_drawn_with_its_groups_and_ideal(
    reduced: Comparison, axes: pyplot.Axes
) -> None:
    assert reduced.before.plot(axes=axes) is axes
    assert [label.get_text() for label in axes.get_yticklabels()] == [
        "overall", "kind even|kind", "kind odd",
    ]  # fmt: skip
    ideal = axes.lines[-1]
    assert list(ideal.get_xdata()) == [50.0, 50.0]
    assert axes.get_xlabel() == "%"
    first = reduced.before.estimates[0]
    assert list(axes.lines[0].get_xdata()) == [first.low, first.high]


def test_a_comparison_is_drawn_before_and_after(reduced: Comparison, axes: pyplot.Axes) -> None:
    reduced.plot("share", axes=axes)
    marks = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert marks[:2] == [50.0, 90.0]
    assert axes.get_yticklabels()[0].get_text() == "overall: reduced"


@pytest.mark.thorough
def test_the_others_are_drawn(reduced: Comparison, axes: pyplot.Axes) -> None:
    study = plain_study("A study", measurements=[reduced.before, reduced.after])
    study.plot(f"{reduced.before.benchmark}.fluency", axes=axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["likes<0.9>", "likes<0.5>"]
    ranked = RANKING.plot()
    assert [label.get_text() for label in ranked.get_yticklabels()] == ["0", "1", "2"]
    bars = ATTRIBUTION.plot().patches
    assert sum(bar.get_height() for bar in bars) == 2
    many = replace(RANKING, scores=(0.0,) * 100, low=(0.0,) * 100, high=(0.0,) * 100)
    assert many.plot().get_title(loc="left") == "toy: blocks, first 60 of 100"
    pyplot.close("all")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda result: result.before.plot("shar"), "there is no metric 'shar' to be drawn; did"),
        (lambda result: result.before.plot(by="kin"), "has no groups by 'kin'; did you mean 'kind"),
        (lambda result: result.plot("fluenc"), "did you mean 'fluency'"),
        (lambda _: plain_study("Empty").plot(), "has no metric '' to be drawn; known: none"),
        (
            lambda result: replace(result.before, estimates=()).plot(),
            "there is no metric 'None' to be drawn; known: none",
        ),
    ],
)
def test_what_is_not_there_cannot_be_drawn(
    reduced: Comparison, draw: Callable[[Comparison], object], message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        draw(reduced)


@pytest.mark.thorough
def test_several_benchmarks_each_with_options(tiny: LanguageModel) -> None:
    both = eq.measure(tiny, ["genbias", GenBias()], genbias={"split_by": "both"}, **SMALL)
    assert [measured.options["split_by"] for measured in both] == ["both", "profession"]
    single = eq.measure(tiny, "genbias", genbias={"split_by": "both"}, called="ours", **SMALL)
    assert single.estimates == both[0].estimates
    assert single.model == both[0].model  # its identity stays
    assert plain_study("", measurements=[single]).measured[0].model == "ours"


@pytest.mark.thorough
def test_a_model_in_memory_is_taken_everywhere(tiny: LanguageModel) -> None:
    pair = (tiny.module, tiny.tokenizer)
    tiny.module.train()
    measured = eq.measure(pair, "genbias", **SMALL)
    assert measured.estimates == eq.measure(tiny, "genbias", **SMALL).estimates
    assert not tiny.module.training
    assert measured.model_info["in_memory"] is True
    wrapped = eq.wrap(*pair)
    assert wrapped.identity == measured.model
    ranking = eq.locate(pair, "random_block", supply=tiny_supply())
    assert len(ranking.scores) == 2
    edit = eq.mitigate(pair, "lftf", supply=tiny_supply(), epochs=1)
    with edit.attached(wrapped) as edited:
        assert edited.identity.startswith(f"{wrapped.identity}+lftf:")
    changed = next(tiny.module.parameters())
    before = changed.data.clone()
    changed.data[0, 0] += 1.0
    assert eq.wrap(*pair).identity != wrapped.identity
    changed.data = before
    assert eq.wrap(*pair).identity == wrapped.identity


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda _: eq.measure("gpt2", "genbias"),
            r"load it: eq\.load\('gpt2'",
        ),
        (lambda _: eq.mitigate("gpt2"), r"a model must be loaded, got its name 'gpt2'"),
        (lambda _: eq.locate(Path("m")), r"load it: eq\.load\('m'\)"),
        (lambda _: eq.attribute(None), "a model must be what eq.load gives, got NoneType"),
        (lambda tiny: eq.measure(tiny.module, "genbias"), "with its tokenizer, got GPT2LMHead"),
        (lambda tiny: eq.locate(tiny.module), r"give both as a pair, \(model, tokenizer\)"),
        (lambda tiny: eq.wrap(tiny.tokenizer, tiny.module), "must be of transformers, got"),
        (lambda tiny: eq.measure((tiny.module, "gpt2"), "genbias"), "must be of transformers"),
        (lambda tiny: eq.measure(tiny, GenBias), r"got the class GenBias; build it: GenBias\(\)"),
        (lambda tiny: eq.measure(tiny, 5), "a benchmark must be a name or an object, got 5"),
        (lambda tiny: eq.mitigate(tiny, ["lftf"]), r"a mitigation must be a name or an object"),
        (lambda tiny: eq.mitigate(tiny, "lftv"), "did you mean 'lftf'"),
        (lambda tiny: eq.mitigate(tiny, Lftf(), epochs=1), "beside a Lftf object; set them in it"),
        (lambda tiny: eq.mitigate(tiny, "lftf", epoch=1), "did you mean 'epochs'"),
        (lambda tiny: eq.mitigate(tiny, supply=["genbias"]), "a supplier must be a name"),
        (lambda tiny: eq.measure(tiny, "genbias", limt=5), "no argument 'limt', .*'limit'"),
        (
            lambda tiny: eq.measure(tiny, "genbias", genbias="both"),
            "write genbias={'option': value",
        ),
        (lambda _: eq.compare("before", "after"), "read a folder with eq.read_results"),
        (lambda _: eq.compare(5, 6), "what is compared must be measurements, got 5"),
        (lambda _: eq.run(["study.yaml"]), "a recipe must be a YAML file, got list"),
        (lambda _: eq.run("nowhere.yaml"), "a recipe must be a file that can be read"),
        (lambda _: eq.merge("gpt2", "new"), "a model must be loaded to be merged, got str"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    tiny: LanguageModel, call: Callable[[LanguageModel], object], message: str
) -> None:
    with pytest.raises(EquipoiseError, match=message) as caught:
        call(tiny)
    assert "; " in str(caught.value)


@pytest.mark.thorough
def test_an_edit_is_no_model_and_says_how_to_use_it(tiny: LanguageModel) -> None:
    edit = eq.mitigate(tiny, "lftf", supply=tiny_supply(), epochs=1)
    with pytest.raises(ModelError, match=r"attach it: with edit\.attached\(model\) as edited"):
        eq.measure(edit, "genbias")  # type: ignore[call-overload]
    with pytest.raises(ModelError, match="must be loaded to be edited, got str"):
        edit.attached("gpt2").__enter__()  # type: ignore[arg-type]


@pytest.mark.thorough
def test_drawing_alone_imports_matplotlib() -> None:
    code = (
        "import sys, equipoise as eq; eq.Measurement, eq.Comparison, eq.Attribution\n"
        "assert not {'matplotlib', 'pandas', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.thorough
def test_pipelines_and_peft_models_are_taken(tiny: LanguageModel, tmp_path: Path) -> None:
    adapter_for(tiny, target_modules=["c_attn"], fan_in_fan_out=True).save(tmp_path / "adapter")
    with quiet():
        adapted = PeftModel.from_pretrained(copy.deepcopy(tiny.module), tmp_path / "adapter")
        texts = pipeline("text-generation", model=tiny.module, tokenizer=tiny.tokenizer)
    plain = eq.measure(tiny, "genbias", **SMALL)
    assert eq.measure(texts, "genbias", **SMALL).estimates == plain.estimates
    edited = eq.measure((adapted, tiny.tokenizer), "genbias", **SMALL)
    with read_adapter(tmp_path / "adapter").attached(tiny) as attached:
        expected = eq.measure(attached, "genbias", **SMALL)
    assert edited.estimates == expected.estimates
    assert edited.estimates != plain.estimates
    assert edited.model != plain.model


def test_what_predicts_no_words_or_does_not_fit_is_refused(tiny: LanguageModel) -> None:
    with pytest.raises(ModelError, match="must predict words, got GPT2Model; load it with Auto"):
        eq.wrap(tiny.module.transformer, tiny.tokenizer)
    small = copy.deepcopy(tiny.module)
    small.resize_token_embeddings(50)
    with pytest.raises(ModelError, match="must have at most the model's 50 tokens"):
        eq.wrap(small, tiny.tokenizer)
    how = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
    with quiet():
        soft = get_peft_model(copy.deepcopy(tiny.module), how)
    with pytest.raises(ModelError, match="which is put before texts; measure its base"):
        eq.wrap(soft, tiny.tokenizer)
