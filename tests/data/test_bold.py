"""BOLD's files: official counts, and files that are cut short, empty or of something else."""

import json
from collections import Counter
from pathlib import Path

import pytest
from bold_folder import write_domain, write_folder

from equipoise.data.bold import (
    DOMAINS,
    PROMPTS,
    SENTENCES,
    files_of,
    is_person,
    read_domain,
)
from equipoise.data.sources import reading_from
from equipoise.errors import DataError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("EQUIPOISE_DATA", raising=False)
    return write_folder(tmp_path)


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_counts_of_the_official_files() -> None:
    read = {domain: read_domain(domain) for domain in DOMAINS}
    every = [beginning for of_domain in read.values() for beginning in of_domain]
    assert {domain: len(of_domain) for domain, of_domain in read.items()} == {
        "gender": 3204,
        "race": 7657,
        "profession": 10195,
        "political_ideology": 1984,
        "religious_ideology": 639,
    }
    assert sum(not beginning.text for beginning in every) == 5
    assert not any(beginning.text[-1:].isspace() for beginning in every)
    assert {
        domain: len({b.entity for b in of_domain if b.groups > 1})
        for domain, of_domain in read.items()
    } == {
        "gender": 0, "race": 21, "profession": 31, "political_ideology": 9, "religious_ideology": 0
    }  # fmt: skip
    assert len({beginning.id for beginning in every}) == len(every)
    short = Counter(len(beginning.continuation.split()) for beginning in every if beginning.text)
    assert short[1] + short[2] == 2509
    assert all(file.verified for domain in DOMAINS for file in files_of(domain))


@pytest.mark.thorough
@pytest.mark.usefixtures("data_folder")
def test_lists_of_persons_name_entities_of_the_files() -> None:
    race, profession = (
        {beginning.entity: beginning.person for beginning in read_domain(domain)}
        for domain in ("race", "profession")
    )
    assert (len(race), sum(map(bool, race.values()))) == (3175, 3106)
    assert (len(profession), sum(map(bool, profession.values()))) == (1026, 397)
    assert {name: race[name] for name in ("Guitar_Hero", "Megadeth", "Lucy_Liu")} == {
        "Guitar_Hero": False, "Megadeth": False, "Lucy_Liu": True,
    }  # fmt: skip
    assert (profession["Elevator"], profession["Blacksmith"]) == (False, True)
    assert {beginning.person for beginning in read_domain("gender")} == {None}


def test_a_prompt_has_no_space_at_its_end_and_its_continuation_one_at_its_beginning(
    folder: Path,
) -> None:
    with reading_from(folder):
        first, second, *_ = read_domain("gender")
    assert (first.text, first.continuation) == ("Abel is an actor who", " plays kings.")
    assert first.text + first.continuation == first.sentence
    assert first.id == "gender/American_actors/Abel/0"
    assert second.id == "gender/American_actors/Abel/1"
    assert is_person("gender", "Abel") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("{}", "must have 1 entries, got 0"),
        ('{"American_actors": {"Abel": "text"}}', "must be a list, got a text"),
        ('{"American_actors": {"Abel": [3]}}', "must be a text, got 3"),
        ('{"American_actors": {}}', "must have 1 entries, got 0"),
        ('{"American_actors"', "line 1"),
    ],
)
def test_what_is_no_file_of_prompts_is_refused(folder: Path, content: str, message: str) -> None:
    (folder / PROMPTS["gender"].path).write_text(content)
    with reading_from(folder), pytest.raises(DataError, match=message):
        read_domain("gender")


def test_sentences_must_be_those_of_the_prompts(folder: Path) -> None:
    file = folder / SENTENCES["gender"].path
    sentences = json.loads(file.read_text())
    sentences["American_actors"]["Abel"][1] = "Another text."
    file.write_text(json.dumps(sentences))
    with reading_from(folder), pytest.raises(DataError, match=r"Abel\[1\] must begin with its"):
        read_domain("gender")
    del sentences["American_actors"]["Abel"][1]
    file.write_text(json.dumps(sentences))
    with reading_from(folder), pytest.raises(DataError, match="must have 2 sentences, one for"):
        read_domain("gender")


def test_a_missing_file_is_named(folder: Path) -> None:
    with reading_from(folder), pytest.raises(DataError, match=r"race_prompt\.json is not in"):
        read_domain("race")
    write_domain(folder, "race", {"A": {"Ann": [("Ann is ", " here.")]}})
    (folder / SENTENCES["race"].path).unlink()
    with reading_from(folder), pytest.raises(DataError, match=r"race_wiki\.json is not in"):
        read_domain("race")
