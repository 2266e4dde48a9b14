"""How long a step may take that nothing like it was done of: a guess from tokens and parameters.

Two floating-point operations per parameter and token (six where it is learnt from), at half the
speed at which this machine multiplies matrices. It knows of no overhead: right within a few times.
"""

import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import huggingface_hub
import torch
from safetensors import SafetensorError

from equipoise import plugins
from equipoise.api import folder_for
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data.sources import reading_from
from equipoise.dialogues import Dialogue
from equipoise.errors import EquipoiseError
from equipoise.files.tensors import count_numbers
from equipoise.loading.pretrained import select_device
from equipoise.measure import choose_examples
from equipoise.records import Continuation, Generation, NextToken, Request, TextPair
from equipoise.study.plan import Plan, Step
from equipoise.supply.base import Supplier

_CHARACTERS: Final = 4  # per token, of English
_EFFICIENCY: Final = 0.5  # of a forward pass beside a large product of matrices
_SIDE: Final = 1024  # of the matrices that are multiplied


@dataclass(slots=True)
class TimeGuess:
    """Guesses of a plan's steps. `operations`: floating-point operations per second."""

    plan: Plan
    operations: float
    _tokens: dict[str, float] = field(default_factory=dict)  # by benchmark's or supply's content
    _parameters: dict[str, int | None] = field(default_factory=dict)

    def seconds(self, step: Step) -> float | None:
        """Of a step that measures or fits a model whose weights are here; None for any other."""
        if step.model is None or step.kind not in ("measure", "fit"):
            return None
        name = step.model.name
        if name not in self._parameters:
            self._parameters[name] = count_parameters(name)
        parameters = self._parameters[name]
        if not parameters:
            return None
        of = "benchmark" if step.kind == "measure" else "supply"
        key = repr((step.content[of], step.content.get("mitigation")))
        if key not in self._tokens:
            folder = folder_for(step.model.base or name, self.plan.recipe.data)
            self._tokens[key] = math.nan  # files are missing, which the plan says
            with (
                suppress(EquipoiseError, OSError),
                self.plan.recipe.in_folder(),
                reading_from(folder),
            ):
                self._tokens[key] = self._measured(step) if of == "benchmark" else _learnt(step)
        if math.isnan(self._tokens[key]):
            return None
        per_token = 2 if step.kind == "measure" else 6
        return per_token * parameters * self._tokens[key] / self.operations

    def _measured(self, step: Step) -> float:
        recipe, content = self.plan.recipe, cast(Any, step.content["benchmark"])
        built: AnyBenchmark = plugins.build(Benchmark, content["name"], content["options"])
        _, requests = choose_examples(
            built, split=content["split"], limit=recipe.limit, seed=recipe.seed
        )
        return count_tokens(request for asks in requests for request in asks)


def count_tokens(requests: Iterable[Request]) -> float:
    """About how many tokens a model reads for these; a context that many share is read once."""
    contexts: set[str] = set()
    characters = written = 0
    for request in requests:
        match request:
            case Continuation(context=context, continuation=continuation):
                contexts.add(context)
                characters += len(continuation)
            case NextToken(context=context):
                contexts.add(context)
            case TextPair(first=first, second=second, view=view):
                # where a token sees both sides it is hidden in a copy of its own
                copies = len(first) // _CHARACTERS if view == "both" else 1
                characters += copies * (len(first) + len(second))
            case Generation(context=context, max_tokens=most):
                characters += len(context)
                written += most
            case Dialogue(turns=turns, max_tokens=most):
                characters += sum(map(len, turns)) * len(turns)
                written += most * len(turns)
            case _:
                characters += len(request.text)
    return (characters + sum(map(len, contexts))) / _CHARACTERS + written


def _learnt(step: Step) -> float:
    """Tokens of the supply, as often as the method's options let it pass over them."""
    supply: Any = step.content["supply"]
    texts = [*plugins.build(Supplier, supply["name"], supply["options"]).supply().learnt_texts()]
    tokens = sum(map(len, texts)) / _CHARACTERS
    mitigation: Any = step.content["mitigation"]
    options = _flat(mitigation["options"])
    steps, batch, epochs = (options.get(name) for name in ("steps", "batch_size", "epochs"))
    if epochs is not None:
        return tokens * epochs
    if steps is not None and batch is not None and texts:
        return tokens / len(texts) * steps * batch
    return tokens


def _flat(options: Mapping[str, Any]) -> dict[str, int]:
    """Whole numbers among options, and among options of these, by name; the outer ones count."""
    inner = [_flat(value) for value in options.values() if isinstance(value, dict)]
    outer = {name: value for name, value in options.items() if isinstance(value, int)}
    return {name: value for each in (*inner, outer) for name, value in each.items()}


def count_parameters(name: str) -> int | None:
    """Of a folder, or of a Hub model that was downloaded, told without reading weights.

    None where there is no safetensors file of it here.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        repository, _, revision = name.partition("@")
        file = None
        with suppress(ValueError):  # no name of the Hub
            file = huggingface_hub.try_to_load_from_cache(
                repository, "config.json", revision=revision or None
            )
        if not isinstance(file, str):
            return None
        folder = Path(file).parent
    count = 0
    for weights in folder.glob("*.safetensors"):
        with suppress(SafetensorError, OSError):
            count += count_numbers(weights)
    return count or None


def time_machine(device: str) -> float:
    """Floating-point operations per second of a forward pass on a device, about. 50 ms."""
    matrix = torch.ones(_SIDE, _SIDE, device=select_device(device))
    best = math.inf
    for _ in range(3):
        began = time.perf_counter()
        (matrix @ matrix).sum().item()  # waits for the device
        best = min(best, time.perf_counter() - began)
    return _EFFICIENCY * 2 * _SIDE**3 / best
