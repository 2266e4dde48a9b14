"""What the documentation says of mitigations, against the code: each is listed, with its options.

A page in docs/methods whose name is a mitigation's holds its options in tables that begin
"| option | default |". What a page leaves to that of bias_unlearn has the same default there.
"""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from equipoise.mitigate.base import Mitigation
from equipoise.plugins import available, build, choices_of, find, name_of, options_of
from equipoise.records import JSON

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "methods.md").read_text()
FOLDER = ROOT / "docs" / "methods"
PAGES = sorted(one.stem for one in FOLDER.glob("*.md"))
SHARED = "bias_unlearn"


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text()


def said(text: str) -> dict[str, str]:
    """The default that a page's tables say of each option."""
    found: dict[str, str] = {}
    for table in re.findall(r"^\| option \| default \|.*\n\|.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines():
            first, default, *_ = row.strip("|").split(" | ")
            names = re.findall(r"`([\w.]+)`", first)
            parts = default.split(", ") if len(names) > 1 else [default]
            assert len(names) == len(parts), f"{names} have {len(parts)} defaults"
            assert not found.keys() & set(names), f"{names} twice"
            found |= {
                name: part.strip().strip("`") for name, part in zip(names, parts, strict=True)
            }
    return found


def agrees(written: str, default: JSON) -> bool:
    """Whether a table's words mean a value; that of no choice among several is "all …"."""
    if isinstance(default, list):
        if not default:
            return written.startswith("all")
        return written.split(", ") == [str(one) for one in default]
    if default == {}:
        return written == "none"
    if isinstance(default, bool) or default is None:
        return written == {True: "true", False: "false", None: "none"}[default]
    if isinstance(default, float | int):
        return float(written) == default
    return written == default


def defaults_of(name: str) -> dict[str, JSON]:
    """Every option that has a default, with it; as JSON, where a tuple is a list."""
    return flat(find(Mitigation, name))


def built_options(method: str, given: dict[str, JSON]) -> dict[str, JSON]:
    return flat(find(Mitigation, method), build(Mitigation, method, given))


def flat(cls: Any, instance: Any = None) -> dict[str, JSON]:
    """The options of a class that have a default, or of an object.

    A choice is its name, and the options of all its classes are there by dots.
    """
    options: dict[str, JSON] = {}
    for field in dataclasses.fields(cls):
        value = field.default
        if instance is not None:
            value = getattr(instance, field.name)
        elif field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if value is dataclasses.MISSING:
            continue
        choices = choices_of(get_type_hints(cls)[field.name])
        if choices:
            options[field.name] = value if value is None else value.name
        elif dataclasses.is_dataclass(value):
            options[field.name] = {"name": name_of(value), **options_of(value)}
        else:
            options[field.name] = json.loads(json.dumps(value))
        classes = sorted(choices.values(), key=lambda choice: type(value) is not choice)
        for choice in classes:
            nested = flat(choice, value if type(value) is choice else None)
            options = {f"{field.name}.{key}": nested[key] for key in nested} | options
    return {key: value for key, value in options.items() if key.rpartition(".")[2] != "name"}


@pytest.mark.parametrize("name", PAGES)
def test_every_option_is_on_the_page_with_its_default(name: str) -> None:
    own, defaults = said(text_of(name)), defaults_of(name)
    assert own.keys() <= defaults.keys()
    shared = said(text_of(SHARED))
    for option, default in defaults.items():
        if option not in own:
            assert f"({SHARED}.md#options)" in text_of(name), option
            assert f"`{option}`" in text_of(name), option
        written = own[option] if option in own else shared[option]
        assert agrees(written, default), f"{option}: {written}, is {default}"


@pytest.mark.parametrize("name", available(Mitigation))
def test_every_mitigation_is_listed_with_a_link(name: str) -> None:
    links = re.findall(rf"^\| \[`{name}`\]\((\S+)\) \| \S", TEXT, re.MULTILINE)
    assert len(links) == 1
    page, _, anchor = links[0].partition("#")
    own = (
        f"\n### {anchor}\n" in TEXT if anchor else f"`{name}`" in (FOLDER.parent / page).read_text()
    )
    assert own or page == f"methods/{name}.md"


def test_no_other_mitigation_is_listed() -> None:
    listed = re.findall(r"^\| \[`(\w+)`\]", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(available(Mitigation))


@pytest.mark.parametrize("name", PAGES)
def test_every_command_that_learns_can_be_built(name: str) -> None:
    for line in re.findall(r"^equipoise mitigate .*", text_of(name), re.MULTILINE):
        method = line.split()[3]
        given: dict[str, JSON] = {}
        for owner, option, value in re.findall(r"--set ([a-z_]+)\.([a-z_]+)=(\S+)", line):
            assert owner == method, line
            try:
                given[option] = json.loads(value)
            except ValueError:
                given[option] = value
        for option, value in built_options(method, given).items():
            assert value == given.get(option, value)


@pytest.mark.parametrize("name", PAGES)
def test_who_is_taught_without_a_supply_is_taught_by_a_benchmark_of_its_page(name: str) -> None:
    """A command of a page that names no supply learns what the page says."""
    for method in re.findall(
        r"^equipoise mitigate \S+ (\w+)(?!.*--supply)", text_of(name), re.MULTILINE
    ):
        if find(Mitigation, method).learns:
            teacher = find(Mitigation, method).taught_by
            assert f"benchmarks.md#{teacher})" in text_of(name)


@pytest.mark.parametrize(
    ("written", "default", "right"),
    [
        ("0.4, 0.4, 0.2", [0.4, 0.4, 0.2], True),
        ("0.4, 0.4, 0.3", [0.4, 0.4, 0.2], False),
        ("all nine", [], True),
        ("none", [], False),
        ("none", None, True),
        ("1e-5", 0.00001, True),
        ("true", True, True),
        ("1", True, False),
        ("gender", ["gender", "race"], False),
    ],
)
def test_what_agrees(written: str, default: JSON, right: bool) -> None:
    assert agrees(written, default) == right
