"""The cache: found again, equal, and taught anew when it was damaged."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from equipoise.errors import StoreError
from equipoise.planted import teaching
from equipoise.planted.batches import train_tokenizer
from equipoise.planted.model import cache_key, is_whole, taught
from equipoise.planted.teaching import Budget, untaught
from equipoise.planted.world import World, find_world

SMALL = Budget(width=16, blocks=1, heads=2, sentences=64, batch=32)
WORLD = find_world("default")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a teacher who is done at once: what is taught is tested elsewhere."""

    def teach(
        world: World, budget: Budget, *, seed: int
    ) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
        print(f"teaching {world.name}", file=sys.stderr)
        tokenizer = train_tokenizer([f"{fact.prompt} {fact.answer}." for fact in world.facts])
        return untaught(tokenizer, budget, seed=seed).eval(), tokenizer

    monkeypatch.setattr(teaching, "teach", teach)
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path))
    return tmp_path / "planted"


@pytest.mark.thorough
def test_a_second_load_is_read_from_the_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, tokenizer, key = taught(WORLD, SMALL, seed=0)
    assert is_whole(cache / key)
    assert [path.name for path in cache.iterdir()] == [key]  # nothing is left beside it

    def never(*_: object, **__: object) -> None:
        raise AssertionError("the model is in the cache")

    monkeypatch.setattr(teaching, "teach", never)
    second, again, same = taught(WORLD, SMALL, seed=0)
    assert same == key
    assert tokenizer.get_vocab() == again.get_vocab()
    assert again.bos_token_id == tokenizer.bos_token_id is not None
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])


@pytest.mark.thorough
@pytest.mark.parametrize("damage", ["change", "remove", "hashes"])
def test_a_damaged_model_is_taught_again(
    cache: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, _, key = taught(WORLD, SMALL, seed=0)
    weights = cache / key / "model.safetensors"
    if damage == "change":
        content = bytearray(weights.read_bytes())
        content[-1] ^= 1
        weights.write_bytes(bytes(content))
    elif damage == "remove":
        (cache / key / "tokenizer.json").unlink()
    else:
        (cache / key / "done.json").write_text("{")
    assert not is_whole(cache / key)
    second, _, _ = taught(WORLD, SMALL, seed=0)
    assert is_whole(cache / key)
    stderr = capsys.readouterr().err
    assert "is not whole" in stderr
    assert stderr.count("teaching default") == 2
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name])


@pytest.mark.thorough
def test_the_key_covers_world_budget_and_seed() -> None:
    keys = {
        cache_key(WORLD, SMALL, seed=0),
        cache_key(WORLD, SMALL, seed=1),
        cache_key(WORLD, replace(SMALL, rate=1e-4), seed=0),
        cache_key(find_world("strength=0.5"), SMALL, seed=0),
    }
    assert len(keys) == 4
    assert cache_key(WORLD, SMALL, seed=0) in keys


@pytest.mark.usefixtures("cache")
def test_a_cache_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQUIPOISE_CACHE", str(tmp_path / "file"))
    with pytest.raises(StoreError, match="EQUIPOISE_CACHE"):
        taught(WORLD, SMALL, seed=0)
