"""The covariance: that of a plain pass, in one pass for all blocks, resumable, and regular."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing import covariance as room
from equipoise.model_editing.covariance import Covariance, covariances, identity
from equipoise.models.anatomy import mlp_output
from equipoise.models.tokenization import Marked, encode
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

TEXTS = [f"The door of house {number} is {'open ' * (number % 4)}." for number in range(12)]


def plain(model: LanguageModel, block: int) -> Tensor:
    """Text by text, in float64."""
    rows: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        rows.append(args[0].reshape(-1, args[0].shape[-1]).double())

    handle = mlp_output(model.module, block).register_forward_pre_hook(keep)
    for tokens in encode(model.tokenizer, [Marked(t, 0, 0) for t in TEXTS], specials=False):
        with torch.no_grad():
            model.module(input_ids=torch.tensor([[model.start_token_id, *tokens.ids]]))
    handle.remove()
    keys = torch.cat(rows)
    return keys.T @ keys / len(keys)


@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
def test_it_is_the_mean_outer_product_of_a_plain_pass(family: str, tmp_path: Path) -> None:
    model = tiny_model(family)
    both = covariances(model, (0, 1), TEXTS, folder=tmp_path)
    for block, covariance in both.items():
        expected = plain(model, block)
        moment = covariance.second_moment
        assert torch.equal(moment, moment.T)
        torch.testing.assert_close(moment.double(), expected, rtol=1e-5, atol=1e-5)
    assert both[0].tokens == sum(len(text) + 1 for text in TEXTS)
    assert sorted(file.suffix for file in tmp_path.iterdir()) == [".safetensors"] * 2


def test_it_is_read_again_and_another_corpus_or_model_has_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    first = covariances(model, (0,), TEXTS, folder=tmp_path)[0]
    covariances(model, (0,), TEXTS[1:], folder=tmp_path)
    covariances(tiny_model(seed=1), (0,), TEXTS, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 3
    monkeypatch.setattr(room, "_pass", None)  # no further pass is made
    again = covariances(model, (0,), TEXTS[::-1], folder=tmp_path)[0]
    assert torch.equal(first.second_moment, again.second_moment)


def test_a_pass_that_was_killed_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    monkeypatch.setattr(room, "_TOKENS", 64)
    whole = covariances(model, (0, 1), TEXTS, folder=tmp_path / "whole")
    passes = 0
    kept = room._write

    def write_then_die(*args: object) -> None:
        nonlocal passes
        kept(*args)  # type: ignore[arg-type]
        passes += 1
        if passes == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(room, "_write", write_then_die)
    killed = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        covariances(model, (0, 1), TEXTS, folder=killed, keep_seconds=0.0)
    assert [file.name.endswith(".partial.safetensors") for file in killed.iterdir()] == [True]
    monkeypatch.setattr(room, "_write", kept)
    runs: list[Path] = []
    for folder in (tmp_path / "anew", killed):
        handle = model.module.register_forward_pre_hook(lambda *_, f=folder: runs.append(f))
        resumed = covariances(model, (0, 1), TEXTS, folder=folder)
        handle.remove()
    assert runs.count(killed) == runs.count(tmp_path / "anew") - 3
    for block in (0, 1):
        assert torch.equal(whole[block].second_moment, resumed[block].second_moment)
    assert not list(killed.glob("*.partial.*"))


def test_two_passes_at_once_have_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    monkeypatch.setattr(room, "_TOKENS", 64)
    alone = covariances(model, (0, 1), TEXTS, folder=tmp_path / "alone")
    kept = room._write
    others: list[dict[int, Covariance] | None] = []

    def write_while_another_runs(*args: object) -> None:
        kept(*args)  # type: ignore[arg-type]
        if not others:  # a second process, which goes on from these sums and removes them
            others.append(None)
            others[0] = covariances(model, (0, 1), TEXTS, folder=tmp_path, keep_seconds=0.0)

    monkeypatch.setattr(room, "_write", write_while_another_runs)
    first = covariances(model, (0, 1), TEXTS, folder=tmp_path, keep_seconds=0.0)
    for moments in (first, others[0]):
        assert moments is not None
        for block in (0, 1):
            assert torch.equal(moments[block].second_moment, alone[block].second_moment)
    assert not list(tmp_path.glob("*.partial.*"))


def test_damaged_sums_of_a_killed_pass_are_begun_anew(tmp_path: Path) -> None:
    model = tiny_model()
    whole = covariances(model, (0,), TEXTS, folder=tmp_path)[0]
    (file,) = tmp_path.iterdir()
    partial = file.with_name(file.name.replace(".safetensors", ".partial.safetensors"))
    file.unlink()
    partial.write_bytes(b"cut")
    again = covariances(model, (0,), TEXTS, folder=tmp_path)[0]
    assert torch.equal(whole.second_moment, again.second_moment)
    assert not partial.exists()


def test_a_singular_one_is_shrunk_and_says_so() -> None:
    few = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    regular, share = Covariance(second_moment=few.T @ few / 3, tokens=3).regular()
    mean = float((few.T @ few / 3).diagonal().mean())
    assert share == 1e-4
    torch.testing.assert_close(
        regular - (few.T @ few / 3).double(), share * mean * torch.eye(8, dtype=torch.float64)
    )
    exact, none = identity(4).regular()
    assert none == 0.0
    assert torch.equal(exact, torch.eye(4, dtype=torch.float64))
    for moment in (torch.zeros(2, 2), torch.full((2, 2), torch.nan)):
        with pytest.raises(ModelError, match="must be finite and not 0"):
            Covariance(second_moment=moment, tokens=1).regular()


def test_a_damaged_file_and_texts_without_tokens_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    with pytest.raises(ModelError, match=r"needs texts with a token .* got 2 without"):
        covariances(model, (0,), ["", ""], folder=tmp_path)
    covariances(model, (0,), TEXTS, folder=tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    with pytest.raises(StoreError, match=r"cannot read the covariance .* remove it"):
        covariances(model, (0,), TEXTS, folder=tmp_path)
    file.unlink()
    covariances(model, (0,), TEXTS, folder=tmp_path)
