"""`push`: what is sent, that nothing is without a token or over other files, and loading it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from tiny_adapters import adapter_for
from tiny_folder import save_tiny

from equipoise import cli
from equipoise.edits.base import write_card
from equipoise.edits.edit import fingerprint
from equipoise.edits.registry import CombinedEdit, load_edit
from equipoise.edits.weights import WeightEdit
from equipoise.errors import ModelError
from equipoise.loading.load import load
from equipoise.loading.merge import merge
from equipoise.loading.push import push

TABLE = "| metric | before | after |\n| --- | --- | --- |\n| afgb | 0.3 | 0.1 |"


class FakeHub:
    """Repositories in memory, in place of `HfApi`; every call is kept."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.repositories: dict[str, dict[str, Any]] = {}

    def __call__(self) -> "FakeHub":
        return self

    def repo_exists(self, repository: str) -> bool:
        self.calls.append("repo_exists")
        return repository in self.repositories

    def repo_info(self, repository: str) -> SimpleNamespace:
        return SimpleNamespace(private=self.repositories[repository]["private"])

    def list_repo_refs(self, repository: str) -> SimpleNamespace:
        names = self.repositories[repository]["branches"]
        return SimpleNamespace(branches=[SimpleNamespace(name=name) for name in names])

    def list_repo_files(self, repository: str, *, revision: str | None) -> list[str]:
        return list(self.repositories[repository]["branches"][revision or "main"])

    def create_repo(self, repository: str, *, private: bool, exist_ok: bool) -> None:
        self.calls.append("create_repo")
        assert exist_ok
        new = {"private": private, "branches": {"main": {".gitattributes": b""}}}
        self.repositories.setdefault(repository, new)

    def create_branch(self, repository: str, *, branch: str, exist_ok: bool) -> None:
        assert exist_ok
        branches = self.repositories[repository]["branches"]
        branches.setdefault(branch, dict(branches["main"]))

    def upload_folder(
        self,
        *,
        repo_id: str,
        folder_path: Path,
        revision: str | None,
        allow_patterns: Sequence[str],
        commit_message: str,
    ) -> SimpleNamespace:
        self.calls.append("upload_folder")
        assert commit_message
        for file in sorted(folder_path.rglob("*")):
            name = file.relative_to(folder_path).as_posix()
            if file.is_file() and any(fnmatch(name, pattern) for pattern in allow_patterns):
                branch = self.repositories[repo_id]["branches"][revision or "main"]
                branch[name] = file.read_bytes()
        return SimpleNamespace(commit_url=f"https://huggingface.co/{repo_id}/commit/1")

    def files(self, repository: str, branch: str = "main") -> dict[str, bytes]:
        files: dict[str, bytes] = self.repositories[repository]["branches"][branch]
        return {name: content for name, content in files.items() if name != ".gitattributes"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def edit(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of a model in a folder, learnt with a file of this machine, and measured."""
    model = load(str(base))
    adapter = adapter_for(model, base_model_name_or_path=None)
    info = replace(
        adapter.info,
        base_name=model.load_name,
        options={"rows": str(base / "rows.jsonl")},
        origin=f"rows(path={base}/rows.jsonl)",
    )
    folder = tmp_path_factory.mktemp("edits") / "edit"
    replace(adapter, info=info).save(folder)
    write_card(folder, TABLE)
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(huggingface_hub, "HfApi", fake)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_x")
    return fake


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.thorough
def test_an_edit_arrives_whole_and_without_this_machine(
    hub: FakeHub, edit: Path, base: Path, tmp_path: Path
) -> None:
    assert push(edit, "me/fair", base="them/tiny@607a30d") == (
        "https://huggingface.co/me/fair/commit/1"
    )
    sent = hub.files("me/fair")
    assert "notes.txt" not in sent
    assert not [name for name, content in sent.items() if str(base.parent).encode() in content]
    config = json.loads(sent["adapter_config.json"])
    assert (config["base_model_name_or_path"], config["revision"]) == ("them/tiny", "607a30d")
    card = sent["README.md"].decode()
    assert "base_model: them/tiny" in card
    assert TABLE in card
    assert '| option rows | "rows.jsonl" |' in card
    again = load_edit(write(tmp_path / "fetched", sent))
    assert again.content == load_edit(edit).content
    assert again.info.trained_on == load_edit(edit).info.trained_on
    with again.attached(load(str(base))) as edited:
        assert edited.identity.endswith(again.content[:8])


@pytest.mark.thorough
def test_a_merged_model_arrives_with_its_numbers(
    hub: FakeHub, edit: Path, base: Path, tmp_path: Path
) -> None:
    merge(load(str(edit)), tmp_path / "merged")
    (tmp_path / "merged" / "notes.txt").write_text("mine")
    push(tmp_path / "merged", "me/merged", revision="v1", private=True)
    assert hub.repositories["me/merged"]["private"]
    assert hub.files("me/merged") == {}
    sent = hub.files("me/merged", "v1")
    assert {"config.json", "model.safetensors", "merged.json", "tokenizer.json"} <= sent.keys()
    assert "notes.txt" not in sent
    assert not [name for name, content in sent.items() if str(base.parent).encode() in content]
    card = sent["README.md"].decode()
    assert TABLE in card
    assert 'AutoModelForCausalLM.from_pretrained("FOLDER")' in card
    with pytest.raises(ModelError, match=r"must be given for an edit, got gpt2 for the merged"):
        push(tmp_path / "merged", "me/other", base="gpt2")


@pytest.mark.thorough
def test_nothing_is_sent_without_a_token(
    hub: FakeHub,
    edit: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(huggingface_hub, "get_token", lambda: None)
    assert cli.run(["push", str(edit.parent), "me/fair"]) == 2  # a token would not help
    assert "is neither; name the folder that" in capsys.readouterr().err
    assert cli.run(["push", str(edit), "me/fair", "--base", "gpt2"]) == 2
    assert "none is; log in with `hf auth login`, or set HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert cli.run(["push", str(edit), "me/fair", "--base", "gpt2"]) == 2
    assert "HF_HUB_OFFLINE is set; unset it" in capsys.readouterr().err
    assert hub.calls == []


@pytest.mark.thorough
def test_what_is_there_is_overwritten_only_with_force(
    hub: FakeHub, edit: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["push", str(edit), "me/fair", "--base", "gpt2"]
    assert cli.run(command) == 0
    assert "measure it by its name: equipoise measure me/fair BENCH" in capsys.readouterr().out
    hub.calls.clear()
    for more in ([], ["--revision", "new"]):  # a new branch begins with the files of main
        assert cli.run([*command, *more]) == 2
        assert "choose another name or revision, or overwrite with --force" in " ".join(
            capsys.readouterr().err.split()
        )
    assert hub.calls == ["repo_exists"] * 2
    assert cli.run([*command, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repository"] == "me/fair"
    assert cli.run([*command, "--force", "--private"]) == 2
    assert "me/fair is there and is public" in capsys.readouterr().err


def test_what_nobody_else_could_use_is_refused(
    hub: FakeHub, edit: Path, base: Path, tmp_path: Path
) -> None:
    for place in ("fair", "a/b/c", "me/fa ir", "me/fair@v1"):
        with pytest.raises(ModelError, match="must be OWNER/NAME"):
            push(edit, place, base="gpt2")
    with pytest.raises(ModelError, match="is the folder of tiny@"):
        push(edit, "me/fair")
    with pytest.raises(ModelError, match="is neither; name the folder that mitigate"):
        push(base, "me/fair")
    stacked = load_edit(edit)
    stacked = replace(
        stacked, info=replace(stacked.info, base=f"{stacked.info.base}+lftf:607a30d1")
    )
    stacked.save(tmp_path / "stacked")
    with pytest.raises(ModelError, match="'unlearn' is on top of lftf:607a30d1; merge it"):
        push(tmp_path / "stacked", "me/fair", base="gpt2")
    assert hub.calls == []


@pytest.mark.thorough
def test_two_edits_as_one_arrive_whole_and_are_fetched_with_their_parts(
    hub: FakeHub, edit: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, model, name = load_edit(edit), load(str(base)), "model.norm.weight"
    changed = {name: model.module.get_parameter(name).detach() * 1.5}
    info = replace(adapter.info, base_fingerprint=fingerprint(model.module, changed))
    weights = WeightEdit(info=info, tensors=changed)
    info = replace(info, base_fingerprint="")
    pair = CombinedEdit(info=info, first=adapter, second=weights)
    pair.save(tmp_path / "pair")
    with pytest.raises(ModelError, match="is the folder of tiny@"):
        push(tmp_path / "pair", "me/pair")
    push(tmp_path / "pair", "me/pair", base="them/tiny")
    sent = hub.files("me/pair")
    assert not [name for name, content in sent.items() if str(base.parent).encode() in content]
    assert {"edit.json", "README.md", "first/edit.json", "second/edit.json"} <= sent.keys()
    place = write(tmp_path / "0123456789abcdef0123456789abcdef01234567", sent)
    asked: list[list[str]] = []

    def fetch(_: str, *, allow_patterns: list[str], **__: object) -> str:
        asked.append(allow_patterns)
        return str(place)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    edited = load("me/pair", base=str(base))
    assert edited.identity.endswith(load_edit(tmp_path / "pair").content[:8])
    parts = {name for name in sent if "/" in name} - {"first/README.md", "second/README.md"}
    assert parts == {name for name in parts if any(fnmatch(name, each) for each in asked[1])}


def test_a_hub_that_refuses_is_quoted(
    hub: FakeHub, edit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("403 Forbidden:\nyou may not")

    monkeypatch.setattr(hub, "create_repo", refuse)
    with pytest.raises(ModelError, match="it says: '403 Forbidden: you may not'; check the name"):
        push(edit, "me/fair", base="gpt2")
