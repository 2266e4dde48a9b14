"""How requirements are written, on the command line and in a file; every mistake has its line."""

from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.gate.requirement import collect_requirements, parse_requirement, read_requirements


@pytest.mark.parametrize(
    "text",
    [
        "",
        "stereoset.ss",
        "stereoset.ss 45..55",
        "stereoset.ss within 45",
        "stereoset.ss within 45...55",
        "stereoset.ss at least many",
        "stereoset.ss[axis=gender within 45..55",
        "stereoset.ss above 5",
        "no group",
        "no group of stereoset.ss by axis",
        "no group of stereoset.ss worse than",
        "every group above 5",
    ],
)
def test_an_unknown_form_is_answered_with_the_known(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_requirement(text)
    assert f"--require: a requirement must be of a known form, got {text!r}; write" in str(
        caught.value
    )


def test_the_forms_that_an_error_offers_are_read() -> None:
    for text in (
        "NAME.METRIC within 45..55",
        "NAME.METRIC at least 80",
        "NAME.METRIC at most 60",
        "no group of NAME.METRIC worse than 60",
        "NAME.METRIC[axis=gender] at most 60",
    ):
        assert parse_requirement(text).metric == "NAME.METRIC"


def test_ranges_run_upwards_and_groups_have_names() -> None:
    with pytest.raises(RecipeError, match=r"got 55\.\.45; write 45\.\.55"):
        parse_requirement("a.b within 55..45")
    with pytest.raises(RecipeError, match=r"must be key=name, got \[gender\]"):
        parse_requirement("a.b[gender] within 45..55")
    pairs = parse_requirement("a.b[axis=gender, target=nurse, male] at most 5").group
    assert pairs == (("axis", "gender"), ("target", "nurse, male"))


def test_a_file_lists_sentences(tmp_path: Path) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(
        "# what we ship\nrequire:\n  - stereoset.ss[axis=gender] within 45..55\n  - no group of "
        "stereoset.ss by axis worse than 60\n"
    )
    requirements = collect_requirements(["genbias.afgb at most 1"], file)
    assert [requirement.where for requirement in requirements] == [
        f"{file} line 3", f"{file} line 4", "--require",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a.b at most 5", "line 1: a gate must be a mapping, got ['a.b at most 5']; write 'req"),
        ("\nrequires:\n- a.b at most 5", "line 2: a gate has no key 'requires'; did you mean"),
        ("require: a.b at most 5", "line 1: a gate must list what it requires, got 'a.b at most"),
        ("require: []", "line 1: a gate must list what it requires, got []"),
        ("require:\n- a.b at most 5\n- a.b: 5", "line 3: a requirement must be a sentence, got {"),
        ("require:\n- a.b at most 5\n- a.b att 5", "line 3: a requirement must be of a known form"),
        ("require:\n- &a a.b at most 5", "line 2: a gate has no anchors"),
    ],
)
def test_a_mistake_in_a_file_has_its_line(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "gate.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_requirements(file)
    assert f"{file} {message}" in str(caught.value)


def test_something_must_be_required() -> None:
    with pytest.raises(RecipeError, match="must require something, got"):
        collect_requirements([], None)
