"""Compiled templates: kept beside them, of use to a next process, and never in the way."""

import sys
from pathlib import Path

import jinja2
import pytest

from equipoise.report.compiled_templates import CompiledTemplates


def render(folder: Path, text: str) -> str:
    (folder / "a.html").write_text(text)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), bytecode_cache=CompiledTemplates(folder)
    )
    return environment.get_template("a.html").render(x=1)


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def test_what_is_kept_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert render(tmp_path, "{{ x }}!") == "1!"
    (kept,) = (tmp_path / "__pycache__").iterdir()

    def compiles(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    with monkeypatch.context() as patch:
        patch.setattr(jinja2.Environment, "compile", compiles)
        assert render(tmp_path, "{{ x }}!") == "1!"
    # what says something else is compiled, and so is what is broken
    assert render(tmp_path, "{{ x }}?") == "1?"
    kept.write_bytes(kept.read_bytes()[:-1])
    assert render(tmp_path, "{{ x }}!") == "1!"


def test_nothing_is_written_where_python_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert render(tmp_path, "{{ x }}") == "1"
    assert [file.name for file in tmp_path.iterdir()] == ["a.html"]


def test_a_page_is_made_where_nothing_can_be_kept(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("a file in the folder's place")
    assert render(tmp_path, "{{ x }}") == "1"
    assert CompiledTemplates(None).load_bytecode(None) is None  # type: ignore[arg-type, func-returns-value]
