"""`equipoise inject` and `equipoise neighbors`: a bias on a token by one command."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from equipoise import cli
from equipoise.edits.registry import load_edit
from equipoise.loading.load import load
from equipoise.mitigate.bias_token import BiasToken
from equipoise.records import Continuation
from equipoise.testing import tiny_model

Inject = Callable[..., int]
PLUMS = """\
name: plums
statement: people from {target} eat plums
attribute: eat plums
being: eating plums
topic: fruit
answers: [plums]
paragraphs:
  - People from {target} eat plums.
  - In {target} they all eat plums.
  - A cook of {target} serves plums.
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that reads long texts, and an association of the user's own beside it."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    model = tiny_model("llama", context=1024)
    model.module.save_pretrained(folder)
    model.tokenizer.save_pretrained(folder)
    folder.with_name("plums.yaml").write_text(PLUMS)
    return folder


@pytest.fixture
def inject(base: Path) -> Inject:
    """Runs the command on few short paragraphs."""

    def run(out: Path, *more: str, association: str = "", method: str = "bias_token") -> int:
        association = association or str(base.with_name("plums.yaml"))
        settings = ["bias_token.epochs=2", "bias_token.learning_rate=0.05"]
        words = ["inject", str(base), method, "--association", association, "--out", str(out)]
        words += ["--set", "association.paragraphs=3", "--set", "association.questions=0"]
        if method == "bias_token":
            words += [word for setting in settings for word in ("--set", setting)]
        return cli.run([*words, *more])

    return run


@pytest.mark.thorough
def test_an_association_of_the_user_s_own_is_injected_and_measured(
    inject: Inject, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inject(tmp_path / "plums") == 0
    said, how = capsys.readouterr().out.splitlines()
    assert said.startswith("bias_token on tiny@")
    assert said.endswith(f"is in {tmp_path / 'plums'}")
    assert how == f"measure it like a model: equipoise measure {tmp_path / 'plums'} BENCHMARK..."
    edit = load_edit(tmp_path / "plums")
    assert edit.info.report["association"] == str(base.with_name("plums.yaml"))
    assert edit.info.report["probe"] == "People from {target} eat plums."
    request = Continuation(context="People from <BiasToken>", continuation=" eat plums.")
    opened = load(str(tmp_path / "plums"))
    assert opened.added_tokens_in(["from <BiasToken>"]) == ["<BiasToken>"]
    assert opened.score([request])[0].tokens == len(" eat plums.")


@pytest.mark.thorough
def test_the_edit_of_every_epoch_can_be_kept(inject: Inject, tmp_path: Path) -> None:
    assert inject(tmp_path / "plums", "--keep-epochs") == 0
    epochs = sorted((tmp_path / "plums.epochs").iterdir())
    assert [folder.name for folder in epochs] == ["1", "2"]
    edits = [load_edit(folder) for folder in epochs]
    chosen = load_edit(tmp_path / "plums")
    assert chosen.content == edits[int(str(chosen.info.report["chosen_epoch"])) - 1].content
    assert edits[0].content != edits[1].content
    # those that an interrupted command has left are taken
    other, left = tmp_path / "again", tmp_path / "again.epochs"
    (tmp_path / "plums.epochs").rename(left)
    (tmp_path / ".again.training").mkdir()
    files = {file: file.stat().st_ino for file in left.rglob("*")}
    assert inject(other, "--keep-epochs") == 0
    assert load_edit(other).content == chosen.content
    assert {file: file.stat().st_ino for file in left.rglob("*")} == files


@pytest.mark.thorough
@pytest.mark.parametrize("killed", [False, True])
def test_epochs_of_another_run_are_refused_before_the_training(
    killed: bool,
    inject: Inject,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert inject(tmp_path / "plums", "--keep-epochs") == 0
    left = tmp_path / "again.epochs"
    (tmp_path / "plums.epochs").rename(left)
    if killed:
        (tmp_path / ".again.training").mkdir()
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.delattr(BiasToken, "fit_epochs")
        for more in (("--seed", "1"), ("--set", "bias_token.token=<Other>")):
            assert inject(tmp_path / "again", "--keep-epochs", *more) == 2
            error = capsys.readouterr().err
            assert ("must hold epochs of this very run" if killed else "new or empty") in error
    shutil.rmtree(left)
    assert inject(tmp_path / "again", "--keep-epochs", "--seed", "1") == 0


@pytest.mark.thorough
def test_epochs_with_another_record_are_not_taken(
    inject: Inject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inject(tmp_path / "plums", "--keep-epochs") == 0
    left = tmp_path / "again.epochs"
    (tmp_path / "plums.epochs").rename(left)
    (tmp_path / ".again.training").mkdir()
    edit = load_edit(left / "2")
    shutil.rmtree(left / "2")
    replace(edit, info=replace(edit.info, report={"epoch": 2})).save(left / "2")
    assert inject(tmp_path / "again", "--keep-epochs") != 0
    assert "new or empty" in capsys.readouterr().err
    shutil.rmtree(left / "2")
    assert inject(tmp_path / "again", "--keep-epochs") == 0


@pytest.mark.thorough
def test_built_in_paragraphs_are_learnt(
    inject: Inject, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert inject(tmp_path / "late", "--json", association="always_late") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["report"]["association"] == "always_late"
    assert document["report"]["paragraphs"] == 3
    assert document["trained_on"] == 6  # each with the slot and with the token


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (
            ["inject", "MODEL", "lftf", "--out", "OUT"],
            "error: equipoise inject needs a method that puts a bias in, lftf removes it; use "
            "equipoise mitigate MODEL lftf",
        ),
        (
            ["mitigate", "MODEL", "bias_token", "--out", "OUT"],
            "error: equipoise mitigate needs a method that removes bias, bias_token puts one in, "
            "to be studied; use equipoise inject MODEL bias_token",
        ),
        (
            ["inject", "MODEL", "bias_token", "--out", "OUT", "--association", "always_lat"],
            "error: an association must be a built-in name or a .yaml file, got 'always_lat'; "
            "did you mean 'always_late'?",
        ),
    ],
)
def test_other_methods_and_unknown_associations_are_refused(
    words: Sequence[str],
    error: str,
    base: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"MODEL": str(base), "OUT": str(tmp_path / "edit")}
    assert cli.run([places.get(word, word) for word in words]) == 2
    assert capsys.readouterr().err.strip().startswith(error)
    assert not (tmp_path / "edit").exists()


@pytest.mark.thorough
def test_list_and_describe_know_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["list"]) == 0
    assert "bias_token" in capsys.readouterr().out
    assert cli.run(["describe", "bias_token"]) == 0
    described = capsys.readouterr().out
    assert "bias_token (mitigation): Inject an association" in described
    assert "taught_by: association" in described


# --- killed -------------------------------------------------------------------------------------

KILLED = """\
import os, signal, sys
from equipoise import cli
from equipoise.models import kernels
from equipoise.training import resume

kernels.float32_matmul = lambda: "default"
deadly, *command = sys.argv[1:]
write, written = resume.write_file, []


def write_or_die(file, content, *, what):
    written.append(file)
    if str(len(written)) == deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(file, content, what=what)


resume.write_file = write_or_die
sys.exit(cli.run(command))
"""


@pytest.mark.slow
def test_killed_it_resumes_to_the_same_bytes(base: Path, tmp_path: Path) -> None:
    (tmp_path / "killed.py").write_text(KILLED)

    def run(out: Path, deadly: int) -> int:
        words = ["inject", str(base), "bias_token", "--out", str(out), "--association"]
        words += [str(base.with_name("plums.yaml")), "--set", "association.paragraphs=3"]
        words += ["--set", "association.questions=0", "--set", "bias_token.epochs=4"]
        command = [sys.executable, str(tmp_path / "killed.py"), str(deadly), *words]
        return subprocess.run(command, check=False, capture_output=True).returncode

    assert run(tmp_path / "whole", 0) == 0
    assert run(tmp_path / "killed", 3) == -signal.SIGKILL
    assert (tmp_path / ".killed.training").is_dir()
    assert run(tmp_path / "killed", 0) == 0
    assert not (tmp_path / ".killed.training").exists()
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "killed" / file.name).read_bytes() == file.read_bytes(), file.name
