"""The command line: what is printed where, exit status, and that nothing is written over."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_folder import save_tiny

from equipoise import cli

GENBIAS = ("genbias", "--data", "planted:default", "--limit", "30", "--draws", "20")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model as anybody would save it."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def run(*arguments: object) -> int:
    return cli.run([str(argument) for argument in arguments])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert re.fullmatch(r"equipoise \d+\.\d+\.\d+\n", capsys.readouterr().out)


@pytest.mark.thorough
def test_measure_prints_a_table_with_intervals_and_ideal(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("measure", folder, *GENBIAS) == 0
    out = capsys.readouterr().out
    assert out.startswith("genbias (test) on tiny@")
    afgb = next(line for line in out.splitlines() if line.startswith("afgb"))
    assert "overall" in afgb
    assert "[" in afgb
    assert "note: AFGB falls" in out
    assert "scale word" not in out
    assert "--all prints every number, --groups compares groups." in out
    assert run("measure", folder, *GENBIAS, "--groups") == 0
    assert "afgb by scale:" in capsys.readouterr().out
    assert run("measure", folder, *GENBIAS, "--groups", "--all") == 0
    assert "scale word" in capsys.readouterr().out


@pytest.mark.thorough
def test_json_is_one_document_and_nothing_else_and_flags_have_two_spellings(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = []
    for name, flags in {"a": ("--batch_size", "300"), "b": ("--batch-size=2000",)}.items():
        assert run("measure", folder, *GENBIAS, "--json", "--out", tmp_path / name, *flags) == 0
        captured = capsys.readouterr()
        document = json.loads(captured.out)
        assert document["equipoise"]["benchmarks"]["genbias"]["limit"] == 30
        assert "results are in" in captured.err
        assert (tmp_path / name / "results.json").is_file()
        values.append(document["results"]["genbias"]["afgb,none"])
    assert values[0] == pytest.approx(values[1], abs=1e-6)


@pytest.mark.parametrize(("flag", "most"), [("--seed", 4294967295), ("--draws", 100000)])
def test_too_large_numbers(flag: str, most: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("measure", "nowhere", "genbias", flag, most + 1) == 2
    message = f"'{flag}': Input should be less than or equal to {most}"
    assert message in " ".join(capsys.readouterr().err.split())


def test_memory_error_is_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 65 TiB")

    monkeypatch.setattr(cli, "app", full)
    assert run("list") == 2
    message = (
        "error: this must fit into memory, got: Unable to allocate 65 TiB; ask for less at once"
    )
    assert capsys.readouterr().err.strip() == message


@pytest.mark.thorough
def test_the_whole_job_from_measure_to_page(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, edit, after = (tmp_path / name for name in ("before", "edit", "after"))
    world = ("--data", "planted:default")
    assert run("measure", folder, *GENBIAS, "--out", before) == 0
    capsys.readouterr()
    assert run("locate", folder, *world, "--json", "--set", "block_influence.draws=10") == 0
    ranking = json.loads(capsys.readouterr().out)
    assert sorted(ranking["order"]) == [0, 1]
    fit = ("--set", "lftf.epochs=1", "--set", "lftf.learning_rate=0.001")
    assert run("mitigate", folder, "lftf", "--out", edit, *world, *fit) == 0
    assert run("measure", edit, *GENBIAS, "--out", after) == 0
    capsys.readouterr()
    page = tmp_path / "page.html"
    assert run("compare", before, after, "--html", page, "--draws", 50) == 0
    out = capsys.readouterr().out
    assert "afgb: " in out
    assert "→" in out
    assert "afgb" in page.read_text()


@pytest.mark.thorough
def test_help_and_list_need_no_torch() -> None:
    code = (
        "import sys; from equipoise.cli import run\n"
        "assert run(['--help']) == 0 and run(['measure', '--help']) == 0\n"
        "assert run(['list']) == 0\n"
        "assert not {'torch', 'transformers', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "stereoset" in done.stdout
    assert "block_influence" in done.stdout
    assert "lftf" in done.stdout


@pytest.mark.thorough
def test_list_is_json_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--json") == 0
    installed = json.loads(capsys.readouterr().out)
    assert installed["benchmark"]["crows_pairs"]
    kinds = {"benchmark", "judge", "supply", "locator", "attributor", "mitigation", "scorer"}
    assert set(installed) == {*kinds, "null"}


@pytest.mark.thorough
def test_an_interrupted_process_leaves_no_traceback() -> None:
    code = (
        "import os, signal, sys; from equipoise import cli, describe\n"
        # a shell that starts pytest in the background has SIGINT ignored in all its children
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "describe.names_in = lambda _: os.kill(os.getpid(), signal.SIGINT) or ()\n"
        "sys.argv = ['equipoise', 'list']; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
