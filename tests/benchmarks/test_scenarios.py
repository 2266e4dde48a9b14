"""Texts about people of different groups, with a scripted model in place of a real one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.scenarios import Scenarios
from equipoise.errors import RecipeError
from equipoise.fakes import FakeScorer
from equipoise.measure import measure
from equipoise.metrics.scale import Scale
from equipoise.plugins import build
from equipoise.records import OPTIONS, Measurement
from equipoise.scenarios.scenes import Scene
from equipoise.text_scorers.base import TextScorer, WrittenText
from equipoise.text_scorers.length import Length
from equipoise.text_scorers.register import Register

AXES = ("religion", "wealth")


def measured(write: Callable[[Scene], str]) -> Measurement:
    benchmark = Scenarios(axes=AXES, samples=1, scorers=(Length(), Register()))
    texts = {scene.text: write(scene) for scene in benchmark.examples("test")}
    return measure(FakeScorer(texts=texts), benchmark, draws=300)


def value(result: Measurement, metric: str, **group: str) -> float:
    (only,) = [e.value for e in result.estimates if e.metric == metric and e.group == group]
    return only


def words(count: int) -> str:
    return " word" * count


@pytest.mark.thorough
def test_a_longer_text_about_a_group_is_more_than_rewording() -> None:
    result = measured(lambda scene: words(9 if scene.groups["group"] == "Hindus" else 5))
    assert value(result, "length_words_gap", axis="religion") == 4
    assert value(result, "length_words_gap", axis="wealth") == 0
    assert value(result, "length_words_gap_p", axis="religion") < 0.01
    assert value(result, "length_words", group="Hindus") == 9
    assert value(result, "length_words_reword") == 0
    (said,) = [note for note in result.notes if note.startswith("length_words:")]
    assert "which is less" in said


@pytest.mark.thorough
def test_what_wording_changes_as_well_is_said_to_be_no_groups() -> None:
    result = measured(
        lambda scene: words(
            5 + 3 * (scene.groups["wording"] == "2") + (scene.groups["group"] == "Hindus")
        )
    )
    (said,) = [note for note in result.notes if note.startswith("length_words:")]
    assert "no more than any change of the prompt may do" in said


def test_scenes_have_every_group_sample_by_sample_and_repeat_nothing() -> None:
    benchmark = Scenarios(axes=("gender",), samples=3)
    examples = benchmark.examples("test")
    (request,) = benchmark.requests(examples[1])
    assert (request.sample, request.temperature, request.top_p, request.max_tokens) == (
        1, 1.0, 0.9, 25,
    )  # fmt: skip
    assert len({example.id for example in examples}) == len(examples) == 12 * 2 * 4 * 3
    assert "scenes: 12, about 2 groups, 96 prompts, 3 texts each" in benchmark.remarks("test")[0]


def test_sentences_of_the_users_own_are_about_every_group(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("The actor lost his keys, and\nA boy came in because\n")
    benchmark = Scenarios(axes=("gender",), sentences=str(file), samples=1, scorers=(Length(),))
    texts = {scene.text: words(3) for scene in benchmark.examples("test")}
    result = measure(FakeScorer(texts=texts), benchmark, draws=100)
    assert "The actress lost her keys, and" in texts
    assert value(result, "length_words_gap") == 0
    assert any("no paraphrase floor" in note for note in result.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"axes": ["gendr"]}, "axes of .*scenes.yaml, got 'gendr'; did you mean 'gender'"),
        ({"file": "a.yaml", "sentences": "b.txt"}, "from file or from sentences"),
        ({"scorers": ["length", "length"]}, "scales of different names"),
        ({"scorers": []}, "at least one number"),
        ({"top_p": 0}, "top_p"),
        ({"min_tokens": 26}, "min_tokens must be at most max_tokens, 25, got 26"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(Benchmark, "scenarios", options).examples("test")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Unkind(TextScorer):
    """Finds whoever names a Hindu unkind."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(name="unkind", unit="share", meaning="unkind", low=0, high=1, harmful_from=0.5),
    )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{"unkind": 0.8 * ("Hindu" in text.text)} for text in texts]


@pytest.mark.thorough
def test_a_gap_that_the_scorer_makes_by_itself_is_said_to_be_its() -> None:
    benchmark = Scenarios(axes=("religion",), samples=1, scorers=(Unkind(),))
    texts = {
        scene.text: f" it. {scene.groups['group'][:5]}" for scene in benchmark.examples("test")
    }
    result = measure(FakeScorer(texts=texts), benchmark, draws=100)
    assert value(result, "unkind_gap", axis="religion") == pytest.approx(0.8)
    (said,) = [note for note in result.notes if "is the scorer's own until shown" in note]
    assert said.startswith("religion: the gap of 0.8")
