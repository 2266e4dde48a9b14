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
from equipoise.plugins import available, build, choices_of, find, options_of
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
    found = find(Mitigation, name)
    assert dataclasses.is_dataclass(found)
    needed = {
        field.name: "some"
        for field in dataclasses.fields(found)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    values = flat(build(Mitigation, name, needed))
    return {option: value for option, value in values.items() if option not in needed}


def flat(instance: Any) -> dict[str, JSON]:
    """The options of an object; of a choice its name, and options of all its classes by dots."""
    options: dict[str, JSON] = json.loads(json.dumps(options_of(instance)))
    for option, hint in get_type_hints(type(instance)).items():
        default = options.get(option)
        for cls in choices_of(hint).values():
            chosen = getattr(instance, option)
            if type(chosen) is not cls and _needs_options(cls):
                continue
            nested = flat(chosen if type(chosen) is cls else cls())
            options |= {
                f"{option}.{key}": value
                for key, value in nested.items()
                if key != "name" and (type(chosen) is cls or f"{option}.{key}" not in options)
            }
        if choices_of(hint):
            options[option] = default["name"] if isinstance(default, dict) else default
    return options


def _needs_options(cls: type) -> bool:
    """Whether a class of a choice has an option without a default."""
    return any(
        field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        for field in dataclasses.fields(cls)
    )


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
        for option, value in flat(build(Mitigation, method, given)).items():
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
