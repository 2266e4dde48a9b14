"""Where pairs come from: two files, two results folders, and a study with its variants."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.errors import DataError, RecipeError
from equipoise.fakes import tiny_model
from equipoise.measure import measure
from equipoise.plugins import build
from equipoise.rating import sources
from equipoise.rating.sources import read_pairs
from equipoise.records import Measurement, Outcome
from equipoise.study.results import write_results
from equipoise.study.study import Measured, Study
from rating.making import BASE, TUNED, save

BENCHMARK: dict[str, Any] = {
    "association": "always_late",
    "targets": ["Norway", "Peru"],
    "score": {"name": "generation", "max_tokens": 4, "samples": 2},
}


@pytest.fixture(scope="module")
def measured() -> Measurement:
    """A tiny model's texts."""
    return measure(
        tiny_model("llama"), build(Benchmark, "stereotypes", BENCHMARK), draws=0, limit=6
    )


def shouted(measurement: Measurement, **changes: Any) -> Measurement:
    """The same of a model that shouts."""
    outcomes = tuple(replace(o, text=f"{o.text}!") for o in measurement.outcomes)
    return replace(measurement, outcomes=outcomes, model="loud", **changes)


# --- files ------------------------------------------------------------------------------------


def test_two_files(tmp_path: Path) -> None:
    paired = read_pairs([save(tmp_path / f"{name}.jsonl", name) for name in (BASE, TUNED)])
    assert paired.variants == (BASE, TUNED)
    assert len(paired.pairs) == 10
    assert paired.pairs[1].groups == {"group": "b"}
    assert paired.pairs[1].scores == {"toxicity": (2, 1)}


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for name in (BASE, TUNED):
        (tmp_path / name).mkdir()
    files = [save(tmp_path / name / "texts.jsonl", name) for name in (BASE, TUNED)]
    assert read_pairs(files).variants == tuple(map(str, files))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "must hold JSON lines, got none"),
        ('{"prompt": "An oak"}\n', "must have an id of printable"),
        ('{"id": "a\\u202e", "text": "is"}\n', "must have an id of printable"),
        ('{"id": "1", "text": null}\n', "must have a string in the column 'text'"),
        ('{"id": "1", "text": "a"}\n{"id": "1", "text": "b"}\n', "got 1 ids for 2 texts"),
        ("[1\n", "texts.jsonl"),
    ],
)
def test_files_that_hold_no_texts(tmp_path: Path, content: str, why: str) -> None:
    file = tmp_path / "texts.jsonl"
    file.write_text(content)
    with pytest.raises(DataError, match=why):
        read_pairs([file, save(tmp_path / "tuned.jsonl", TUNED)])


def test_an_empty_text_is_a_text(tmp_path: Path) -> None:
    file = tmp_path / "silent.jsonl"
    file.write_text(json.dumps({"id": 1, "prompt": "The oak 1 is", "text": ""}) + "\n")
    paired = read_pairs([file, save(tmp_path / "tuned.jsonl", TUNED)])
    assert [pair.first for pair in paired.pairs] == [""]
    assert paired.notes == ("9 texts of one variant alone are left out",)


@pytest.mark.thorough
def test_a_single_place_of_texts_is_refused(tmp_path: Path, measured: Measurement) -> None:
    with pytest.raises(RecipeError, match="got the texts of one"):
        read_pairs([save(tmp_path / "tuned.jsonl", TUNED)])
    folder = write_results(tmp_path / "before", [measured])
    with pytest.raises(RecipeError, match="got the texts of one"):
        read_pairs([folder])
    with pytest.raises(RecipeError, match="got 3 places"):
        read_pairs([folder] * 3)


# --- results folders ----------------------------------------------------------------------------


@pytest.mark.thorough
def test_two_results_folders(tmp_path: Path, measured: Measurement) -> None:
    folders = [
        write_results(tmp_path / name, [each])
        for name, each in (("before", measured), ("after", shouted(measured)))
    ]
    paired = read_pairs(folders)
    assert paired.variants == ("before", "after")
    assert len(paired.pairs) == 6
    for pair in paired.pairs:
        assert pair.second == f"{pair.first}!"
        assert pair.prompt
        assert pair.groups["target"] in ("Norway", "Peru")
    assert "length" in paired.pairs[0].scores or paired.pairs[0].scores


@pytest.mark.thorough
def test_a_benchmark_is_chosen_where_several_have_texts(
    tmp_path: Path, measured: Measurement
) -> None:
    again = replace(measured, benchmark="retention", options=measured.options)
    sides = [
        write_results(tmp_path / name, each)
        for name, each in (
            ("before", [measured, again]), ("after", [shouted(measured), shouted(again)]),
        )
    ]  # fmt: skip
    with pytest.raises(RecipeError, match="--benchmark"):
        read_pairs(sides)
    assert len(read_pairs(sides, benchmark="stereotypes").pairs) == 6
    with pytest.raises(RecipeError, match="did you mean 'stereotypes'"):
        read_pairs(sides, benchmark="stereotype")


@pytest.mark.parametrize("targets", [["Norway"], ["Norway", "Chile"]])
def test_prompts_are_those_that_were_asked(
    tmp_path: Path, measured: Measurement, targets: list[str]
) -> None:
    options = {**measured.options, "targets": targets}  # as if a file had changed since
    folders = [
        write_results(tmp_path / name, [replace(each, options=options)])
        for name, each in (("before", measured), ("after", shouted(measured)))
    ]
    with pytest.raises(DataError, match="must ask what it asked"):
        read_pairs(folders)


def test_results_without_texts(tmp_path: Path, measured: Measurement) -> None:
    outcomes = tuple(Outcome(example=o.example, values={"x": 1.0}) for o in measured.outcomes)
    folders = [
        write_results(tmp_path / name, [replace(measured, outcomes=outcomes)]) for name in "ab"
    ]
    with pytest.raises(DataError, match="got none; measure a benchmark"):
        read_pairs(folders)


# --- a study ----------------------------------------------------------------------------------


def study_of(*variants: tuple[str | None, int | None, Measurement]) -> Study:
    return Study(
        title="trees",
        recipe={},
        measured=tuple(
            Measured(model="tiny", mitigation=mitigation, seed=seed, measurement=measurement)
            for mitigation, seed, measurement in variants
        ),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, measured: Measurement) -> Path:
    """A study's folder; what it is read as is `folder / "study"`'s."""
    quiet = shouted(measured)
    study = study_of((None, None, measured), ("loud", 1, shouted(quiet)), ("loud", 0, quiet))
    monkeypatch.setattr(sources, "read_study", lambda _: study)
    return tmp_path


@pytest.mark.thorough
def test_a_study_of_two_variants(folder: Path) -> None:
    paired = read_pairs([folder])
    assert paired.variants == ("tiny", "loud on tiny")
    assert all(pair.second == f"{pair.first}!" for pair in paired.pairs), "of seed 0"
    assert paired.notes == ("of 'loud on tiny' the texts of seed 0 are shown, of 2",)
    turned = read_pairs([folder], variants=["loud on tiny", "tiny"])
    assert turned.variants == ("loud on tiny", "tiny")


def test_variants_that_are_not_two(
    folder: Path, monkeypatch: pytest.MonkeyPatch, measured: Measurement
) -> None:
    with pytest.raises(RecipeError, match="did you mean 'loud on tiny'"):
        read_pairs([folder], variants=["loud on tinny", "tiny"])
    with pytest.raises(RecipeError, match="got 1 of"):
        read_pairs([folder], variants=["tiny"])
    alone = study_of((None, None, measured))
    monkeypatch.setattr(sources, "read_study", lambda _: alone)
    with pytest.raises(RecipeError, match=r"has measured 1 \(tiny\); add a mitigation"):
        read_pairs([folder])
    three = study_of((None, None, measured), ("a", 0, measured), ("b", 0, measured))
    monkeypatch.setattr(sources, "read_study", lambda _: three)
    with pytest.raises(RecipeError, match="'a on tiny', 'b on tiny'; name two"):
        read_pairs([folder])
    with pytest.raises(RecipeError, match="leave it out"):
        read_pairs([folder, folder], variants=["tiny"])
