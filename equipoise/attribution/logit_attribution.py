"""What each attention head adds to a difference of two logits: exactly, in one forward pass.

With the scale of the final norm (and of norms after a part's output) held at its value in the pass,
logit[first] - logit[second] at the last position is linear in all that was added to the residual
stream: u · (embedding + heads + constants + feed-forward parts) + constant. A head's share is
u · W_O[h] z[h], computed by pulling u back through the projection once, not by pushing every head
to the vocabulary, so that all heads together cost a fraction of a per cent of the forward pass.

Sources: Yu, Merullo and Pavlick 2023 (logit difference of heads); TransformerLens (frozen scale);
methods-biasgym 2.3 and 2.4. BiasGym (section 3.3.1) multiplies a head's write with the unembedding
without the norm: `literal`, which is not exact and ranks heads differently.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.attribution.frozen_norm import freeze_norm
from equipoise.attribution.readout import Readout, find_readout
from equipoise.attribution.residual_parts import (
    BlockAddends,
    Part,
    block_addends,
    first_tensor,
    head_count,
    projection_weight,
)
from equipoise.errors import ModelError
from equipoise.inference.engine import forward_passes
from equipoise.inference.forward import at_full_speed, hidden_at, layout_of
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import blocks, final_norm
from equipoise.models.device_copy import copy_to
from equipoise.models.tokenization import Ids
from equipoise.processes.together import gather

#: Of the size of the parts (root of their summed squares): what rounding may leave of the sum.
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 5e-2
_ROUNDINGS = 12  # of independent roundings: a stream is rounded alike in block after block


@dataclass(frozen=True, slots=True, kw_only=True)
class LastStates:
    """What a forward pass had at the last position of each text, in float32 on the device.

    Lists have an entry a block.
    """

    embedding: Float[Tensor, "text feature"]  # what goes into the first block
    heads: list[Float[Tensor, "text input"]]  # all heads side by side
    projected: list[Float[Tensor, "text feature"] | None]  # where a norm stands behind
    mlps: list[Float[Tensor, "text feature"] | None]
    stream: Float[Tensor, "text feature"]  # before the final norm
    hidden: Float[Tensor, "text feature"]  # after it: what the output layer reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """Addends of a difference of logits, pre-cap: their sum is `difference` but for rounding."""

    heads: NDArray[np.float64]  # [example, block * heads + head]
    literal: NDArray[np.float64]  # the same without any norm: BiasGym's own formula
    mlps: NDArray[np.float64]  # [example, block]
    embedding: NDArray[np.float64]  # [example]
    constant: NDArray[np.float64]  # [example]: biases of projections, norms and output layer
    difference: NDArray[np.float64]  # [example]: as the model has it
    literal_stream: NDArray[np.float64]  # [example]: of the stream before the norm, literally

    @property
    def errors(self) -> NDArray[np.float64]:
        """Sum of all parts minus the difference of logits: [example]."""
        total = self.heads.sum(1) + self.mlps.sum(1) + self.embedding + self.constant
        return np.asarray(total - self.difference)


class HeadAttributor:
    """Reads texts in one forward pass each, and shares differences of logits out among heads.

    The states of the texts are kept; which logits are compared can be said afterwards.
    Raises `ModelError`, in the constructor, for a model that is not causal, whose decoding rule
    would not be seen, or that cannot be decomposed (`block_addends`, `find_readout`).
    """

    def __init__(self, model: LanguageModel) -> None:
        if model.kind != "causal" or model.decoding_rule is not None:
            what = model.kind if model.kind != "causal" else "given a decoding rule"
            raise ModelError(
                f"a model whose heads are attributed must be causal and decide by its logits, "
                f"{model.identity} is {what}; take a causal model without a rule"
            )
        self.model = model
        self.parts: list[BlockAddends] = block_addends(model.module)
        self.head_count = head_count(model.module)
        self._first, self._norm = blocks(model.module)[0], final_norm(model.module)
        self.readout: Readout = find_readout(model.module, layout_of(model))

    @property
    def labels(self) -> tuple[str, ...]:
        """Every head as "block.head", in the order of scores."""
        return tuple(
            f"{block}.{head}" for block in range(len(self.parts)) for head in range(self.head_count)
        )

    def read(self, texts: Sequence[Ids]) -> LastStates:
        """The states at the last position of each text; texts share what they begin with."""
        model = self.model
        distinct = {ids: index for index, ids in enumerate(dict.fromkeys(texts))}
        reads = [((len(ids) - 1, 0),) for ids in distinct]
        kept: dict[tuple[str, int], list[Tensor]] = {}
        order: list[int] = []
        with at_full_speed(model.module):
            for forward in forward_passes(
                model, list(distinct), reads, task="heads", share_rows=True, share=True
            ):
                with forward.batches.retry_smaller():
                    states = self._run(forward.rows, forward.places, forward.layout)
                    chosen = copy_to(torch.tensor(forward.chosen), forward.places.device)
                    for name, state in states.items():
                        kept.setdefault(name, []).append(state[chosen.to(state.device)].float())
                    order += forward.slots
            parts = gather((order, {name: torch.cat(states) for name, states in kept.items()}))
            # of each text, the row in which its states came
            came = {slot: place for place, slot in enumerate(chain(*(part[0] for part in parts)))}
            rows = torch.tensor([came[distinct[ids]] for ids in texts])
            names = dict.fromkeys(name for _, states in parts for name in states)
            joined = {
                name: torch.cat([states[name] for _, states in parts if states])[rows]
                for name in names
            }
        numbers = range(len(self.parts))
        return LastStates(
            embedding=joined["embedding", 0],
            heads=[joined["heads", number] for number in numbers],
            projected=[joined.get(("projected", number)) for number in numbers],
            mlps=[joined.get(("mlp", number)) for number in numbers],
            stream=joined["stream", 0],
            hidden=joined["hidden", 0],
        )

    def _run(self, rows: Any, places: Tensor, layout: Any) -> dict[tuple[str, int], Tensor]:
        """A forward pass without the head; states at these places of the padded batch."""
        module, states = self.model.module, dict[tuple[str, int], Tensor]()

        def take(key: tuple[str, int], value: Any) -> None:
            flat = first_tensor(value).flatten(0, -2)
            states[key] = flat[places.to(flat.device)]

        def before(part: nn.Module, name: str, number: int) -> None:
            def hook(_: nn.Module, args: Any, kwargs: Any) -> None:
                take((name, number), args[0] if args else kwargs["hidden_states"])

            undo.callback(part.register_forward_pre_hook(hook, with_kwargs=True).remove)

        def after(part: nn.Module, name: str, number: int) -> None:
            def hook(_: nn.Module, __: Any, out: Any) -> None:
                take((name, number), out)

            undo.callback(part.register_forward_hook(hook).remove)

        with ExitStack() as undo:
            before(self._first, "embedding", 0)
            before(self._norm, "stream", 0)
            for number, part in enumerate(self.parts):
                before(part.heads.module, "heads", number)
                if part.heads.norm is not None:
                    after(part.heads.module, "projected", number)
                if part.mlp is not None:
                    after(part.mlp.module, "mlp", number)
            states["hidden", 0] = hidden_at(module, rows, places, layout)
        return states

    @torch.no_grad()
    def attribute(
        self, states: LastStates, first: Sequence[int], second: Sequence[int]
    ) -> Attribution:
        """Share out logit[first] - logit[second] of each text.

        Raises `ModelError` where the parts do not sum to it: something else reaches the logits.
        """
        width = states.stream.shape[-1]
        rows, biases = self.readout.differences(first, second, width)
        norm = freeze_norm(self._norm, width, states.stream.device)
        directions = norm.pull(rows, norm.scale(states.stream))
        constant = rows @ norm.bias + biases
        shares, literal, mlps = [], [], []
        for number, part in enumerate(self.parts):
            pulled, added = _behind(part.heads, states.projected[number], directions)
            weight = projection_weight(part.heads.module)
            z = states.heads[number].view(len(directions), self.head_count, -1)
            shares.append(((pulled @ weight).view_as(z) * z).sum(-1))
            literal.append(((rows @ weight).view_as(z) * z).sum(-1))
            bias = part.heads.module.bias
            constant = constant + added
            if isinstance(bias, Tensor):
                constant = constant + pulled @ bias.float()
            output = states.mlps[number]
            if part.mlp is not None and output is not None:
                pulled, added = _behind(part.mlp, output, directions)
                mlps.append((pulled * output).sum(-1))
                constant = constant + added
            else:
                mlps.append(torch.zeros_like(constant))
        result = Attribution(
            heads=_numbers(torch.cat(shares, dim=1)),
            literal=_numbers(torch.cat(literal, dim=1)),
            mlps=_numbers(torch.stack(mlps, dim=1)),
            embedding=_numbers((directions * states.embedding).sum(-1)),
            constant=_numbers(constant),
            difference=_numbers((rows * states.hidden).sum(-1) + biases),
            literal_stream=_numbers((rows * states.stream).sum(-1) + biases),
        )
        self._check(result, self._rounding(states, directions, rows))
        return result

    def _rounding(
        self, states: LastStates, directions: Tensor, rows: Tensor
    ) -> NDArray[np.float64]:
        """What a logit difference may move by because the stream is rounded at each addition.

        A standard deviation or more: half a unit in the last place of every feature, the features
        and additions independent. In bfloat16 that is much where a feature is huge.
        """
        half_unit = torch.finfo(self.model.module.dtype).eps / 2
        additions = 2 * len(self.parts) + 1
        stream = (directions * states.stream).norm(dim=-1) * math.sqrt(additions)
        return _numbers(half_unit * (stream + (rows * states.hidden).norm(dim=-1)))

    def _check(self, result: Attribution, rounding: NDArray[np.float64]) -> None:
        single = self.model.module.dtype in (torch.float32, torch.float64)
        parts = np.column_stack([result.heads, result.mlps, result.embedding, result.constant])
        most = (_TOLERANCE if single else _HALF_TOLERANCE) * np.sqrt((parts**2).sum(1))
        most += _ROUNDINGS * rounding
        broken = ~(np.abs(result.errors) <= most)
        if broken.any():
            example = int(broken.argmax())
            raise ModelError(
                f"the parts of a difference of logits must sum to it in {self.model.identity}, got "
                f"{result.difference[example] + result.errors[example]:.4g} for "
                f"{result.difference[example]:.4g}: something beside its blocks reaches the "
                "logits; take another model or a locator of blocks"
            )


def _behind(
    part: Part, output: Tensor | None, directions: Tensor
) -> tuple[Float[Tensor, "example feature"], Tensor]:
    """The direction at a part's output, and what its norm's bias adds whatever that is."""
    directions = part.factor * directions
    if part.norm is None or output is None:
        return directions, torch.zeros_like(directions[:, 0])
    return part.norm.pull(directions, part.norm.scale(output)), directions @ part.norm.bias


def _numbers(values: Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.cpu().double().numpy()
    return numbers
