"""Checkpoints: written whole, read as they were, and never those of another training."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from equipoise.errors import StoreError
from equipoise.training.resume import (
    Checkpoint,
    checkpoints_in,
    kept_checkpoints,
    latest_checkpoint,
    read_checkpoint,
    training_key,
    write_checkpoint,
)

KEY, OTHER = "a" * 64, "a" * 32 + "b" * 32  # both have files of the same name


def checkpoint(steps: int = 4, *, key: str = KEY) -> Checkpoint:
    return Checkpoint(
        key=key,
        steps=steps,
        learning_rate=0.1,
        parts={"kl": [0.5, float(torch.tensor(0.1)), 1e-300, 2.0]},
        losses=(1.5, float(torch.tensor(0.1)), 1e-300, 3.0),
        norms=(0.5, float(torch.tensor(0.3)), 1e-300, 2.0),
        monitor={"looks": [1, {"ss": 50.5}], "reason": ""},
        stopped=False,
        values={"a": torch.tensor([1.0, 2.0]), "b/c": torch.tensor(0.5)},
        exp_avg={"a": torch.tensor([0.1, 0.2])},
        exp_avg_sq={"a": torch.tensor([0.01, 0.04])},
        updates={"a": torch.tensor(4.0)},
        best={},
    )


def latest(folder: Path) -> Path:
    (file,) = set(folder.glob("*.safetensors")) - set(kept_checkpoints(folder))
    return file


def test_nothing_is_written_outside_of_the_block(tmp_path: Path) -> None:
    write_checkpoint(checkpoint(), keep=True)
    assert latest_checkpoint(KEY) is None
    with checkpoints_in(tmp_path / "new"):
        assert latest_checkpoint(KEY) is None
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_is_read_as_it_was_and_the_kept_ones_stay(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    with checkpoints_in(folder):
        for steps, keep in ((9, True), (10, True), (11, False), (12, False)):
            write_checkpoint(checkpoint(steps), keep=keep)
        read = latest_checkpoint(KEY)
    assert read is not None
    assert same(read, checkpoint(12))
    assert [read_checkpoint(file).steps for file in kept_checkpoints(folder)] == [9, 10]
    assert len(list(folder.iterdir())) == 3  # no part is left


def same(first: Checkpoint, second: Checkpoint) -> bool:
    pairs: Sequence[tuple[object, object]] = list(
        zip(asdict(first).values(), asdict(second).values(), strict=True)
    )
    return all(
        {name: tensor.tolist() for name, tensor in left.items()}
        == {name: tensor.tolist() for name, tensor in right.items()}
        if isinstance(left, dict) and isinstance(right, dict) and not {"reason", "kl"} & {*left}
        else left == right
        for left, right in pairs
    )


def test_blocks_nest(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path / "outer"):
        write_checkpoint(checkpoint(), keep=False)
        with checkpoints_in(tmp_path / "inner"):
            assert latest_checkpoint(KEY) is None
        assert latest_checkpoint(KEY) is not None


def test_the_checkpoint_of_another_training_is_not_used(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path):
        write_checkpoint(checkpoint(key=OTHER), keep=False)
        assert latest_checkpoint(KEY) is None
        assert latest_checkpoint(OTHER) is not None


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5, 0.99])
def test_a_damaged_file_is_not_used(tmp_path: Path, share: float) -> None:
    with checkpoints_in(tmp_path):
        write_checkpoint(checkpoint(), keep=False)
        file = latest(tmp_path)
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
        assert latest_checkpoint(KEY) is None
        with pytest.raises(StoreError, match=file.name):
            read_checkpoint(file)
        file.write_bytes(whole)
        assert latest_checkpoint(KEY) is not None


def test_a_file_of_another_program_is_not_used(tmp_path: Path) -> None:
    with checkpoints_in(tmp_path):
        write_checkpoint(checkpoint(), keep=False)
        file = latest(tmp_path)
        for metadata in (None, *({"checkpoint": text} for text in ("[]", "{}", "not json"))):
            save_file({"values/a": torch.ones(2)}, file, metadata=metadata)
            assert latest_checkpoint(KEY) is None
        file.unlink()
        file.mkdir()
        assert latest_checkpoint(KEY) is None


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with checkpoints_in(tmp_path / "file"), pytest.raises(StoreError, match=str(tmp_path / "file")):
        write_checkpoint(replace(checkpoint(), steps=1), keep=False)


def test_the_key_depends_on_values_names_shapes_and_settings() -> None:
    def key(name: str = "a", values: object = (1.0, 2.0), settings: object = "x") -> str:
        return training_key({name: nn.Parameter(torch.tensor(values))}, settings)

    others = [key(name="b"), key(values=(1.0, 3.0)), key(values=((1.0, 2.0),)), key(settings="y")]
    assert key() == key()
    assert len({key(), *others}) == 5
