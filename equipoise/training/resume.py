"""Where an interrupted training goes on: values, Adam's moments and what was seen, in one file.

Safetensors, written beside and renamed; nothing is unpickled. A file of another training (other
parameters, schedule or examples) is never taken up.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from equipoise.edits.edit import tensor_bytes
from equipoise.errors import StoreError
from equipoise.models.kernels import Matmul, float32_path, settled_path
from equipoise.records import JSON

_SUFFIX = ".safetensors"
_BROKEN = (SafetensorError, OSError, ValueError, KeyError, TypeError)  # of a file that is no state
_KINDS = ("value", "exp_avg", "exp_avg_sq", "step")
_CHOSEN = "chosen"
_folder: ContextVar[Path | None] = ContextVar("folder of training states", default=None)


@contextmanager
def states_kept_in(folder: Path | str) -> Iterator[None]:
    """A `with` block in which every training keeps its state in this folder and goes on from it.

    With states there, float32 products take the path that made them (`matmul.settled_path`).
    The folder is made at the first state; who opened the block removes it when all is done.
    """
    token = _folder.set(Path(folder))
    path = _float32_path(Path(folder))
    try:
        with nullcontext() if path is None else settled_path(path):
            yield
    finally:
        _folder.reset(token)


def _float32_path(folder: Path) -> Matmul | None:
    """The path that the states in a folder were made with; None without states."""
    for place in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            with safe_open(place, framework="pt") as file:
                path = _head(file).get("float32_path")
        except _BROKEN:
            continue
        if path in ("default", "onednn"):
            found: Matmul = path
            return found
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A training after some of its steps."""

    steps: int  # done
    losses: tuple[float, ...]  # one a step
    norms: tuple[float, ...]  # of the gradients, before they were clipped; one a step
    watch: JSON  # what `TrainingMonitor.state` gave
    stopped: bool  # whether the watch ended the training here
    tensors: Mapping[str, Tensor] = field(default_factory=dict)  # "kind/parameter"

    def chosen(self, name: str) -> Tensor:
        """What a watch would keep of a parameter."""
        return self.tensors[f"{_CHOSEN}/{name}"]

    def put(self, parameters: Mapping[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> None:
        """Give the parameters and the optimizer what they had."""
        for name, one in parameters.items():
            one.data.copy_(self.tensors[f"value/{name}"])
            optimizer.state[one] = {
                kind: self.tensors[f"{kind}/{name}"].to(
                    one.device if kind != "step" else torch.device("cpu"), copy=True
                )
                for kind in _KINDS[1:]
                if f"{kind}/{name}" in self.tensors
            }


def tensors_of(
    parameters: Mapping[str, nn.Parameter],
    optimizer: torch.optim.Optimizer,
    *,
    chosen: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """What `State.put` needs; a parameter that never had a gradient has a value alone.

    `chosen`: the values that a watch would keep, where it chooses.
    """
    found = {f"value/{name}": one.detach() for name, one in parameters.items()}
    found |= {f"{_CHOSEN}/{name}": one for name, one in chosen.items()}
    for name, one in parameters.items():
        moments = optimizer.state.get(one, {})
        found |= {f"{kind}/{name}": moments[kind] for kind in _KINDS[1:] if kind in moments}
    return {name: one.detach().cpu().contiguous() for name, one in found.items()}


def training_key(parameters: Mapping[str, nn.Parameter], about: Sequence[object]) -> str:
    """sha256 (hex) of where a training begins: its parameters' values and what else it is told."""
    digest = hashlib.sha256(repr(tuple(about)).encode())
    for name in sorted(parameters):
        digest.update(f"{name} {tuple(parameters[name].shape)}\n".encode())
        digest.update(tensor_bytes(parameters[name]))
    return digest.hexdigest()


def read_state(key: str) -> State | None:
    """The state that was kept of this training; None when there is none, or it is cut short.

    A file of another training under this one's name is none, too.
    """
    path = _path(key)
    if path is None or not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            head = _head(file)
            if head["key"] != key:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return State(
            steps=int(head["steps"]),
            losses=tuple(head["losses"]),
            norms=tuple(head["norms"]),
            watch=head["watch"],
            stopped=bool(head["stopped"]),
            tensors=tensors,
        )
    except _BROKEN:
        return None  # the training begins anew, which gives the same result


def _head(file: Any) -> dict[str, Any]:
    """What an open file of a state says beside its tensors; raises one of `_BROKEN`."""
    found: dict[str, Any] = dict(json.loads(file.metadata()["state"]))
    return found


def write_state(key: str, state: State) -> None:
    """Keep it where `states_kept_in` says; elsewhere do nothing.

    Raises `StoreError` when the file cannot be written.
    """
    path = _path(key)
    if path is None:
        return
    head = {
        "key": key,
        "float32_path": float32_path(),
        "steps": state.steps,
        "losses": list(state.losses),
        "norms": list(state.norms),
        "watch": state.watch,
        "stopped": state.stopped,
    }
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(save(dict(state.tensors), metadata={"state": json.dumps(head)}))
        beside.replace(path)
    except OSError as error:
        raise StoreError(
            f"the state of a training must be written to {path}, got: {error}; make room there "
            "and give the same command again"
        ) from error


def _path(key: str) -> Path | None:
    folder = _folder.get()
    return None if folder is None else folder / f"{key[:32]}{_SUFFIX}"
