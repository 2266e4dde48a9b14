"""Checkpoints of a training: values, Adam's moments and what was measured, in a file each.

Safetensors with JSON, put in place whole, so that a process killed at any moment leaves a whole
checkpoint or none. Not `Accelerator.save_state`: its `load_state` unpickles the optimizer's and the
random generators' files, and nothing is unpickled here; nor does it name Adam's moments, which
attribution reads. No random state is kept: what is random in a step depends on its number.

A training resumes only if it began with the same values, schedule and examples.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypeAlias

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from equipoise.edits.edit import tensor_bytes
from equipoise.errors import StoreError
from equipoise.files.atomic import write_file
from equipoise.records import JSON

#: Which checkpoints stay beside the latest: none, those after each epoch, or after every n steps.
Keep: TypeAlias = Literal["latest", "epochs"] | int

_SUFFIX = ".safetensors"
_KEY = 32  # characters of a key that name its files
_HEAD = ("key", "steps", "learning_rate", "losses", "parts", "norms", "monitor", "stopped")
_GROUPS = ("values", "exp_avg", "exp_avg_sq", "updates", "best")
#: The folder of the checkpoints, if any are wanted, and which of them stay.
_place: ContextVar[tuple[Path | None, Keep]] = ContextVar("checkpoints", default=(None, "latest"))


@contextmanager
def checkpoints_in(folder: Path | str, *, keep: Keep = "latest") -> Iterator[None]:
    """A `with` block in which every training writes checkpoints here and resumes from them.

    The folder is created with the first checkpoint; whoever opened the block deletes it.
    """
    token = _place.set((Path(folder), keep))
    try:
        yield
    finally:
        _place.reset(token)


@contextmanager
def keeping_epochs() -> Iterator[Path]:
    """A `with` block in which the checkpoint after each epoch stays; gives their folder.

    It is that of the open `checkpoints_in`, so that a killed training resumes; where none is open,
    a folder that is deleted at the end.
    """
    with ExitStack() as stack:
        folder = _place.get()[0]
        if folder is None:
            folder = Path(stack.enter_context(TemporaryDirectory()))
        stack.enter_context(checkpoints_in(folder, keep="epochs"))
        yield folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A training after some steps. Tensors are float32, on the CPU, by parameter name."""

    key: str  # `training_key`
    steps: int  # done
    learning_rate: float  # of the last step done
    losses: tuple[float, ...]  # per step
    parts: Mapping[str, Sequence[float]]  # of the losses, per step, by name
    norms: tuple[float, ...]  # of the gradients, before clipping; per step
    monitor: JSON  # `TrainingMonitor.state`
    stopped: bool  # whether the monitor ended the training here
    values: Mapping[str, Tensor]
    exp_avg: Mapping[str, Tensor]  # Adam's mean of gradients; none before a first gradient
    exp_avg_sq: Mapping[str, Tensor]  # Adam's mean of squared gradients
    updates: Mapping[str, Tensor]  # how often Adam updated the parameter
    best: Mapping[str, Tensor]  # the values to return, if the monitor restores the best


def training_key(parameters: Mapping[str, nn.Parameter], *settings: object) -> str:
    """sha256 (hex) of where a training begins: its parameters' values and its settings."""
    digest = hashlib.sha256(repr(settings).encode())
    for name in sorted(parameters):
        digest.update(f"{name} {tuple(parameters[name].shape)}\n".encode())
        digest.update(tensor_bytes(parameters[name]))
    return digest.hexdigest()


def checkpoints_wanted() -> bool:
    """Whether a `checkpoints_in` block is open."""
    return _place.get()[0] is not None


def is_kept(steps: int, *, epoch: int, last: bool = False) -> bool:
    """Whether the checkpoint after so many steps stays; `epoch`: steps per epoch.

    `last`: no step follows, which may be within an epoch, and ends it.
    """
    keep = _place.get()[1]
    if keep == "epochs":
        return last or steps % epoch == 0
    return keep != "latest" and steps % keep == 0


def write_checkpoint(checkpoint: Checkpoint, *, keep: bool) -> None:
    """Replace the latest checkpoint of this training, and keep a copy of it if asked to.

    Does nothing outside of `checkpoints_in`. Raises `StoreError` if it cannot be written.
    """
    if (path := _path(checkpoint.key)) is None:
        return
    head = {name: getattr(checkpoint, name) for name in _HEAD}
    tensors = {
        f"{group}/{name}": tensor
        for group in _GROUPS
        for name, tensor in getattr(checkpoint, group).items()
    }
    content = save(tensors, metadata={"checkpoint": json.dumps(head)})
    # The copy first: a training that is killed in between resumes before it, and makes it again.
    if keep:
        copy = path.with_name(f"{path.stem}-{checkpoint.steps}{_SUFFIX}")
        write_file(copy, content, what="training checkpoint")
    write_file(path, content, what="training checkpoint")


def latest_checkpoint(key: str) -> Checkpoint | None:
    """The checkpoint that a training resumes from; None if there is none, or it is damaged."""
    path = _path(key)
    if path is None or not path.is_file():
        return None
    try:
        checkpoint = read_checkpoint(path)
    except StoreError:
        return None  # the training starts again, with the same result
    return checkpoint if checkpoint.key == key else None


def kept_checkpoints(folder: Path | str, *, key: str = "") -> list[Path]:
    """The checkpoints kept in a folder, in the order of their steps.

    `key`: of one training (`Trained.key`); "": of whatever training.
    """
    files = Path(folder).glob(f"{key[:_KEY]}*-*{_SUFFIX}")
    return sorted(files, key=lambda file: int(file.stem.rpartition("-")[2]))


def read_checkpoint(path: Path | str) -> Checkpoint:
    """A checkpoint from its file. Raises `StoreError` if it is none, or damaged."""
    groups: dict[str, dict[str, Tensor]] = {group: {} for group in _GROUPS}
    try:
        with safe_open(path, framework="pt") as file:
            head = json.loads(file.metadata()["checkpoint"])
            for key in file.keys():  # noqa: SIM118
                group, _, name = key.partition("/")
                groups[group][name] = file.get_tensor(key)
        head |= {name: tuple(head[name]) for name in ("losses", "norms")}
        return Checkpoint(**(head | groups))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} must be a training checkpoint, got: {error}; delete it and train again"
        ) from error


def _path(key: str) -> Path | None:
    folder = _place.get()[0]
    return None if folder is None else folder / f"{key[:_KEY]}{_SUFFIX}"
