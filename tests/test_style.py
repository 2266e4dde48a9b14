"""House rules that a linter does not know, checked on the tree."""

import ast
import gc
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[1] / "equipoise"
FILES = [file for file in sorted(PACKAGE.rglob("*.py")) if file.read_text()]
VAGUE = {"utils", "util", "helpers", "common", "misc", "manager", "handler"}
#: Names that say nothing of what they hold.
NAMELESS = {"one", "found", "some", "those", "own", "told", "made", "several", "there", "at"}
TESTS = Path(__file__).parent
MOST_LINES, MOST_FUNCTION_LINES = 400, 80  # ask why at 300 and at 50


@cache
def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@pytest.fixture(scope="module", autouse=True)
def _trees() -> Iterator[None]:
    """A million objects: not looked through for garbage now, nor left for the tests that follow."""
    gc.disable()
    yield
    gc.enable()
    parsed.cache_clear()
    nodes.cache_clear()


@cache
def nodes() -> dict[type, list[tuple[Path, Any]]]:
    """The nodes of the package by their type, each with its file."""
    by_type: dict[type, list[tuple[Path, Any]]] = {}
    for file in FILES:
        for node in ast.walk(parsed(file)):
            by_type.setdefault(type(node), []).append((file, node))
    return by_type


def place(file: Path, node: ast.stmt | ast.expr) -> str:
    return f"{file.relative_to(PACKAGE)}:{node.lineno}"


def shows_a_value(call: ast.Call) -> bool:
    return any(isinstance(node, ast.FormattedValue | ast.Name) for node in ast.walk(call.args[0]))


@pytest.mark.thorough
def test_every_error_shows_the_value_it_got() -> None:
    silent = [
        place(file, node)
        for file, node in nodes()[ast.Raise]
        if isinstance(node.exc, ast.Call) and node.exc.args and not shows_a_value(node.exc)
    ]
    assert silent == []


@pytest.mark.thorough
def test_nothing_is_probed_or_unpickled() -> None:
    wrong = []
    for file, node in nodes()[ast.Call]:
        match node.func:
            case ast.Name(id="hasattr" | "eval" | "exec" as name):
                wrong.append(f"{place(file, node)} {name}")
            case ast.Name(id="getattr" as name) if len(node.args) == 3:
                wrong.append(f"{place(file, node)} {name}")
            case ast.Attribute(value=ast.Name(id="pickle" as name)):
                wrong.append(f"{place(file, node)} {name}")
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" as name):
                wrong.append(f"{place(file, node)} torch.{name}")
    assert wrong == []


def test_files_are_small_and_named_for_one_thing() -> None:
    large = [file for file in FILES if len(file.read_text().splitlines()) > MOST_LINES]
    vague = [file for file in FILES if file.stem in VAGUE]
    assert (large, vague) == ([], [])


@pytest.mark.thorough
def test_functions_are_short() -> None:
    long = []
    for file, node in nodes()[ast.FunctionDef]:
        docstring = ast.get_docstring(node, clean=False) or ""
        lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
        if lines > MOST_FUNCTION_LINES:
            long.append(f"{place(file, node)} {node.name} has {lines} lines")
    assert long == []


def test_every_module_says_what_it_is() -> None:
    assert [file for file in FILES if not ast.get_docstring(parsed(file))] == []


def test_every_stated_shape_is_checked_in_tests(pytestconfig: pytest.Config) -> None:
    checked = set(pytestconfig.getoption("jaxtyping_packages").split(",")) - {
        "shape_checks.checked"
    }
    stating = {
        ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
        for file in FILES
        if "from jaxtyping import" in file.read_text()
    }
    # beartype draws from Python's generator, which training is tested to leave alone.
    assert checked == stating - {"equipoise.training.schedule"}


@pytest.mark.thorough
def test_variables_are_named_for_what_they_hold() -> None:
    assert [name for file in FILES for name in nameless(file, PACKAGE)] == []


@pytest.mark.thorough
def test_variables_of_tests_are_named_for_what_they_hold() -> None:
    files = sorted(TESTS.rglob("*.py"))
    assert [name for file in files for name in nameless(file, TESTS)] == []


def nameless(file: Path, root: Path) -> list[str]:
    """Names of a file that say nothing; `one` may stand beside an `other`."""
    vague: list[str] = []
    # parsing all tests takes seconds: a name that is bound has one of these behind or before it
    words = "|".join(NAMELESS)
    if not re.search(rf"\b(?:{words})\b\s*(?:[],=:)]|in\b)|\bas (?:{words})\b", file.read_text()):
        return vague
    for scope in ast.walk(parsed(file)):
        if isinstance(scope, ast.Module | ast.ClassDef | ast.FunctionDef | ast.Lambda):
            names = bound_names(scope)
            allowed = {"one"} if "other" in names else set()
            vague += [f"{file.relative_to(root)}: {name}" for name in (names & NAMELESS) - allowed]
    return vague


def bound_names(scope: ast.AST) -> set[str]:
    """Targets and parameters of a scope, those of comprehensions in it included."""
    names: set[str] = set()
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            continue  # a scope of its own
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        if isinstance(node, ast.arg):
            names.add(node.arg)
        waiting += ast.iter_child_nodes(node)
    return names
