"""StereoSet with its capitals put back: what is asked, what is measured, and what may be learnt."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark, texts_of
from equipoise.benchmarks.stereoset import BothTasks, StereoSet, Truth
from equipoise.compare import compare
from equipoise.errors import DataError, RecipeError
from equipoise.measure import learnt_examples, measure
from equipoise.plugins import build
from equipoise.records import Continuation, Decision, Infill
from equipoise.rows import text_sha256
from equipoise.supply.stereoset import StereoSetSupply
from equipoise.testing import FakeScorer

LABELS = ("stereotype", "anti-stereotype", "unrelated")


def example(id: str, template: str, *fillers: str, **over: Any) -> Any:
    sentences = [
        {
            "id": f"{id}-{label}", "gold_label": label,
            "sentence": template.replace("BLANK", filler).capitalize(),
        }
        for label, filler in zip(LABELS, fillers, strict=True)
    ]  # fmt: skip
    return {
        "id": id, "target": id, "bias_type": "race", "context": template, "sentences": sentences,
    } | over  # fmt: skip


def document(*intra: Any) -> str:
    inter = example("z", "A lake", "so.", "not.", "u.")
    for sentence, text in zip(inter["sentences"], ("It is so.", "It is not.", "U."), strict=True):
        sentence["sentence"] = text
    return json.dumps({"data": {"intrasentence": [*intra], "intersentence": [inter]}})


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    (tmp_path / "stereoset").mkdir()
    monkeypatch.setenv("EQUIPOISE_DATA", str(tmp_path))

    def write(*intra: Any, name: str = "dev") -> None:
        (tmp_path / "stereoset" / f"{name}.json").write_text(document(*intra))

    write(
        example("a", "Men of Ulm are BLANK.", "s", "t", "u"),
        example("b", "Men here are BLANK.", "s", "t", "u"),
    )
    return write


def nats(_context: str, text: str) -> float:
    """Likes a stereotype where a capital is lost, its opposite elsewhere; unrelated texts least."""
    if text.endswith(("u.", "U.")):
        return -9.0
    return -1.0 if text.endswith(" s.") == ("ulm" in text) else -2.0


@pytest.mark.usefixtures("write")
def test_both_cases_are_asked_for_where_they_differ() -> None:
    benchmark = StereoSet(case="both")
    lost, kept, following = benchmark.examples("dev")
    assert lost.groups["capitals"] == "lost"
    assert "capitals" not in kept.groups
    texts = [request.continuation for request in benchmark.requests(lost)]  # type: ignore[union-attr]
    assert texts == [f"Men of {ulm} are {x}." for ulm in ("ulm", "Ulm") for x in "stu"]
    assert len(benchmark.requests(kept)) == len(benchmark.requests(following)) == 3
    restored = StereoSet(case="restored")
    (first, *_) = restored.examples("dev")
    assert restored.requests(first) == benchmark.requests(lost)[3:]
    assert [*restored.requests(kept)] == [*StereoSet().requests(kept)]


@pytest.mark.usefixtures("write")
def test_every_form_of_request_is_restored() -> None:
    span = StereoSet(case="restored", task=BothTasks(intrasentence="span"))
    (first, *_) = span.examples("dev")
    assert span.requests(first)[0] == Continuation(context="Men of Ulm are", continuation=" s")
    filler = StereoSet(case="restored", task=BothTasks(intrasentence="filler"))
    assert filler.requests(first)[0] == Infill(text="Men of Ulm are s.", start=15, end=16)
    truth = StereoSet(case="restored", task=Truth())
    asked = truth.requests(first)[0]
    assert isinstance(asked, Decision)
    assert asked.text == "Men of Ulm are s."


@pytest.mark.thorough
@pytest.mark.usefixtures("write")
def test_both_cases_are_measured_and_their_difference() -> None:
    result = measure(FakeScorer(nats=nats), StereoSet(case="both", ties="anti"), draws=20)
    values = {e.metric: e.value for e in result.estimates if not e.group}
    # of three: lost ("a") is preferred in official case only
    assert values["ss"] == pytest.approx(100 / 3)
    assert values["ss_restored"] == 0.0
    assert values["ss_restored_change"] == pytest.approx(-100 / 3)
    assert values["lms_restored"] == values["lms"] == 100.0
    assert values["lms_restored_change"] == 0.0
    assert values["prefers_restored_flips"] == pytest.approx(100 / 3)
    assert result.estimate("prefers_restored_flips", capitals="lost").value == 100.0
    for case in ("official", "restored"):
        single = measure(FakeScorer(nats=nats), StereoSet(case=case, ties="anti"), draws=0)
        name = "ss" if case == "official" else "ss_restored"
        assert single.estimate("ss").value == values[name]


@pytest.mark.usefixtures("write")
def test_default_measurement_is_as_before() -> None:
    result = measure(FakeScorer(nats=nats), StereoSet(), draws=0)
    assert not any("restored" in estimate.metric for estimate in result.estimates)
    assert not any("capitals" in outcome.groups for outcome in result.outcomes)
    assert not any("restored" in key for outcome in result.outcomes for key in outcome.values)


@pytest.mark.thorough
@pytest.mark.usefixtures("write")
def test_cases_do_not_compare_with_one_another() -> None:
    official, restored = (
        measure(FakeScorer(nats=nats), StereoSet(case=case), draws=0)
        for case in ("official", "restored")
    )
    (change, *_) = compare(official, restored, draws=20).changes
    assert change.direction == "not comparable"
    assert "case" in str(change.reason)


@pytest.mark.parametrize("case", ["official", "restored", "both"])
@pytest.mark.usefixtures("write")
def test_official_text_is_known_to_be_learnt(case: Any) -> None:
    benchmark = StereoSet(case=case)
    (lost, *_) = benchmark.examples("dev")
    requests = benchmark.requests(lost)
    assert "Men of ulm are s." in [*texts_of(benchmark, lost, requests)]
    hashes = frozenset([text_sha256("Men of ulm are s.")])
    assert learnt_examples(hashes, benchmark, [lost], [requests]) == ["a"]
    (contrast, *_) = benchmark.labelled()
    assert contrast.context == (
        "Men of ulm are" if case in ("official", "both") else "Men of Ulm are"
    )


@pytest.mark.usefixtures("write")
@pytest.mark.parametrize("case", ["restored", "both"])
def test_published_scores_are_of_official_texts(case: Any, tmp_path: Path) -> None:
    file = tmp_path / "scores"
    scores = [{"id": f"{id}-{label}", "score": 1.0} for id in "abz" for label in LABELS]
    file.write_text(json.dumps({"intrasentence": scores}))
    with pytest.raises(DataError, match=f"official file for case '{case}'; leave case"):
        StereoSet(case=case).predicted("dev", file, None)
    assert len(StereoSet().predicted("dev", file, None)) == 3


def test_unknown_case() -> None:
    with pytest.raises(RecipeError, match=r"stereoset\.case: .*got 'upper'"):
        build(Benchmark, "stereoset", {"case": "upper"})


@pytest.mark.thorough
def test_supply_restores(write: Callable[..., None]) -> None:
    items = [
        example(f"{axis}{n}", f"Folk of Bonn {axis} {n} are BLANK.", "s", "t", "u", bias_type=axis)
        for axis in ("gender", "race") for n in range(2)
    ]  # fmt: skip
    for name in ("dev", "test"):
        write(*items[:1] if name == "dev" else items[1:], name=name)
    official, restored = (
        StereoSetSupply(dev_per_type=0, task="intrasentence", case=case).supply()
        for case in ("official", "restored")
    )
    assert official.contrasts[0].context == "Folk of bonn gender 1 are"
    assert restored.contrasts[0].context == "Folk of Bonn gender 1 are"
    assert "case" not in official.origin
    assert "case=restored" in restored.origin
    assert official.learnt_hashes() == restored.learnt_hashes()  # of texts, without case
    assert replace(official, origin="", contrasts=()) == replace(restored, origin="", contrasts=())
