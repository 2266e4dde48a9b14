"""The warm-up that learnt the rows: which of its checkpoints count, and how much."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from accelerate.utils import broadcast_object_list

from equipoise.edits.edit import fingerprint, tensor_bytes
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON
from equipoise.training.data_parallel import accelerator_for
from equipoise.training.resume import Checkpoint
from equipoise.training.text_options import model_key
from equipoise.training.text_training import TrainedText


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """An adapter that learnt the rows: its states on the way, and how much each counts."""

    config: Mapping[str, JSON]  # PEFT's adapter_config.json
    checkpoints: Sequence[Checkpoint]
    weights: Sequence[float]  # of each checkpoint; they sum to 1

    def parts(self) -> Iterator[bytes]:
        """All that scores depend on, as bytes."""
        yield repr((sorted(self.config.items()), list(self.weights))).encode()
        for checkpoint in self.checkpoints:
            groups = (checkpoint.values, checkpoint.exp_avg, checkpoint.exp_avg_sq)
            for name, tensor in chain.from_iterable(map(dict.items, map(dict, groups))):
                yield name.encode()
                yield tensor_bytes(tensor)


def warm_up_of(model: LanguageModel, trained: TrainedText, *, last: bool) -> WarmUp:
    """Every checkpoint by the mean learning rate of its epoch, or the last alone.

    Of several processes that trained together the first has written the checkpoints, and hands
    them to the others.
    """
    checkpoints, rates = list(trained.checkpoints), list(trained.rates)
    if accelerator_for(model.module.device, bf16=False).num_processes > 1:
        shared: list[list[Any]] = [checkpoints, rates]
        checkpoints, rates = broadcast_object_list(shared)
    if last:
        checkpoints, rates = checkpoints[-1:], rates[-1:]
    total = math.fsum(rates)
    return WarmUp(
        config=trained.config,
        checkpoints=checkpoints,
        weights=[rate / total for rate in rates],
    )


def job_key(model: LanguageModel, parts: Iterator[bytes]) -> str:
    """sha256 (hex) of the model with its tokenizer, and of what else scores depend on."""
    weights = fingerprint(model.module, dict(model.module.named_parameters()))
    digest = hashlib.sha256(f"{weights} {model_key(model)}".encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()
