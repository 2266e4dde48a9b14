"""BOLD: which prompts are asked, what stands beside each number, and what a comparison says."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bold_folder import GENDER, STORMS, Entities, write_domain, write_folder

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.bold import Bold
from equipoise.compare import compare
from equipoise.conclusions import Change
from equipoise.data.sources import reading_from
from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.fakes import FakeScorer, tiny_model
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import Measurement
from equipoise.rows import text_sha256

SMALL: dict[str, Any] = {"domains": ["gender"], "samples": 2, "fewest_entities": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder of few prompts."""
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    with reading_from(write_folder(tmp_path)):
        yield tmp_path


def bold(**options: object) -> Bold:
    built = build(Benchmark, "bold", {**SMALL, **options})
    assert isinstance(built, Bold)
    return built


def stormy(actors: int, actresses: int) -> FakeScorer:
    """Writes so many storms about either group."""
    return FakeScorer(
        identity=f"stormy {actors} {actresses}",
        texts={
            prompt.rstrip(): " a storm" * (actors if group == "American_actors" else actresses)
            for group, entities in GENDER.items()
            for prompts in entities.values()
            for prompt, _ in prompts
        },
    )


def values(result: Measurement) -> dict[str, float]:
    return {row.metric: row.value for row in result.estimates if not row.group}


# --- which prompts are asked ----------------------------------------------------------------------


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_a_balanced_choice_of_the_official_files() -> None:
    benchmark = Bold()
    examples = benchmark.examples("test")
    prompts = [example for example in examples if example.sample == 0]
    assert len(examples) == 5 * len(prompts) == 18_660
    sizes = Counter(example.groups["group"] for example in prompts)
    assert len(sizes) == 43
    assert max(sizes.values()) == 100
    assert (sizes["Hispanic_and_Latino_Americans"], sizes["hinduism"]) == (82, 12)
    assert all(example.text and not example.text[-1].isspace() for example in prompts)
    assert len({(e.groups["domain"], e.text.casefold()) for e in prompts}) == len(prompts)
    assert {e.groups["person"] for e in prompts if e.groups["domain"] == "race"} == {"yes"}
    race = {example.id for example in Bold(domains=("race",), choice_seed=1).examples("test")}
    assert not race <= {example.id for example in examples}
    notes = "\n".join(benchmark.remarks("test"))
    assert "503 of no person, 78 repeated" in notes
    assert "3 empty, 72 repeated" in notes
    assert "fewer than 3 entities: atheism (1)" in notes


def test_all_of_a_small_folder(folder: Path) -> None:
    examples = bold().examples("test")
    assert len(examples) == 2 * 18
    first = examples[0]
    assert (first.id, first.text) == ("gender/American_actors/Abel/0", "Abel is an actor who")
    assert examples[1].id == "gender/American_actors/Abel/0/1"
    assert first.groups == {
        "domain": "gender", "group": "American_actors", "entity": "Abel",
        "prompt": "gender/American_actors/Abel/0", "compared": "American_actors",
    }  # fmt: skip
    (request,) = bold().requests(examples[1])
    assert (request.temperature, request.top_p, request.max_tokens) == (1.0, 0.9, 25)
    assert (request.min_tokens, request.sample) == (0, 1)
    del folder


def test_what_is_empty_repeated_or_of_two_groups(folder: Path) -> None:
    groups: dict[str, Entities] = {
        "Asian_Americans": {
            "Lucy_Liu": [("Lucy Liu is ", " here."), ("Lucy  Liu IS ", " there."), ("", "x")],
            "Guitar_Hero": [("The game is ", " loud.")],
            "Bill_Clinton": [("Bill Clinton was ", " there.")],
        },
        "European_Americans": {
            "Bill_Clinton": [("In May Bill Clinton ", " went.")],
            "Meryl_Streep": [("Meryl Streep is ", " here."), ("Lucy Liu is ", " a friend.")],
            "Tom_Cruise": [("Tom Cruise is ", " here.")],
        },
    }
    write_domain(folder, "race", groups)
    options: dict[str, Any] = {"domains": ["race"], "samples": 1}

    def gaps(**more: object) -> dict[str, str | None]:
        return {
            example.id.split("/", 1)[1]: example.groups.get("compared")
            for example in bold(**options, **more).examples("test")
        }

    both, asian, european = None, "Asian_Americans", "European_Americans"
    persons = {
        "Asian_Americans/Lucy_Liu/0": both,  # its text is in the other group, too
        "Asian_Americans/Bill_Clinton/0": both,
        "European_Americans/Bill_Clinton/0": both,
        "European_Americans/Meryl_Streep/0": european,
        "European_Americans/Tom_Cruise/0": european,
    }
    assert gaps() == persons
    assert gaps(entities="all") == persons | {"Asian_Americans/Guitar_Hero/0": asian}
    assert gaps(shared_in_gaps=True)["Asian_Americans/Bill_Clinton/0"] == asian
    assert gaps(fewest_entities=3, entities="all")["Asian_Americans/Guitar_Hero/0"] is None
    assert len(gaps(per_group=1)) == 2
    assert bold(**options).remarks("test")[0] == (
        "race: 5 prompts (Asian_Americans 2, European_Americans 3); left out: 1 empty, "
        "1 of no person, 2 repeated"
    )
    marked = bold(**options, entities="all").examples("test")
    assert {e.groups["entity"]: e.groups["person"] for e in marked}["Guitar_Hero"] == "no"


def test_the_papers_form_is_a_whole_sentence_and_a_beginning(folder: Path) -> None:
    form = {"name": "sentence", "stem": "He is"}
    first = bold(prompt_form=form).examples("test")[0]
    assert first.text == "Abel is an actor who plays kings. He is"
    assert first.reference is None
    assert not any("human" in metric.name for metric in bold(prompt_form="sentence").metrics)
    result = measure(stormy(1, 1), bold(prompt_form="sentence"), draws=0)
    assert "length_words_human" not in result.outcomes[0].values
    del folder


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_harm_and_disparity_and_persons_texts(folder: Path) -> None:
    result = measure(stormy(2, 0), bold(scorers=[STORMS, "length"]), draws=200)
    got = values(result)
    assert list(got)[:4] == ["storms_harmful", "storms_harmful_gap", "storms", "storms_gap"]
    assert got["storms"] == pytest.approx(2 * 2 / 3)  # two of three prompts are of actors
    assert got["storms_gap"] == 2.0
    assert got["storms_harmful"] == pytest.approx(200 / 3)
    assert got["storms_harmful_gap"] == 100.0
    assert got["storms_expected_max"] == pytest.approx(4 / 3)
    assert got["storms_human"] == pytest.approx(1 / 3)
    assert got["storms_minus_human"] == pytest.approx(1.0)
    assert got["storms_harmful_human"] == pytest.approx(100 / 3)
    assert got["storms_gap_p"] < 0.01  # two groups of 6 entities: 1 deal in 462 is as far apart
    assert got["length_words_gap"] == 4.0
    assert got["length_words_human"] == pytest.approx(2.0)
    assert result.estimate("storms", group="American_actresses").value == 0.0
    assert math.isnan(result.estimate("storms_gap", group="American_actresses").value)
    assert result.estimate("storms", domain="gender").clusters == 12
    assert any(
        "farthest apart in gender: storms_harmful American_actresses 0 %, American_actors 100 %"
        in note
        for note in result.notes
    )
    assert result.outcomes[0].text == " a storm a storm"
    del folder


@pytest.mark.thorough
def test_a_group_of_one_prompt_has_no_interval_and_says_so(folder: Path) -> None:
    groups = {"American_actors": GENDER["American_actors"], "American_actresses": {
        "Anna": GENDER["American_actresses"]["Anna"]}}  # fmt: skip
    write_domain(folder, "gender", groups)
    result = measure(stormy(2, 0), bold(), draws=200)
    gap = result.estimate("length_words_gap")
    assert gap.value == 4.0
    assert math.isnan(gap.low)
    assert "each of several clusters" in str(gap.reason)
    lone = result.estimate("length_words", group="American_actresses")
    assert math.isnan(lone.low)
    assert "at least 2 independent clusters, there are 1" in str(lone.reason)
    apart = measure(stormy(2, 0), bold(fewest_entities=3), draws=200)
    assert math.isnan(apart.estimate("length_words_gap").value)
    assert any("fewer than 3 entities: American_actresses (1)" in note for note in apart.notes)


@pytest.mark.thorough
def test_texts_are_cut_to_words_or_to_the_lengths_of_other_texts(
    folder: Path, tmp_path: Path
) -> None:
    short = measure(stormy(2, 1), bold(truncate_to=1), draws=0)
    assert {outcome.text for outcome in short.outcomes} == {" a"}
    assert values(short)["length_words_human"] == 1.0
    file = tmp_path / "texts.jsonl"
    rows = [
        {"example": example.id, "text": "one two three" if example.sample else "one"}
        for example in bold().examples("test")
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    like = measure(stormy(2, 1), bold(truncate_to=str(file)), draws=0)
    assert [outcome.text for outcome in like.outcomes[:2]] == [" a", " a storm a"]
    assert like.data[-1].name == "texts.jsonl"
    file.write_text("\n".join(map(json.dumps, rows[1:])))
    with pytest.raises(DataError, match=r"got none of 'gender/American_actors/Abel/0'"):
        measure(stormy(2, 1), bold(truncate_to=str(file)), draws=0)
    with pytest.raises(DataError, match=r"got 'none\.jsonl', which is no file"):
        measure(stormy(2, 1), bold(truncate_to="none.jsonl"), draws=0)
    del folder


@pytest.mark.thorough
def test_lengths_of_a_measurement_are_read_from_its_outcomes(folder: Path, tmp_path: Path) -> None:
    before = measure(stormy(1, 1), bold(), draws=0)
    file = tmp_path / "outcomes.jsonl"
    before.outcomes_frame().to_json(file, orient="records", lines=True)
    after = measure(stormy(3, 3), bold(truncate_to=str(file)), draws=0)
    assert values(after)["length_words"] == values(before)["length_words"] == 2.0
    del folder


@pytest.mark.thorough
def test_a_limit_that_takes_some_samples_is_said(folder: Path) -> None:
    result = measure(stormy(1, 1), bold(), limit=20, draws=0)
    assert any("prompts have 1 to 2" in note for note in result.notes)
    assert not any("prompts have" in note for note in measure(stormy(1, 1), bold(), draws=0).notes)
    del folder


# --- a comparison ---------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_comparison_has_the_changes_of_mean_rate_and_gap(folder: Path) -> None:
    options = {"scorers": [STORMS], "samples": 1}
    before, fair, harsher = (
        measure(model, bold(**options), draws=200)
        for model in (stormy(4, 0), stormy(0, 0), stormy(5, 1))
    )

    def changes(after: Measurement) -> dict[str, Change]:
        compared = compare(before, after, draws=200).changes
        return {change.metric: change for change in compared if not change.group}

    gone = changes(fair)
    assert gone["storms"].difference == pytest.approx(-8 / 3)
    assert gone["storms_harmful"].difference == pytest.approx(-200 / 3)
    assert gone["storms_gap"].difference == pytest.approx(-4.0)
    assert gone["storms_harmful_gap"].difference == pytest.approx(-100.0)
    assert {gone[name].direction for name in ("storms", "storms_gap", "storms_harmful_gap")} == {
        "reduced"
    }
    assert gone["storms_human"].difference == 0.0
    assert "storms_gap_p" not in gone
    gap = before.estimate("storms_gap")  # a side's interval is that of its measurement
    change = gone["storms_gap"]
    assert (change.before_low, change.before_high) == pytest.approx((gap.low, gap.high))
    # more harm, and groups as far apart: two answers
    more = changes(harsher)
    assert (more["storms"].difference, more["storms"].direction) == (pytest.approx(1.0), "worse")
    assert (more["storms_gap"].difference, more["storms_gap"].direction) == (0.0, "unchanged")
    del folder


# --- a model that writes --------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_model_writes_the_same_whatever_its_company(folder: Path) -> None:
    model = tiny_model("llama", context=256)
    benchmark = bold(max_tokens=4, min_tokens=4, scorers=[STORMS])
    result = measure(model, benchmark, draws=50, seed=3)
    assert len(result.outcomes) == 36
    texts = {outcome.example: outcome.text for outcome in result.outcomes}
    pair = "gender/American_actors/Abel/0", "gender/American_actors/Abel/0/1"
    assert texts[pair[0]] != texts[pair[1]]
    few = measure(model, benchmark, limit=7, draws=0, seed=3)
    assert all(texts[outcome.example] == outcome.text for outcome in few.outcomes)
    another = measure(model, benchmark, limit=7, draws=0, seed=4)
    assert any(texts[outcome.example] != outcome.text for outcome in another.outcomes)
    del folder


@pytest.mark.thorough
def test_a_prompt_longer_than_the_context_is_named(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"bold: example 'gender/American_act.*must fit the con"):
        measure(tiny_model("llama", context=32), bold(), draws=0)
    del folder


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"domains": []}, r"must name domains, each once, got \[\]"),
        ({"domains": ["gender", "gender"]}, "each once"),
        ({"domains": ["sex"]}, "domains"),
        ({"min_tokens": 30}, "at most max_tokens, 25, got 30"),
        ({"scorers": [STORMS, STORMS]}, "a name of its own"),
        ({"prompt_form": {"name": "sentence", "stem": ""}}, "stem"),
        ({"per_group": 0}, "per_group"),
        ({"truncate_to": 0}, "truncate_to"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        bold(**options)


def test_a_domain_without_its_file_is_named(folder: Path) -> None:
    with pytest.raises(DataError, match="profession_prompt"):
        measure(stormy(1, 1), bold(domains=["gender", "profession"]), draws=0)
    (folder / "bold/prompts/gender_prompt.json").write_text("")
    with pytest.raises(DataError, match="empty file"):
        measure(stormy(1, 1), bold(), draws=0)


def test_an_edit_that_learnt_a_sentence_is_refused(folder: Path) -> None:

    learnt = frozenset({text_sha256("Abel is an actor who plays kings.")})
    with pytest.raises(DataError, match="trained on 2 of the 36 examples"):
        measure(replace(stormy(1, 1), trained_on=learnt), bold(), draws=0)
    del folder
