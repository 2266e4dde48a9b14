"""The walk of docs/your-data.md, as it stands there, with a tiny model in place of GPT-2."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from equipoise import cli
from equipoise.benchmarks.base import Benchmark
from equipoise.plugins import build
from equipoise.study.results import read_results
from equipoise.testing import tiny_model

PAGE = (Path(__file__).parents[1] / "docs" / "your-data.md").read_text()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the page writes, in the folder to work in."""
    monkeypatch.chdir(tmp_path)
    files = re.findall(r"^```\w+ ([\w.]+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(files) == 4
    for name, content in files:
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.thorough
def test_every_command_of_the_page_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_model("llama", context=512)  # a token is a byte
    model.module.save_pretrained(folder / "model")
    model.tokenizer.save_pretrained(folder / "model")
    commands = re.findall(r"^equipoise (measure .*)$", PAGE, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        words = ["model" if word == "gpt2" else word for word in shlex.split(command)]
        assert cli.run([*words, "--draws", "20"]) == 0
        out, _ = capsys.readouterr()
        # columns of parts have the names that the page gives them
        assert ("note: columns, guessed" in out) == ("parts.csv" not in command)
        assert "official" not in out
    (measured,) = read_results(folder / "before")
    assert (measured.benchmark, len(measured.outcomes)) == ("pairs", 5)
    assert [use.verified for use in measured.data] == [None]


@pytest.mark.usefixtures("folder")
def test_the_recipe_of_the_page_can_be_built() -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for options in yaml.safe_load(text)["benchmarks"]:
        assert len(build(Benchmark, options.pop("name"), options).examples("test")) in (3, 5)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["pairs", "questions", "prompts"])
def test_list_and_describe_name_them(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list"]) == 0
    assert f"  {name} " in capsys.readouterr().out
    assert cli.run(["describe", name]) == 0
    out = capsys.readouterr().out
    assert "required" in out
    assert "metrics:" in out
