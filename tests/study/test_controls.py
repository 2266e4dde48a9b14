"""Word tables that join a study of methods that learn from StereoSet, and what is said of them."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.stereoset import StereoSet
from equipoise.conclusions import Change, Comparison
from equipoise.loading.model_kind import kind_named
from equipoise.metrics.weighted import mean_of
from equipoise.records import Estimate, Measurement, Metric
from equipoise.report.controls import control_sentences
from equipoise.report.html import study_page
from equipoise.stats.verdict import verdict_of
from equipoise.study.load_study import read_study
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.runner import run
from equipoise.study.store import Store
from equipoise.study.study import Chapter, Controlled, Study
from equipoise.testing import tiny_model

TEXT = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [stereoset]
mitigations:
  - {{name: sft, steps: 1, learning_rate: 0.01}}
supply: planted
data: planted:targets=40
seeds: [0, 1]
draws: 50
limit: 60
"""
TABLE, SHUFFLED = "word_table (control)", "word_table, shuffled (control)"

Written = Callable[..., Path]


@pytest.fixture
def planned(written: Written) -> Callable[..., Plan]:
    def make(*changes: tuple[str, str]) -> Plan:
        text = TEXT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return plan(Recipe.from_yaml(written(text)))

    return make


def fitted(of: Plan) -> list[tuple[str, int | None]]:
    return [(step.mitigation.label, step.seed) for step in of.of("fit") if step.mitigation]


# --- which join -------------------------------------------------------------------------------


@pytest.mark.thorough
def test_two_controls_join_a_method_that_learns_from_stereosets_contrasts(
    planned: Callable[..., Plan],
) -> None:
    both = planned()
    assert fitted(both) == [("sft", 0), ("sft", 1), (TABLE, 0), (SHUFFLED, 0), (SHUFFLED, 1)]
    assert both.resolved["controls"] == {TABLE: ["sft"], SHUFFLED: ["sft"]}
    assert len(both.of("compare")) == 3
    options = both.resolved["mitigations"]
    assert isinstance(options, dict)
    shuffled: Any = options[SHUFFLED]
    assert (shuffled["name"], shuffled["options"]["shuffled"]) == ("word_table", True)


@pytest.mark.thorough
def test_the_steps_of_the_method_are_the_same_without_them(planned: Callable[..., Plan]) -> None:
    without = planned(("seeds: [0, 1]", "seeds: [0, 1]\ncontrols: false"))
    assert fitted(without) == [("sft", 0), ("sft", 1)]
    assert without.resolved["controls"] == {}
    assert {step.key for step in without.steps} < {step.key for step in planned().steps}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "changes",
    [
        [("name: sft, steps: 1, learning_rate: 0.01", "name: lftf, epochs: 1")],  # of prompts
        [("name: sft, steps: 1, learning_rate: 0.01", "name: self_debias")],  # of nothing
        [("name: sft, steps: 1, learning_rate: 0.01", "name: word_table")],
    ],
)
def test_none_joins_what_learns_otherwise(
    planned: Callable[..., Plan], changes: list[tuple[str, str]]
) -> None:
    assert all(label not in (TABLE, SHUFFLED) for label, _ in fitted(planned(*changes)))


@pytest.mark.thorough
def test_a_part_of_a_combination_counts(planned: Callable[..., Plan]) -> None:
    combined = "name: combined, first: prompt_explain, second: {{name: sft, steps: 1}}"
    of = planned(("name: sft, steps: 1, learning_rate: 0.01", combined))
    assert of.resolved["controls"] == {TABLE: ["combined"], SHUFFLED: ["combined"]}


@pytest.mark.thorough
def test_one_that_the_recipe_lists_is_the_control(planned: Callable[..., Plan]) -> None:
    mine = "learning_rate: 0.01}}\n  - {{name: word_table, as: mine}}"
    of = planned(("learning_rate: 0.01}}", mine))
    assert of.resolved["controls"] == {"mine": ["sft"], SHUFFLED: ["sft"]}
    stronger = planned(("learning_rate: 0.01}}", mine.replace("mine", "mine, strength: 2")))
    assert [label for label, _ in fitted(stronger)].count(TABLE) == 1


@pytest.mark.thorough
def test_each_supply_has_its_own(planned: Callable[..., Plan]) -> None:
    other = (
        "learning_rate: 0.01}}\n  - {{name: dpo, supply: {{name: planted, as: other, "
        "split_by: both}}}}"
    )
    of = planned(("learning_rate: 0.01}}", other))
    assert of.resolved["controls"] == {
        "word_table (control of planted)": ["sft"],
        "word_table, shuffled (control of planted)": ["sft"],
        "word_table (control of other)": ["dpo"],
        "word_table, shuffled (control of other)": ["dpo"],
    }


@pytest.mark.thorough
def test_it_is_left_out_with_a_reason_where_nothing_is_held_out(
    planned: Callable[..., Plan],
) -> None:
    nothing = ("supply: planted", "supply: {{name: stereoset, dev_per_type: 0}}")
    of = planned(nothing)
    assert fitted(of) == [("sft", 0), ("sft", 1)]
    models: Any = of.resolved["models"]
    assert "give it a strength" in models["tiny"]["left_out"][TABLE]


@pytest.mark.thorough
def test_it_is_not_asked_for_what_a_next_word_does_not_show(
    planned: Callable[..., Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "equipoise.study.resolving.can_answer",
        lambda requests: len(requests[0]) > 2,  # as StereoSet's three texts, not a pair
    )
    both = planned(("[stereoset]", "[stereoset, crows_pairs]"))
    measured = {
        (step.mitigation.label, step.benchmark.name)
        for step in both.of("measure")
        if step.mitigation and step.benchmark
    }
    assert (TABLE, "stereoset") in measured
    assert (TABLE, "crows_pairs") not in measured
    assert ("sft", "crows_pairs") in measured
    # where nothing is left to ask it, it does not join
    alone = planned(("[stereoset]", "[crows_pairs]"))
    assert fitted(alone) == [("sft", 0), ("sft", 1)]
    ((title, why),) = alone.left_out
    assert title == f"fit on tiny with {TABLE} and {SHUFFLED}"
    assert why == "a table changes next words, and crows_pairs reads none"


@pytest.mark.thorough
def test_none_joins_a_masked_model_and_the_plan_says_so(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from equipoise import cli

    masked = tiny_model("bert")
    masked.module.save_pretrained(tmp_path / "masked")
    masked.tokenizer.save_pretrained(tmp_path / "masked")
    of = plan(Recipe.from_yaml(written(TEXT.replace("{model}", str(tmp_path / "masked")))))
    assert fitted(of) == []  # nor can the method itself be learnt there
    assert cli.run(["run", str(tmp_path / "study.yaml"), "--dry"]) == 0
    assert (
        f"left out: fit on tiny with {TABLE} and {SHUFFLED}: tiny is masked, and a table changes "
        "next words of causal models" in " ".join(capsys.readouterr().err.split())
    )


def test_the_kind_of_a_model_is_read_without_loading_it(tmp_path: Path, tiny_folder: Path) -> None:
    config = tmp_path / "edit" / "adapter_config.json"
    config.parent.mkdir()
    for architecture, kind in (("BertForMaskedLM", "masked"), ("LlamaForCausalLM", "causal")):
        (tmp_path / "base").mkdir(exist_ok=True)
        text = json.dumps({"architectures": [architecture]})
        (tmp_path / "base" / "config.json").write_text(text)
        config.write_text(json.dumps({"base_model_name_or_path": str(tmp_path / "base")}))
        for place in ("base", "edit"):
            assert kind_named(str(tmp_path / place)) == kind
        assert kind_named(str(config.parent), base=str(tiny_folder)) == "causal"
    assert kind_named("planted:default") == "causal"
    for other in (str(tmp_path / "nothing"), "nobody/nothing"):
        assert kind_named(other) is None


@pytest.mark.thorough
def test_the_flag_leaves_them_out(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from equipoise import cli

    recipe = str(written(TEXT))
    assert cli.run(["run", recipe, "--dry", "--out", str(tmp_path / "run")]) == 0
    assert f"fit on tiny with {TABLE}, seed 0" in capsys.readouterr().out
    arguments = ["run", recipe, "--dry", "--no-controls", "--out", str(tmp_path / "run")]
    assert cli.run(arguments) == 0
    assert "control" not in capsys.readouterr().out


# --- what is said -----------------------------------------------------------------------------


@pytest.mark.slow
def test_it_is_compared_with_the_table_where_the_share_of_the_target_is_measured(
    planned: Callable[..., Plan], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the mean margin in place of the share, which has an ideal of 0, too
    share = Metric(name="ss_target", of=mean_of("margin"), unit="%", source="a test", ideal=0.0)
    metrics = (*StereoSet().metrics, share)
    monkeypatch.setattr(StereoSet, "metrics", property(lambda _: metrics))
    whole = planned(("limit: 60", "limit: 20"))
    (step,) = whole.of("controlled")
    needed = [need.mitigation and need.mitigation.label for need in step.needs]
    assert needed == [None, TABLE, "sft", "sft"]
    store = Store.open(tmp_path / "run")
    assert run(whole, store).failed == ()
    study = read_study(store.folder)
    chapters = {chapter.mitigation: chapter for chapter in study.chapters}
    (controlled,) = chapters["sft"].controlled
    assert controlled.control == TABLE
    (change,) = (each for each in controlled.changes if each.metric == "ss_target")
    values = {
        name: [
            measured.measurement.estimate("ss_target").value
            for measured in study.measured
            if measured.mitigation == name
        ]
        for name in (TABLE, "sft")
    }
    assert change.before == values[TABLE][0]
    assert change.after == pytest.approx(sum(values["sft"]) / 2)
    (sentence,) = control_sentences(study, chapters["sft"])
    assert "(stereoset): it is " in sentence
    page = study_page(study)
    assert sentence.partition(". ")[0] in page
    (about,) = control_sentences(study, chapters[SHUFFLED])
    assert about == "A control: what lowering words by labels dealt at random gives, for sft."
    assert about in page


def measurement() -> Measurement:
    share = Estimate(metric="ss_target", value=5.0, low=2.0, high=8.0, n=90, clusters=30, unit="%")
    return Measurement(
        model="tiny", benchmark="stereoset", version="1", options={}, split="dev", seed=0, draws=0,
        limit=None, examples_sha256="", data=(), model_info={}, environment={}, cluster="target",
        estimates=(share,), outcomes=(),
    )  # fmt: skip


CHANGE = Change(
    metric="ss_target", before=5.2, before_low=2.1, before_high=8.3, after=0.4, after_low=-2.0,
    after_high=2.8, difference=-4.8, low=-7.0, high=-2.5, nearer=4.8, nearer_low=2.5,
    nearer_high=7.0, effect=-0.4, p=0.001, p_holm=0.001, direction="reduced", n=90, clusters=30,
    unit="%", ideal=0.0,
)  # fmt: skip


#: Of the score with others in the target's place: it is of the words.
WORDS_MOVED = replace(CHANGE, metric="ss_exchanged")


def sentence_of(
    *changes: Change,
    since: Change | None = CHANGE,
    words: Change = WORDS_MOVED,
    compared: bool = True,
) -> str:
    base = measurement()
    moved = (words,) if since is None else (words, since)
    comparison = Comparison(before=base, afters=(base,), seed=0, draws=0, changes=moved)
    controlled = Controlled(control=TABLE, base=base, changes=changes)
    chapter = Chapter(
        model="tiny", mitigation="sft", comparisons=(comparison,), verdict=verdict_of([]), edits=(),
        controlled=(controlled,) if compared else (),
    )  # fmt: skip
    study = Study(title="", recipe={"controls": {TABLE: ["sft"]}}, chapters=(chapter,))
    (sentence,) = control_sentences(study, chapter)
    return sentence


def test_without_exchanged_targets_it_is_said_that_nothing_can_be_told() -> None:
    assert sentence_of(compared=False) == (
        "Whether it learnt words or groups cannot be told: stereoset must be measured with targets "
        "exchanged (its option exchange), which gives ss_target."
    )


def test_a_control_says_what_it_is_and_what_has_none_says_nothing() -> None:
    recipe: dict[str, Any] = {
        "controls": {TABLE: ["sft", "dpo"]},
        "models": {"tiny": {"left_out": {TABLE: "nothing is held out"}}},
    }
    said = [
        [
            *control_sentences(
                Study(title="", recipe=recipe),
                Chapter(
                    model="tiny", mitigation=label, comparisons=(), verdict=verdict_of([]), edits=()
                ),
            )
        ]
        for label in (TABLE, "sft", "lftf")
    ]
    assert said == [
        ["A control: what counting words gives, whoever they are said of, for sft, dpo."],
        ["No word table stands beside it: nothing is held out."],
        [],
    ]


def test_a_control_that_failed_is_told_by_the_options_of_the_recipe() -> None:
    recipe: dict[str, Any] = {
        "controls": {"mine": ["sft"]},
        "mitigations": {"mine": {"name": "word_table", "options": {"shuffled": True}}},
    }
    chapter = Chapter(
        model="tiny", mitigation="mine", comparisons=(), verdict=verdict_of([]), edits=()
    )
    (said,) = control_sentences(Study(title="", recipe=recipe), chapter)
    assert said == "A control: what lowering words by labels dealt at random gives, for sft."


def test_what_is_better_than_the_table_learnt_of_groups() -> None:
    assert sentence_of(CHANGE) == (
        "It learnt of groups, not of words alone (stereoset): it is better than word_table "
        "(control) where targets are exchanged. Of ss the target carries 0.40 [-2.00, 2.80] points "
        "after it and 5.20 [2.10, 8.30] after the control, nearer 0 by 4.80 [2.50, 7.00]; 5.00 "
        "[2.00, 8.00] in the model as it is."
    )


def test_what_is_better_than_the_table_and_not_than_no_edit_learnt_words() -> None:
    assert sentence_of(CHANGE, since=replace(CHANGE, direction="unchanged")).startswith(
        "It learnt words, not groups (stereoset): it is not shown to be better than the model as "
        "it is where"
    )


@pytest.mark.parametrize(
    "change",
    [
        replace(CHANGE, direction="unchanged", low=-7.0, high=0.5, nearer_low=-0.5),
        replace(CHANGE, direction="worse", nearer=-2.0, nearer_low=-4.0, nearer_high=-1.0),
        replace(CHANGE, direction="unclear", nearer_low=-0.1),
        replace(CHANGE, direction="reversed", nearer=-2.0, nearer_low=-4.0, nearer_high=-1.0),
    ],
)
def test_what_is_not_better_learnt_words(change: Change) -> None:
    assert sentence_of(change).startswith(
        "It learnt words, not groups (stereoset): it is not shown"
    )


def test_what_changed_no_words_is_not_said_to_have_learnt_them() -> None:
    change = replace(CHANGE, direction="unchanged", low=-7.0, high=0.5, nearer_low=-0.5)
    still = replace(WORDS_MOVED, direction="unchanged")
    assert sentence_of(change, words=still).startswith(
        "It is not shown to have learnt of groups (stereoset): it is not shown to be better than"
    )
    # without the exchanged score the score itself is asked
    assert "learnt words" in sentence_of(change, words=replace(WORDS_MOVED, metric="ss"))
    assert "is not shown to have" in sentence_of(change, words=replace(still, metric="ss"))


def test_what_has_no_number_is_not_concluded_from() -> None:
    nothing = replace(CHANGE, direction="unknown", nearer=math.nan, reason="no item has a target")
    other = replace(CHANGE, direction="not comparable", reason="not comparable: dtype")
    for changes, why in (
        ((nothing,), "no item has a target"),
        ((other,), "not comparable: dtype"),
        ((), "ss_target was not measured"),
    ):
        sentence = sentence_of(*changes)
        assert sentence == f"Whether it learnt words or groups cannot be told (stereoset): {why}."
