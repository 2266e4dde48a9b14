"""Files of a model: found here or on the Hub, fingerprinted, and every fault named."""

import json
import os
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from equipoise.errors import ModelError
from equipoise.loading.checkpoint import content_sha256, find_checkpoint, read_config
from equipoise.loading.load import load
from equipoise.testing import tiny_model

COMMIT = "607a30d783dfa663caf39e06633721c8d4cfcd7e"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def saved(folder: Path, family: str = "gpt2", *, shard: str = "1GB") -> Path:
    model = tiny_model(family)
    model.module.save_pretrained(folder, max_shard_size=shard)
    model.tokenizer.save_pretrained(folder)
    return folder


def hub(tmp_path: Path, repository: str = "tiny/gpt2") -> Path:
    """A repository in the Hub's local cache, as a download leaves it."""
    place = tmp_path / "hub" / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    return saved(place / "snapshots" / COMMIT)


def test_a_folder_is_named_by_its_content(tmp_path: Path) -> None:
    first = find_checkpoint(str(saved(tmp_path / "one")), revision=None)
    same = find_checkpoint(str(saved(tmp_path / "two")), revision=None)
    assert first.revision == same.revision == content_sha256(tmp_path / "one")
    assert first.identity == f"one@{first.revision[:8]}"
    (tmp_path / "one" / "notes.md").write_text("nothing that a model is made of")
    assert content_sha256(tmp_path / "one") == first.revision
    weights = load_file(tmp_path / "one" / "model.safetensors")
    weights["transformer.ln_f.bias"] += 1
    save_file(weights, tmp_path / "one" / "model.safetensors", metadata={"format": "pt"})
    assert content_sha256(tmp_path / "one") != first.revision


def sharded(folder: Path, seed: int, pattern: str = "model.safetensors-{:05}-of-00002") -> Path:
    """Two shards whose names are what the index says, as Qwen 3.5's are."""
    model = tiny_model("gpt2", seed=seed)
    model.tokenizer.save_pretrained(folder)
    model.module.config.save_pretrained(folder)
    weights = {name: value.clone() for name, value in model.module.state_dict().items()}
    del weights["lm_head.weight"]  # tied
    names = [f"{pattern.format(number)}.safetensors" for number in (1, 2)]
    parts = {names[index]: sorted(weights)[index::2] for index in (0, 1)}
    for file, part in parts.items():
        save_file({name: weights[name] for name in part}, folder / file, metadata={"format": "pt"})
    places = {name: file for file, part in parts.items() for name in part}
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {}, "weight_map": places})
    )
    return folder


@pytest.mark.thorough
@pytest.mark.parametrize("pattern", ["model.safetensors-{:05}-of-00002", "part{}", "pytorch_{}"])
def test_weights_are_those_that_the_index_names(tmp_path: Path, pattern: str) -> None:
    first, second = (sharded(tmp_path / f"{seed}" / "m", seed, pattern) for seed in (1, 2))
    (first / "consolidated.safetensors").write_bytes(b"of another program")
    assert load(str(first)).identity != load(str(second)).identity
    (first / "consolidated.safetensors").write_bytes(b"and not read")
    assert content_sha256(first) == find_checkpoint(str(first), revision=None).revision
    weights = load(str(second)).module.state_dict()
    expected = tiny_model("gpt2", seed=2).module.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


@pytest.mark.thorough
def test_weights_are_those_that_the_configuration_names(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    (folder / "model.safetensors").rename(folder / "mine.safetensors")
    config = json.loads((folder / "config.json").read_text())
    config["transformers_weights"] = "mine.safetensors"
    (folder / "config.json").write_text(json.dumps(config))
    before = load(str(folder)).identity
    weights = load_file(folder / "mine.safetensors")
    weights["transformer.ln_f.bias"] += 1
    save_file(weights, folder / "mine.safetensors", metadata={"format": "pt"})
    assert load(str(folder)).identity != before


def test_a_file_of_the_same_size_and_time_is_hashed_anew(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    before, path = content_sha256(folder), folder / "generation_config.json"
    about, text = path.stat(), path.read_text()
    path.unlink()
    path.write_text(text.swapcase())
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert content_sha256(folder) != before


@pytest.mark.thorough
def test_a_folder_is_loaded_by_the_name_that_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "one")
    monkeypatch.chdir(tmp_path)
    identity = load("one").identity
    assert load(identity).identity == identity
    (folder / "generation_config.json").write_text("{}")
    with pytest.raises(ModelError, match=f"must have the fingerprint '{identity[4:]}', got"):
        load(identity)


def test_a_folder_with_such_an_ending_is_itself(tmp_path: Path) -> None:
    saved(tmp_path / "my")
    folder = saved(tmp_path / "my@abcdef12", "opt")
    assert find_checkpoint(str(folder), revision=None).folder == folder


def test_an_adapter_beside_an_index_is_an_adapter(tmp_path: Path) -> None:
    folder = hub(tmp_path)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text('{"weight_map": {"a": "x.safetensors"}}')
    (folder / "adapter_config.json").write_text("{}")
    assert find_checkpoint("tiny/gpt2", revision=None).folder == folder


def test_a_cache_without_any_weights_says_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (hub(tmp_path) / "model.safetensors").unlink()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"lacks model\.safetensors; unset HF_HUB_OFFLINE"):
        load("tiny/gpt2")


def test_hashes_are_kept_until_a_file_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "one")
    expected = content_sha256(folder)
    entries = sorted((tmp_path / "cache" / "sha256").iterdir())
    assert len(entries) == 5  # weights, two configurations, two tokenizer files
    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", lambda *_: pytest.fail("hashed again"))
        assert content_sha256(folder) == expected
    entries[0].write_text("not a hash")
    assert content_sha256(folder) == expected
    (folder / "config.json").write_text("{}")
    assert content_sha256(folder) != expected


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "one")
    expected = content_sha256(folder)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "file"))
    assert content_sha256(folder) == expected


@pytest.mark.thorough
def test_a_hub_id_is_named_by_its_commit(tmp_path: Path) -> None:
    hub(tmp_path)
    for name, revision in (
        ("tiny/gpt2", None),
        ("tiny/gpt2@main", None),
        ("tiny/gpt2", COMMIT),
        (f"tiny/gpt2@{COMMIT}", COMMIT),
        ("tiny/gpt2@607a30d", None),  # as it is printed
    ):
        model = load(name, revision=revision)
        assert model.identity == "tiny/gpt2@607a30d"
        assert model.source["revision"] == COMMIT
        assert model.load_name == f"tiny/gpt2@{COMMIT}"


@pytest.mark.thorough
def test_a_hub_model_is_whole_or_what_it_lacks_is_named(tmp_path: Path) -> None:
    folder = hub(tmp_path)
    (folder / "model.safetensors").unlink()
    sharded(folder, 3)
    assert load("tiny/gpt2").identity == "tiny/gpt2@607a30d"
    (folder / "model.safetensors-00002-of-00002.safetensors").unlink()
    with pytest.raises(ModelError, match=r"it lacks model.safetensors-00002-of-00002.safetensors"):
        load("tiny/gpt2")


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        (
            "no/such",
            None,
            r"'no/such' must be a folder here, in the Hub's local cache",
        ),
        ("tiny/gpt2", "v9", r"'tiny/gpt2@v9' must be a folder here, in the Hub's local cache"),
        ("tiny/gpt2@main", "v9", r"got 'main' in the name and 'v9' beside it"),
        ("a b", None, r"must be 'name' or 'owner/name', got 'a b'"),
        ("./nowhere", None, r"a model folder must exist, \./nowhere is none"),
        ("a/b/c", None, r"a model folder must exist, a/b/c is none"),
    ],
)
def test_unknown_names(tmp_path: Path, name: str, revision: str | None, message: str) -> None:
    hub(tmp_path)
    with pytest.raises(ModelError, match=message):
        find_checkpoint(name, revision=revision)


def test_a_file_is_no_folder_and_a_folder_has_no_revision(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="a model folder must exist"):
        find_checkpoint(str(tmp_path / "file"), revision=None)
    with pytest.raises(ModelError, match="must be of a Hub id, got 'main'"):
        find_checkpoint(str(saved(tmp_path / "one")), revision="main")


def refused(folder: Path, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load(str(folder))


def test_pickled_weights_are_refused_with_a_remedy(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    assert load(str(folder)).kind == "causal"  # both: the safe one is used
    (folder / "model.safetensors").unlink()
    refused(folder, r"got pytorch_model\.bin; .* save it with save_pretrained")


def test_missing_weights_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    (folder / "model.safetensors").unlink()
    refused(folder, "must have safetensors weights, got none")


@pytest.mark.parametrize("keep", [0, 400, -100])
def test_truncated_weights_are_refused(tmp_path: Path, keep: int) -> None:
    path = saved(tmp_path / "one") / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(tmp_path / "one", "one must load .* SafetensorError: .* cut short")


def test_empty_weights_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    save_file({}, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, "must hold every weight of GPT2LMHeadModel")


@pytest.mark.thorough
def test_sharded_weights_load_and_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one", shard="20KB")
    shards = sorted(folder.glob("model-*-of-*.safetensors"))
    assert len(shards) > 2
    whole, parts = load(str(saved(tmp_path / "two"))), load(str(folder))
    for name, values in whole.module.state_dict().items():
        assert torch.equal(parts.module.state_dict()[name], values)
    shards[1].unlink()
    refused(folder, rf"FileNotFoundError: .*{shards[1].name}")
    (folder / "model.safetensors.index.json").write_text("{}")
    refused(folder, "must load .* 'weight_map'")


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "one")
    for path in folder.glob("tokenizer*"):
        path.unlink()
    refused(folder, "must have a tokenizer")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"config\.json' must be there"),
        ('{"model_type', r"config\.json must be JSON"),
        ("[]", r"config\.json must hold an object, got list"),
    ],
)
def test_a_damaged_configuration_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    folder = saved(tmp_path / "one")
    (folder / "config.json").unlink()
    if text is not None:
        (folder / "config.json").write_text(text)
    checkpoint = find_checkpoint(str(folder), revision=None)
    with pytest.raises(ModelError, match=message):
        read_config(checkpoint)


def test_the_configuration_is_read(tmp_path: Path) -> None:
    checkpoint = find_checkpoint(str(saved(tmp_path / "one")), revision=None)
    assert read_config(checkpoint) == json.loads((tmp_path / "one" / "config.json").read_text())
