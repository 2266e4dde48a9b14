"""A judge as an option of another plug-in, in a study's words; and one of a user's own file."""

import re
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass

from equipoise.errors import RecipeError
from equipoise.judge.base import Judge
from equipoise.judge.endpoint import Endpoint
from equipoise.judge.lexicon import Lexicon
from equipoise.judge.model_judge import ModelJudge
from equipoise.judging.judgement import JudgedText
from equipoise.plugins import build, construct, name_of, options_of
from equipoise.records import OPTIONS

PAGE = Path(__file__).parents[2] / "docs" / "judging.md"
OWN = '''"""Graded by length."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from equipoise.judge.base import Judge
from equipoise.judging.judgement import JudgedText, Judgement


@dataclass(frozen=True)
class ByLength(Judge):
    """The longer, the stronger."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"

    def judge(self, texts: Sequence[JudgedText]) -> list[Judgement]:
        return [Judgement(strength=min(3.0, len(text.text) / 10)) for text in texts]
'''
TEXT = JudgedText(prompt="", text="a" * 20, quality="b", words=("b",), names=())


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Judging:
    """What nests a judge, as the benchmark of written texts does."""

    judge: Judge = Lexicon()


def nested(judge: object) -> Judging:
    return construct(Judging, "judging", {"judge": judge})  # type: ignore[dict-item]


def test_by_name_and_with_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    assert nested("lexicon").judge == Lexicon()
    assert nested({"name": "lexicon", "window": 3}).judge == Lexicon(window=3)
    judge = nested({"name": "model_judge", "model": "model", "form": "text"}).judge
    assert judge == ModelJudge(model=str(tmp_path / "model"), form="text")
    address = {"name": "endpoint", "address": "http://127.0.0.1:1/", "model": "owl"}
    asked = nested({**address, "record": "a.jsonl"}).judge
    assert asked == Endpoint(address="http://127.0.0.1:1", model="owl", record=tmp_path / "a.jsonl")
    for built in (judge, asked):
        options = options_of(Judging(judge=built))["judge"]
        assert isinstance(options, dict)
        assert build(Judge, str(options.pop("name")), options) == built


@pytest.mark.parametrize(
    ("judge", "sentence"),
    [
        ("lexikon", "lexicon"),
        ({"name": "lexicon", "windo": 3}, "window"),
        ({"name": "model_judge"}, "must be given"),
        ({"name": "endpoint", "address": "host", "model": "owl"}, "must be http"),
        ({"window": 3}, "'name'"),
    ],
)
def test_mistakes(judge: object, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        nested(judge)


def test_one_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "by_length.py"
    file.write_text(OWN)
    judge = nested(f"{file}:ByLength").judge
    assert [judgement.strength for judgement in judge.judge([TEXT])] == [2.0]
    assert name_of(judge) == f"{file}:ByLength"


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out == "3.0\n"
