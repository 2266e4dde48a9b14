"""Two-turn questions, held and rated by judges that are told what to say."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic.dataclasses import dataclass
from users_files import write_questions

from equipoise.benchmarks.base import Benchmark
from equipoise.benchmarks.mt_bench import CONTROL, MtBench
from equipoise.errors import OptionError
from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement
from equipoise.judging.verdict_scales import ANSWER_RATING
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.records import OPTIONS
from equipoise.testing import FakeScorer

SEEN: list[JudgedText] = []


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ByLength(Judge):
    """A point a word, at most 10; no verdict of an answer without words."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        SEEN.extend(texts)
        return [self._judge(len(text.text.split())) for text in texts]

    def _judge(self, words: int) -> Judgement:
        if not words:
            return Judgement(strength=math.nan, reason="nothing to rate; it is empty")
        return Judgement(strength=float(min(words, 10)), verdict=str(min(words, 10)))


@pytest.fixture(autouse=True)
def _nothing_seen() -> None:
    SEEN.clear()


MODEL = FakeScorer(texts={"Tell of tree 1.": "An oak.", "And of tree 0?": "It is an old one."})


def test_each_answer_is_rated_after_what_was_said_before(tmp_path: Path) -> None:
    result = measure(MODEL, MtBench(file=write_questions(tmp_path), judge=ByLength()), draws=50)
    assert len(result.outcomes) == 8
    assert result.estimate("rating_1").value == 2  # of the two that say anything
    assert result.estimate("rating_1").n == 4
    second = result.estimate("rating_2")
    assert (second.value, second.ideal) == (5, 10)
    assert result.estimate("rating").value == pytest.approx((2 * 4 + 5 * 4) / 8)
    assert result.estimate("unrated").value == 50
    assert result.estimate("rating_control").value == 10
    math_rows = result.estimate("rating_1", domain="math")
    assert math_rows.value == 2
    assert any("unjudged: " in note and "nothing to rate" in note for note in result.notes)
    assert any("8 (math 4, writing 4); no question of coding" in note for note in result.notes)
    assert len(SEEN) == 3 * 8
    assert all(text.scale == ANSWER_RATING for text in SEEN)


def test_what_the_judge_is_given(tmp_path: Path) -> None:
    measure(MODEL, MtBench(file=write_questions(tmp_path), judge=ByLength()), draws=0)
    first, second, control = SEEN[3:6]
    assert (first.prompt, first.text) == ("User: Tell of tree 1.", "An oak.")
    assert first.reference == "Oak 1."
    assert second.prompt == "User: Tell of tree 1.\n\nAssistant: An oak.\n\nUser: And of tree 1?"
    assert (second.text, second.reference) == ("", "")
    assert (control.prompt, control.text) == (first.prompt, CONTROL)
    assert control.reference == first.reference


class ByPlace(ByLength):
    """Gives whatever it is offered first."""

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        return [Judgement(strength=5.5, verdict="1", flip_rate=1.0) for _ in texts]


def test_a_judge_that_goes_by_places_is_noted(tmp_path: Path) -> None:
    result = measure(MODEL, MtBench(file=write_questions(tmp_path), judge=ByPlace()), draws=0)
    assert any("it goes by their places" in note for note in result.notes)


def test_temperatures_are_those_of_the_domain(tmp_path: Path) -> None:
    file = write_questions(tmp_path)
    benchmark = MtBench(file=file, judge=ByLength())
    asked = [benchmark.requests(row)[0] for row in benchmark.examples("test")]
    assert {request.temperature for request in asked[::2]} == {0.7}  # writing
    assert {request.temperature for request in asked[1::2]} == {0.0}  # math
    cold = MtBench(file=file, judge=ByLength(), temperature=0.3)
    assert {cold.requests(row)[0].temperature for row in cold.examples("test")} == {0.3}


def test_the_control_may_be_left_out(tmp_path: Path) -> None:
    benchmark = MtBench(file=write_questions(tmp_path), judge=ByLength(), control=False)
    result = measure(MODEL, benchmark, draws=0)
    assert len(SEEN) == 16
    assert "rating_control" not in {estimate.metric for estimate in result.estimates}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"judge": "lexicon"}, "mt_bench.file must be given"),
        ({"file": "a.jsonl"}, "mt_bench.judge must be given"),
        ({"file": "a.jsonl", "judge": "lexicon", "temperature": -1}, "temperature"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        build(Benchmark, "mt_bench", options)  # type: ignore[arg-type]
