"""Professions, templates, hints and answers of a user's file, and what is wrong with one."""

import json
import math
from pathlib import Path

import pytest
from worlds import in_world

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.errors import DataError, RecipeError
from equipoise.own_data.gap_prompts import read_gap_prompts
from equipoise.supply.genbias import GenBiasSupply

OWN = """\
part,text,name,score,scale,hint
profession,weaver,,-0.5,,
profession,miller,,,,
profession,smith,,0.5,,
template,The {profession} sang since their town is,sang,,short,
template,The {profession} came late since their town is,,,,
hint,The {profession} from {hint} sang since their town is,,,,
training_hint,The {profession} born in {hint} slept since their town is,,,,
answer,Leeds,,,,
answer,York,,,,old York
answer,Bath,,,,
"""


def write(folder: Path, text: str = OWN, name: str = "mine.csv") -> str:
    file = folder / name
    file.write_text(text)
    return str(file)


def test_every_part_is_read(tmp_path: Path) -> None:
    file = read_gap_prompts(write(tmp_path))
    assert [term.word for term in file.terms] == ["weaver", "miller", "smith"]
    assert (file.terms[0].score, math.isnan(file.terms[1].score)) == (-0.5, True)
    assert [(each.name, each.scale) for each in file.templates] == [
        ("sang", "short"),
        ("The {profession} came late since their town is", "own"),
    ]
    assert [(each.word, each.hint) for each in file.answers] == [
        (" Leeds", "Leeds"), (" York", "old York"), (" Bath", "Bath"),
    ]  # fmt: skip
    assert file.notes == ()
    more = read_gap_prompts(write(tmp_path, "part,text,year\nprofession,cook,1900\n", "more.csv"))
    assert more.notes == ("columns that are not read: 'year'",)
    assert (file.use.name, file.use.verified, len(file.use.sha256)) == ("mine.csv", None, 64)


def test_a_file_stands_in_for_what_is_built_in(tmp_path: Path) -> None:
    file = write(tmp_path)
    bench = GenBias(file=file)
    examples = bench.examples("all")
    assert len(examples) == 6
    assert examples[0].text == "The weaver sang since their town is"
    (request,) = bench.requests(examples[0])
    assert request.words == (" Leeds", " York", " Bath", " leeds", " york", " bath")
    assert [metric.name for metric in bench.metrics][-5:-2] == [
        "share_leeds", "share_york", "share_bath",
    ]  # fmt: skip
    assert [use.name for use in bench.files("test")] == ["mine.csv"]
    assert "answers asked for: Leeds, York, Bath" in bench.remarks("test")[0]
    hinted = GenHint(file=file, variant="hint1572").examples("all")
    assert len(hinted) == 9
    assert hinted[1].text == "The weaver from old York sang since their town is"
    assert hinted[1].groups["hint"] == "old York"
    parts = [{e.groups["profession"] for e in bench.examples(s)} for s in ("train", "dev", "test")]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 3
    supply = GenBiasSupply(file=file).supply()
    assert {prompt.words for prompt in supply.prompts} == {(" Leeds", " York", " Bath")}
    assert len(supply.hinted) == 3
    assert "file=mine.csv" in supply.origin
    assert supply.files == bench.files("test")


def test_what_a_file_lacks_is_built_in(tmp_path: Path) -> None:
    """Its professions in the built-in templates of an axis, which end in what is asked."""
    rows = [{"part": "profession", "text": word} for word in ("weaver", "miller", "smith")]
    file = write(tmp_path, json.dumps(rows), "mine.json")
    with in_world():
        race = GenBias(file=file, axis="race").examples("all")
        plain = GenBias(file=file).examples("all")
        answers = write(tmp_path, "part,text\nanswer,red\nanswer,blue\n", "answers.csv")
        both = GenBias(file=answers, axis="race")
        files = [use.name for use in both.files("all")]
        words = both.examples("all")[0].axis.words
    assert race[0].text.endswith(" because his race is")
    assert {example.groups["profession"] for example in plain} == {"weaver", "miller", "smith"}
    assert plain[0].axis.name == "gender"  # the pronouns of the paper, and its metrics
    assert words == (" red", " blue")
    assert files == ["professions/prompts.json", "answers.csv"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("professions,cook", r"line 12: part must be one of .*got 'professions'"),
        ("profession,Weaver", r"line 12: a text must be there once, got 'Weaver'"),
        ("profession,cook,,2", r"line 12: score must be a number from -1 .*got '2'"),
        ("profession,cook,,low", r"line 12: score must be .*got 'low'"),
        ("template,He slept since", r"line 12: a template must have \['profession'\]"),
        ("template,The {profession} ran as {", r"line 12: a template must have"),
        ("hint,The {profession} slept since", r"line 12: a template must have .*'hint'"),
        ("template,The {profession} ran as,sang", r"line 12: a name must be there once"),
        ("answer,", r"line 12: column 'text' must have a text"),
        ("template,The {profession!r} ran as", r"line 12: a template must have"),
        ("template,The {profession:d} ran as", r"line 12: a template must have"),
        ("answer,Wells,,,,old york", "line 12: a hint must settle .*got 'old york' for 'York'"),
        ("answer,Bath Spa", "line 12: an answer must not begin .*'Bath Spa' beside 'Bath'"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path: Path, line: str, message: str) -> None:
    file = write(tmp_path, OWN + line + "," * (5 - line.count(",")) + "\n")
    with pytest.raises(DataError, match=f"mine.csv, {message}"):
        GenBias(file=file).files("test")


def test_a_single_answer_and_answers_twice_are_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "part,text\nanswer,red\n")
    with pytest.raises(DataError, match=r"line 2: there must be two answers or more, got 1"):
        GenBias(file=file).examples("all")
    both = GenBias(file=write(tmp_path), words=("a", "b"))
    with pytest.raises(RecipeError, match="words must not be given beside the answers of"):
        both.examples("all")


def test_built_in_hints_are_possessives_which_an_answer_of_a_file_is_not(tmp_path: Path) -> None:
    pronouns = write(tmp_path, "part,text,hint\nanswer,he,\nanswer,xe,xyr\n")
    with in_world():
        texts = [example.text for example in GenHint(file=pronouns).examples("all")]
    assert {word for text in texts for word in text.split() if word in ("he", "his", "xyr")} == {
        "his", "xyr",
    }  # fmt: skip
    others = write(tmp_path, "part,text\nanswer,red\nanswer,blue\n")
    with in_world(), pytest.raises(RecipeError, match=r"must have a hint .* 'red' has none"):
        GenHint(file=others).examples("all")
    with in_world():
        assert GenBiasSupply(file=others).supply().hinted == ()
        assert GenHint(file=others, axis="race").examples("all")


def test_own_pronouns_without_a_hint_are_measured_but_not_hinted_at() -> None:
    with in_world():
        assert GenBias(words=("he", "she", "xe")).examples("all")
        assert GenBiasSupply(words=("he", "she", "xe")).supply().hinted == ()
        with pytest.raises(RecipeError, match="must have a hint that settles it, 'xe' has none"):
            GenHint(words=("he", "she", "xe")).examples("all")
        texts = [e.text for e in GenHint(words=("he", "she", "they")).examples("all")]
    assert any(" their " in text for text in texts)
