"""House rules that a linter does not know, checked on the tree."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "equipoise"
FILES = sorted(PACKAGE.rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "common", "misc", "manager", "handler"}


def name(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


def shows_a_value(call: ast.Call) -> bool:
    return any(isinstance(node, ast.FormattedValue | ast.Name) for node in ast.walk(call.args[0]))


@pytest.mark.parametrize("file", FILES, ids=name)
def test_every_error_shows_the_value_it_got(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            assert shows_a_value(node.exc), f"{name(file)}:{node.lineno} shows no value"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_nothing_is_probed_or_unpickled(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
            continue
        called = ast.unparse(node.func)
        assert called not in ("hasattr", "eval", "exec"), f"{name(file)}:{node.lineno} {called}"
        assert not called.startswith(("pickle.", "torch.load")), f"{name(file)}:{node.lineno}"
        probing = called == "getattr" and len(node.args) == 3
        assert not probing, f"{name(file)}:{node.lineno} getattr with a default"


@pytest.mark.parametrize("file", FILES, ids=name)
def test_files_are_small_and_named_for_one_thing(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400
    assert file.stem not in VAGUE


@pytest.mark.parametrize("file", FILES, ids=name)
def test_functions_are_short(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None:
            docstring = ast.get_docstring(node) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            assert lines <= 50, f"{name(file)}:{node.lineno} {node.name} has {lines} lines"


@pytest.mark.parametrize("file", [one for one in FILES if one.read_text()], ids=name)
def test_every_module_says_what_it_is(file: Path) -> None:
    assert ast.get_docstring(ast.parse(file.read_text()))


def test_every_stated_shape_is_checked_in_tests(pytestconfig: pytest.Config) -> None:
    checked = set(pytestconfig.getoption("jaxtyping_packages").split(",")) - {"beartype.beartype"}
    stating = {
        "equipoise." + name(file).removesuffix(".py").replace("/", ".")
        for file in FILES
        if "from jaxtyping import" in file.read_text()
    }
    # beartype draws from Python's generator, which training is tested to leave alone.
    assert checked == stating - {"equipoise.training.loop"}
