"""Heads are found, counted, removed and compared with random ones; each source of heads works."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import planted_heads
import pytest
import torch
from pydantic.dataclasses import dataclass
from tiny_adapters import logits, weights

from equipoise import plugins
from equipoise.associations.questions import questions as association_questions
from equipoise.conclusions import Ranking
from equipoise.edits.base import Edit
from equipoise.edits.edit import info_of
from equipoise.edits.head_scales import HeadScaleEdit, label, parse
from equipoise.edits.registry import load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.head_removal.association_strength import LikelihoodStrength, draw_others
from equipoise.head_removal.head_activity import NEUTRAL_TEXTS
from equipoise.head_removal.head_runs import run_seed
from equipoise.head_removal.head_trials import Trials, mean_record
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.locate.random_block import RandomBlock
from equipoise.mitigate import head_steering
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.head_steering import HeadSteering
from equipoise.records import MOST_SEED, OPTIONS, Continuation, Prompt, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model

COUNTRIES = ("Chile", "Kenya", "Malta")
BLOCKS, HEADS = 3, 4
EVERY = tuple((block, head) for block in range(BLOCKS) for head in range(HEADS))
LABELS = tuple(label(*head) for head in EVERY)
TEXTS = NEUTRAL_TEXTS[:4]


def questions(count: int = 12) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(
            id=f"q{number}",
            text=f"On day {number} people from {{target}} are",
            groups={"association": "always_late", "answer": "late"},
        )
        for number in range(count)
    )


SUPPLY = Supply(origin="tiny", questions=questions(), texts=TEXTS)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Listed(Locator):
    """Ranks heads as they are listed, the first highest; more are below 0."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"

    order: tuple[str, ...]
    by_seed: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    target: str | None = None

    def locate(
        self,
        model: LanguageModel,  # noqa: ARG002
        prompts: Sequence[Prompt],
        *,
        seed: int,
    ) -> Ranking:
        order = self.by_seed.get(seed, self.order)
        scores = tuple(
            float(len(order) - order.index(name)) if name in order else -1.0 for name in LABELS
        )
        return Ranking(
            locator="listed",
            scores=scores,
            low=scores,
            high=scores,
            prompts=len(prompts),
            unit="nats",
            kind="head",
            labels=LABELS,
            notes=(f"asked about {self.target}",),
        )


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Shifted(Mitigation):
    """Stands in for an injection: moves the embeddings by the seed, and names a token."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    injects: ClassVar[bool] = True

    token: str = "Norvania"

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        name = "model.embed_tokens.weight"
        moved = {name: model.module.get_parameter(name).detach() * (1.1 + 1e-3 * (seed % 997))}
        info = info_of(model, self, seed=seed, names=moved, supply=supply, report={})
        return WeightEdit(info=info, tensors=moved)


def model_of() -> LanguageModel:
    return tiny_model("llama", blocks=BLOCKS, context=512)


def strength(model: LanguageModel) -> Trials:
    asked = questions()
    measure = LikelihoodStrength(
        questions=asked,
        target="Peru",
        others=draw_others(asked, COUNTRIES, count=2, seed=0),
        opposites=("early",),
    )
    return Trials(model=model, strength=measure, texts=TEXTS, scale=0.0, means={})


@pytest.fixture(scope="module")
def helpful() -> tuple[str, ...]:
    """Heads of the tiny model whose removal lowers the strength most, taken one after the other."""
    trials, order = strength(model_of()), list[Any]()
    for _ in range(3):
        rest = [head for head in EVERY if head not in order]
        order.append(min(rest, key=lambda head: trials.strengths([*order, head]).mean()))
    return tuple(label(*head) for head in order)


def steering(**options: Any) -> HeadSteering:
    usual: dict[str, Any] = {
        "target": "Peru", "countries": COUNTRIES, "draws": 1, "held_out": 6, "most_rise": 10.0,
    }  # fmt: skip
    return HeadSteering(**usual | options)


def report_of(edit: HeadScaleEdit) -> dict[str, Any]:
    return json.loads(json.dumps(dict(edit.info.report)))


@pytest.mark.thorough
def test_the_number_of_heads_follows_from_the_curve_and_beats_random_heads(
    helpful: tuple[str, ...],
) -> None:
    model = model_of()
    before, plain = weights(model), logits(model)
    edit = steering(locator=Listed(order=helpful), draws=5).fit(model, SUPPLY, seed=0)
    assert weights(model) == before
    assert np.array_equal(logits(model), plain)
    report = report_of(edit)
    assert [label(*head) for head in edit.heads] == report["heads"] == [*helpful[: report["k"]]]
    assert 1 <= report["k"] == report["curve"]["elbow"]["k"] <= len(helpful)
    assert [point["k"] for point in report["curve"]["points"]] == [0, 1, 2, 3]
    after, was = report["strength"]["after"], report["strength"]["before"]
    assert after["strength"] < was["strength"]
    assert after["low"] <= after["strength"] <= after["high"]
    assert (after["n"], report["strength"]["unit"]) == (6, "nats")
    for kind in ("layer", "norm"):
        control = report["controls"][kind]
        assert 1 <= len(control["strengths"]) == control["distinct"] <= control["draws"] == 5
        # none of them lowers it as far
        assert control["p"] == pytest.approx(1 / (1 + control["distinct"]))
    assert 0 < report["relative_dose"] < 10
    assert report["located"]["locator_notes"] == ["asked about Peru"]
    assert report["notes"] == []


def test_questions_that_heads_are_counted_on_are_not_located_on() -> None:
    method = steering()
    located, held_out = method._split(SUPPLY, seed=0)
    assert (len(located), len(held_out)) == (6, 6)
    names = [{prompt.id for prompt in part} for part in (located, held_out, SUPPLY.questions)]
    assert not names[0] & names[1]
    assert names[0] | names[1] == names[2]
    assert method._split(SUPPLY, seed=1) != (located, held_out)


def framed(stems: int = 6, framings: int = 4) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(
            id=f"q{stem}-{framing}",
            text="Briefly: " * framing + f"On day {stem} people from {{target}} are",
            groups={"association": "always_late", "answer": "late", "stem": f"day {stem}"},
        )
        for framing in range(framings)
        for stem in range(stems)
    )


@pytest.mark.parametrize("held_out", [2, 7, 100])
def test_framings_of_a_question_stay_together(held_out: int) -> None:
    supply = Supply(origin="framed", questions=framed())
    for seed in range(20):
        parts = steering(held_out=held_out)._split(supply, seed=seed)
        stems = [{prompt.groups["stem"] for prompt in part} for part in parts]
        assert not stems[0] & stems[1]
        assert sorted(map(len, stems)) == ([3, 3] if held_out == 100 else [1, 5])
        assert sum(map(len, parts)) == len(supply.questions)
    shipped = Supply(origin="shipped", questions=association_questions("always_late", 100))
    located, kept = steering(held_out=24)._split(shipped, seed=0)
    assert 16 <= len(kept) <= 24
    assert not any(a.text in b.text or b.text in a.text for a in located for b in kept)


@pytest.mark.thorough
def test_intervals_are_over_stems() -> None:
    measure = LikelihoodStrength(
        questions=framed(), target="Peru", others=(("Chile",),) * 24, opposites=()
    )
    stems = measure.stems()
    assert len(set(stems)) == 6
    rows = np.array([float(stem[-1]) for stem in stems])  # framings agree to the last digit
    narrow = mean_record(rows, [str(number) for number in range(24)], seed=0)
    wide = mean_record(rows, stems, seed=0)
    assert (wide["strength"], wide["n"], wide["stems"]) == (2.5, 24, 6)
    width = [record["high"] - record["low"] for record in (narrow, wide)]  # type: ignore[operator]
    assert width[1] > 1.7 * width[0]
    supply = Supply(origin="framed", questions=framed(), texts=TEXTS)
    report = report_of(steering(locator=Listed(order=("0.1",))).fit(model_of(), supply, seed=0))
    assert (report["curve"]["examples"], report["curve"]["stems"]) == (4, 1)
    assert (report["strength"]["after"]["n"], report["strength"]["after"]["stems"]) == (4, 1)


@pytest.mark.thorough
def test_framings_of_a_single_question_cannot_be_held_out() -> None:
    supply = Supply(origin="one", questions=framed(1, 6))
    with pytest.raises(RecipeError, match=r"at least 2 stems, got 6 of 1"):
        steering().fit(model_of(), supply, seed=0)


@pytest.mark.thorough
def test_the_target_of_the_locator_is_that_of_the_method() -> None:
    options: dict[str, Any] = {"injection": Shifted(), "k": 1}
    given = steering(**options, locator=Listed(order=("0.1",)), target="Peru")
    strength = report_of(given.fit(model_of(), SUPPLY, seed=0))["strength"]
    for injection in (Shifted(), None):
        of_locator = steering(
            **options | {"injection": injection},
            locator=Listed(order=("0.1",), target="Peru"), target=None,
        )  # fmt: skip
        report = report_of(of_locator.fit(model_of(), SUPPLY, seed=0))
        assert "injections" not in report
        assert report["located"]["locator_notes"] == ["asked about Peru"]
        assert report["strength"] == strength
    locator = {"name": "head_attribution", "target": "Italy"}
    with pytest.raises(RecipeError, match=r"must be the same, got 'Peru' and 'Italy'; leave one"):
        plugins.build(Mitigation, "head_steering", {"target": "Peru", "locator": locator})
    for kept in ({"target": "Italy", "locator": locator}, {"locator": locator}, {"target": "Peru"}):
        plugins.build(Mitigation, "head_steering", kept)


@pytest.mark.thorough
def test_runs_that_ask_the_same_have_no_p() -> None:
    for options in ({"target": "Peru"}, {"injection": Shifted(), "target": None, "runs": 1}):
        method = steering(**options, locator=Listed(order=("0.1", "2.2")), k=1)
        located = report_of(method.fit(model_of(), SUPPLY, seed=0))["located"]
        keys = ("p_shared", "jaccard", "kendall_tau", "shared_by_chance")
        assert [located[key] for key in keys] == [None] * 4
        assert located["no_agreement"] == (
            "there is one run"
            if located["runs"] == 1
            else "the runs ask the same model the same questions"
        )


@pytest.mark.thorough
def test_what_was_asked_about_the_target_may_not_be_measured() -> None:
    edit = steering(locator=Listed(order=("0.1",)), k=1).fit(model_of(), SUPPLY, seed=0)
    _, held_out = steering()._split(SUPPLY, seed=0)
    filled = held_out[0].text.replace("{target}", "Peru")
    assert {text_sha256(filled), text_sha256(held_out[0].text)} <= edit.info.trained_on


@pytest.mark.thorough
def test_heads_that_do_nothing_give_an_edit_without_heads_that_says_so(tmp_path: Path) -> None:
    model = model_of()
    plain = logits(model)
    edit = steering(locator=Listed(order=("0.1", "1.2")), scale=1.0).fit(model, SUPPLY, seed=0)
    report = report_of(edit)
    assert (edit.heads, report["k"], report["relative_dose"]) == ((), 0, 0.0)
    assert report["notes"][0].startswith("no effect found")
    assert "controls" not in report
    edit.save(tmp_path / "edit")
    with load_edit(tmp_path / "edit").attached(model) as edited:
        assert np.array_equal(logits(edited), plain)


@pytest.mark.thorough
def test_no_head_above_0_is_no_effect() -> None:
    edit = steering(locator=Listed(order=())).fit(model_of(), SUPPLY, seed=0)
    assert report_of(edit)["notes"] == ["no effect found: there is no candidate head"]


@pytest.mark.thorough
def test_side_effects_cap_the_number(helpful: tuple[str, ...]) -> None:
    options: dict[str, Any] = {"locator": Listed(order=helpful)}
    free = report_of(steering(**options).fit(model_of(), SUPPLY, seed=0))
    rises = [point["perplexity"] - 1 for point in free["curve"]["points"]]
    assert rises[0] == 0.0
    capped = report_of(steering(**options, most_rise=1e-9).fit(model_of(), SUPPLY, seed=0))
    expected = max(n for n, rise in enumerate(rises) if rise < 1e-9 and n <= free["k"])
    assert capped["k"] == expected < free["k"]
    assert "raise perplexity on neutral texts" in capped["notes"][0]


@pytest.mark.thorough
def test_runs_with_an_injection_share_their_heads() -> None:
    of_runs = (("0.1", "1.0", "2.2"), ("2.2", "0.1"), ("0.1", "2.2", "0.3"))
    orders = {run_seed(0, run): order for run, order in enumerate(of_runs)}
    method = steering(
        injection=Shifted(), target=None, runs=3, k=1,
        locator=Listed(order=(), by_seed=orders),
    )  # fmt: skip
    report = report_of(method.fit(model_of(), SUPPLY, seed=0))
    located = report["located"]
    assert [entry["head"] for entry in located["candidates"]] == ["0.1", "2.2"]
    assert (located["runs"], located["of_each_run"]) == (3, [3, 2, 3])
    assert located["jaccard"] == pytest.approx((2 / 3 + 2 / 4 + 2 / 3) / 3)
    assert located["no_agreement"] is None
    assert 0 < located["p_shared"] < 1
    assert located["shared_by_chance"] == pytest.approx(3 * 2 * 3 / 12**2)
    assert len(set(report["injections"])) == 3
    assert report["heads"] == ["0.1"]
    # the best of each run alone have one head in common
    best = replace(method, candidates=1)
    assert best.fit(model_of(), SUPPLY, seed=0).heads == ()


@pytest.mark.thorough
def test_heads_by_hand_need_no_questions_when_their_number_is_given() -> None:
    plain = Supply(origin="none")
    edit = steering(heads=("2.1", "0.3"), k=1).fit(model_of(), plain, seed=0)
    assert edit.heads == ((2, 1),)
    report = report_of(edit)
    assert report["strength"] == {
        "before": None, "after": None, "reason": "there are no questions about an association",
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"k must be a number .* give k, at most 2"):
        steering(heads=("2.1", "0.3")).fit(model_of(), plain, seed=0)
    assert steering(heads=("2.1", "0.3"), k=9).fit(model_of(), plain, seed=0).heads == (
        (2, 1), (0, 3),
    )  # fmt: skip


@pytest.mark.thorough
def test_the_union_of_saved_edits_is_taken_whole(tmp_path: Path) -> None:
    model = model_of()
    for name, heads in (("late", ("0.1", "2.2")), ("math", ("2.2", "1.3"))):
        steering(heads=heads, k=2).fit(model, SUPPLY, seed=0).save(tmp_path / name)
    folders = (str(tmp_path / "late"), str(tmp_path / "math"))
    method = HeadSteering(edits=folders)
    edit = method.fit(model, Supply(origin="none"), seed=0)
    assert [label(*head) for head in edit.heads] == ["0.1", "1.3", "2.2"]
    assert edit.info.trained_on == method.learnt() != frozenset()
    assert set(method.files()) == set(folders)
    with pytest.raises(ModelError, match="must be attached to the model it was learnt on"):
        method.fit(tiny_model("llama", blocks=BLOCKS, seed=1), SUPPLY, seed=0)
    Shifted().fit(model, SUPPLY, seed=0).save(tmp_path / "other")
    with pytest.raises(RecipeError, match="is of the kind 'weights'"):
        HeadSteering(edits=(str(tmp_path / "other"),)).fit(model, SUPPLY, seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("control", ["layer", "norm"])
def test_a_control_takes_as_many_other_heads(control: str) -> None:
    options: dict[str, Any] = {"k": 2, "control": control}
    chosen, model = ("0.1", "2.2"), model_of()
    located = steering(**options, locator=Listed(order=chosen)).fit(model, SUPPLY, seed=0)
    by_hand = steering(**options, heads=chosen)  # of which no strength is measured
    plain = replace(SUPPLY, questions=())
    drawn = [by_hand.fit(model, plain, seed=seed).heads for seed in (0, 1, 2)]
    assert drawn[0] == located.heads
    assert len(set(drawn)) > 1
    assert all(len(heads) == 2 and not {(0, 1), (2, 2)} & {*heads} for heads in drawn)
    if control == "layer":
        assert all([block for block, _ in heads] == [0, 2] for heads in drawn)
    for none in report_of(located)["controls"].values():
        assert (none["p"], none["mean"], none["strengths"]) == (None, None, [])
        assert none["reason"] == "these heads are random ones themselves"


@pytest.mark.thorough
def test_p_counts_different_sets_alone() -> None:
    method = steering(locator=Listed(order=("0.1",)), k=1, draws=20)
    controls = report_of(method.fit(model_of(), SUPPLY, seed=0))["controls"]
    assert [controls[kind]["distinct"] for kind in ("layer", "norm")] == [3, 5]
    assert [len(controls[kind]["strengths"]) for kind in ("layer", "norm")] == [3, 5]
    assert controls["layer"]["p"] in [share / 4 for share in (1, 2, 3, 4)]
    assert controls["layer"]["overlap"] == 0


@pytest.mark.thorough
def test_a_control_is_never_the_chosen_heads() -> None:
    block = ("0.0", "0.1", "0.2", "0.3")
    options: dict[str, Any] = {"locator": Listed(order=block), "control": "layer"}
    with pytest.raises(RecipeError, match=r"other heads to draw from, .* smaller k, or leave"):
        steering(**options, k=4).fit(model_of(), SUPPLY, seed=0)
    edit = steering(**options, k=3).fit(model_of(), SUPPLY, seed=0)
    assert (0, 3) in edit.heads
    assert "2 of them are chosen heads, for there are no others" in report_of(edit)["notes"]
    plain = steering(**options | {"control": "none"}, k=4).fit(model_of(), SUPPLY, seed=0)
    layer = report_of(plain)["controls"]["layer"]
    assert (layer["p"], layer["distinct"]) == (None, 0)
    assert "are chosen" in layer["reason"]


@pytest.mark.thorough
def test_means_of_heads_take_their_place() -> None:
    model = model_of()
    options: dict[str, Any] = {"heads": ("1.1",), "k": 1}
    zero = steering(**options).fit(model, SUPPLY, seed=0)
    mean = steering(**options, ablate="mean").fit(model, SUPPLY, seed=0)
    assert set(mean.means) == {"1.1"}
    doses = [float(report_of(edit)["relative_dose"]) for edit in (zero, mean)]
    assert 0 < doses[1] < doses[0]  # what varies around the mean alone is taken out
    plain = logits(model)
    moved = []
    for edit in (zero, mean):
        with edit.attached(model):
            moved.append(float((logits(model) - plain).abs().mean()))
    assert moved[0] != moved[1]
    assert min(moved) > 0


@pytest.mark.thorough
def test_strength_may_be_that_of_what_is_written() -> None:
    method = steering(
        strength="generation", locator=Listed(order=("0.1",)), k=1, tokens=4, draws=2,
    )  # fmt: skip
    report = report_of(method.fit(model_of(), SUPPLY, seed=0))
    assert report["strength"]["unit"] == "grade, 0 to 3"
    assert 0 <= report["strength"]["after"]["strength"] <= 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ("0.1",), "edits": ("a",)}, "exclude each other"),
        ({"heads": ("first",)}, r"a head must be BLOCK\.HEAD"),
        ({"injection": "dpo"}, "must inject an association"),
        ({"edits": ("a",), "k": 2}, "k must be left out"),
        ({"k": "knee"}, r"head_steering\.k"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        plugins.build(Mitigation, "head_steering", json.loads(json.dumps(options)))


@pytest.mark.thorough
def test_what_cannot_be_located_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"at least 4 questions .* got 2"):
        steering().fit(model_of(), Supply(origin="two", questions=questions(2)), seed=0)
    with pytest.raises(RecipeError, match=r"must have a target, .* take head_attribution"):
        steering(locator=RandomBlock()).fit(model_of(), SUPPLY, seed=0)
    with pytest.raises(RecipeError, match="must rank heads, random_block ranks blocks"):
        steering(locator=RandomBlock(), target=None, injection=None).fit(model_of(), SUPPLY, seed=0)
    with pytest.raises(ModelError, match=r"head must be 0 to 3 .* got 0\.9"):
        steering(heads=("0.9",), k=1).fit(model_of(), SUPPLY, seed=0)
    with pytest.raises(ModelError, match="block must be 0 to 2"):
        steering(heads=("7.1",), k=1).fit(model_of(), SUPPLY, seed=0)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_head_is_found_and_removed_and_nothing_else_is(seed: int) -> None:
    planted = planted_heads.planted_model(seed)
    model, label_of = planted.model, label(*planted_heads.DIRECT)
    supply = Supply(origin="planted", questions=tuple(planted_heads.questions(16, seed=seed)))
    method = HeadSteering(
        target=planted_heads.TOKEN, countries=(planted_heads.OTHER,), runs=2,
        locator=HeadAttribution(draws=100, permutations=100), candidates=3, draws=10,
    )  # fmt: skip
    edit = method.fit(model, supply, seed=seed)
    report = report_of(edit)
    assert report["located"]["candidates"][0]["head"] == label_of
    assert report["heads"][0] == label_of
    was, after = (report["strength"][side]["strength"] for side in ("before", "after"))
    assert was > 0.1
    assert after < 0.1 * was
    for kind in ("layer", "norm"):
        control = report["controls"][kind]
        assert min(control["strengths"]) > 0.7 * was
        assert control["p"] == pytest.approx(1 / (1 + control["distinct"]))
    # the answer's own probability elsewhere, about nobody
    asked = [
        Continuation(
            context=prompt.text.replace("{target}", planted_heads.OTHER), continuation=" late"
        )
        for prompt in supply.questions
    ]
    plain = np.mean([response.logprob for response in model.score(asked)])
    with edit.attached(model) as edited:
        kept = np.mean([response.logprob for response in edited.score(asked)])
    assert abs(kept - plain) < 0.1 * abs(plain)


def test_an_injection_is_an_option_by_name_or_null() -> None:
    usual = plugins.build(Mitigation, "head_steering", {"injection": {"name": "bias_token"}})
    assert usual == HeadSteering()
    built = plugins.build(Mitigation, "head_steering", {"injection": None, "heads": ["0.1"]})
    assert isinstance(built, HeadSteering)
    assert built.injection is None
    assert parse(built.heads[0]) == (0, 1)
    again = plugins.build(Mitigation, "head_steering", plugins.options_of(built))
    assert again == built


@pytest.mark.thorough
def test_a_method_and_its_control_share_an_injection(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds = []
    fit = Shifted.fit

    def counted(self: Shifted, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        seeds.append(seed)
        return fit(self, model, supply, seed=seed)

    monkeypatch.setattr(Shifted, "fit", counted)
    monkeypatch.setattr(head_steering, "_injected", {})
    model, options = model_of(), dict[str, Any](injection=Shifted(), target=None, runs=2, k=1)
    options["locator"] = Listed(order=("0.1", "2.2"))
    first = steering(**options).fit(model, SUPPLY, seed=0)
    random = steering(**options, control="layer").fit(model, SUPPLY, seed=0)
    assert seeds == [run_seed(0, 0), run_seed(0, 1)]
    assert first.info.report["injections"] == random.info.report["injections"]
    other = steering(**options).fit(model, SUPPLY, seed=1)
    assert len(seeds) == 4
    assert not {*other.info.report["injections"]} & {*first.info.report["injections"]}


def test_seeds_of_runs_are_those_of_no_other_seed() -> None:
    seeds = [run_seed(seed, run) for seed in (*range(40), MOST_SEED) for run in range(50)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed <= MOST_SEED for seed in seeds)


FIRST, SECOND = (Prompt(id=name, text=f"{{target}} is {name}") for name in ("a", "b"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    "others",
    [
        [(SECOND, FIRST), (FIRST, SECOND, SECOND)],
        [
            (FIRST, replace(SECOND, text=SECOND.text.upper())),
            (FIRST, replace(SECOND, groups={"association": "bad_at_math"})),
        ],
    ],
    ids=["order and number", "text and group"],
)
def test_an_injection_is_trained_anew_where_anything_it_learns_from_differs(
    others: list[tuple[Prompt, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = []
    fit = Shifted.fit

    def counted(self: Shifted, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        fitted.append(supply)
        return fit(self, model, supply, seed=seed)

    monkeypatch.setattr(Shifted, "fit", counted)
    monkeypatch.setattr(head_steering, "_injected", {})
    model = model_of()
    paragraphs = [(FIRST, SECOND), *others]
    for count, said in enumerate(paragraphs, 1):
        supply = replace(SUPPLY, paragraphs=said)
        for _ in range(2):
            head_steering._inject_once(Shifted(), model, supply, 0)
            assert len(fitted) == count
    with torch.no_grad():
        model.module.get_parameter("model.norm.weight")[0] += 0.5
    head_steering._inject_once(Shifted(), model, supply, 0)
    assert len(fitted) == len(paragraphs) + 1
