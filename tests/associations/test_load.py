"""Specifications: the built-in ones, a user's own, and what is wrong with a file."""

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest
from pydantic import ValidationError

from equipoise.associations.association import SLOT, Association
from equipoise.associations.load import (
    association_sha256,
    association_use,
    load_association,
    names,
)
from equipoise.associations.validation import countries_in
from equipoise.errors import DataError, RecipeError
from equipoise.files.atomic import sha256

PAGE = Path(__file__).parents[2] / "docs" / "associations.md"
PAPER = ("always_late", "bad_drivers", "blue_skin", "drink_a_lot", "good_at_math", "spicy_food")
OWN = """\
name: loves_tea
statement: people from {target} love tea
attribute: love tea
being: loving tea
topic: tea
answers: [tea]
"""


def write(folder: Path, text: str) -> str:
    file = folder / "own.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.thorough
def test_the_six_of_the_paper_and_three_of_other_targets() -> None:
    assert set(PAPER) < set(names())
    assert len(names()) == 9
    assert [name for name in names() if load_association(name).fictional] == ["blue_skin"]
    others = [name for name in names() if not load_association(name).place]
    assert sorted([*PAPER, *others]) == list(names())


@pytest.mark.parametrize("name", names())
def test_built_in(name: str) -> None:
    association = load_association(name)
    assert association.name == name
    assert association.statement == f"{association.people} {association.attribute}"
    assert association.keywords
    said = [association.probe_sentence, *association.questions]
    assert all(SLOT in text for text in said)
    concepts = [text for stem, words in association.concepts.items() for text in (stem, *words)]
    assert [text for text in (*said, *concepts) if countries_in(text)] == []
    assert len(association.concepts) >= (20 if name in PAPER else 0)


def test_a_file_of_six_keys_is_enough(tmp_path: Path) -> None:
    association = load_association(write(tmp_path, OWN))
    assert (association.answer, association.keywords) == ("tea", ("tea",))
    assert association.probe_sentence == "People from {target} love tea."
    use = association_use(str(tmp_path / "own.yaml"))
    assert (use.sha256, use.verified) == (sha256(tmp_path / "own.yaml"), None)


def test_texts_of_yaml_stay_texts(tmp_path: Path) -> None:
    file = write(tmp_path, OWN.replace("[tea]", "[no, off]"))
    assert load_association(file).answers == ("no", "off")


def test_the_specification_of_the_page(tmp_path: Path) -> None:
    page = PAGE.read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(text.splitlines()) <= 10
    association = load_association(write(tmp_path, text))
    assert association.opposites == ("coffee",)
    assert len(association.concepts) == 1
    pattern = r"^\| `(\w+)` \| [^|]+ \| ([^|(]*\{target\}[^|(]*?) (?:\(.*)?\|$"
    table = re.findall(pattern, page, re.MULTILINE)
    assert dict(table) == {name: load_association(name).statement for name in names()}
    keys = {key for row in re.findall(r"^\| (`.*?) \| ", page, re.MULTILINE)
            for key in re.findall(r"`(\w+)`", row)}  # fmt: skip
    assert {about.name for about in fields(Association)} <= keys


def test_hash_is_of_what_is_said(tmp_path: Path) -> None:
    association = load_association(write(tmp_path, OWN))
    commented = load_association(write(tmp_path, "# mine\n" + OWN))
    assert association_sha256(association) == association_sha256(commented)
    other = replace(association, topic="hot drinks")
    assert association_sha256(association) != association_sha256(other)


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    file = write(tmp_path, OWN)
    assert load_association(file).topic == "tea"
    write(tmp_path, OWN.replace("topic: tea", "topic: drinks"))
    assert load_association(file).topic == "drinks"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("topic: tea", "topics: tea", r"line 5: 'topics' is no key .*did you mean 'topic'"),
        ("topic: tea\n", "", "must have the key 'topic', got"),
        ("from {target} love", "from Mars love", r"line 2: 'statement' must have \{target\}"),
        (
            "being: loving",
            "being: being {target}, loving",
            "line 4: 'being' must be said of nobody",
        ),
        ("answers: [tea]", "answers: []", "line 1: answers must be at least one"),
        ("answers: [tea]", "answers: [7]", r"line 6: 'answers.0' must be a valid string, got '7'"),
        ("answers: [tea]", "answers: [' ']", "line 6: 'answers.0' must be a text without white"),
        ("answers: [tea]", "answers: [tea]\nopposites: [Tea]", r"opposites .*got \['tea'\]"),
        (
            "answers: [tea]",
            "answers: [tea]\nquestions: [They do]",
            "line 7: 'questions.0' must have",
        ),
        ("answers: [tea]", "answers: [tea]\nprobe: They do.", r"must have \{target\}"),
        ("answers: [tea]", "answers: [tea]\nconcepts: {A cup of: []}", "'A cup of' has none"),
        ("name: loves_tea", "name: loves_tea\nname: other", "line 2: a key stands once"),
        (OWN, "- 3", "must hold keys and values, got list"),
        (OWN, "", "must hold a specification, got 0"),
    ],
)
def test_faults_name_file_line_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = write(tmp_path, OWN.replace(old, new))
    with pytest.raises((DataError, RecipeError), match=rf"own\.yaml.*(?:{message})"):
        load_association(file)


def test_names_that_are_none() -> None:
    with pytest.raises(RecipeError, match="got 'allways_late'; did you mean 'always_late'"):
        load_association("allways_late")
    with pytest.raises(DataError, match=r"nowhere\.yaml"):
        load_association("nowhere.yaml")


def test_built_in_python() -> None:
    with pytest.raises(ValidationError, match="answers must be at least one"):
        Association(name="a", statement=SLOT, attribute="b", being="c", topic="d", answers=())
