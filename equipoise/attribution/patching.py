"""What becomes of a difference of logits when a single head is cut or replaced, by trying it.

Activation patching (Vig et al. 2020; Zhang and Nanda 2024, "Towards Best Practices of Activation
Patching"): a head's output on the text about the target is replaced by its output on the text about
somebody else. Ablation puts zeros, or a mean, there. Both see heads that work through later
heads, at a forward pass per head; attribution patching (Nanda 2023; Syed et al. 2023) estimates all
of them to first order from a forward and a backward pass. Rows run from the head's block on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.attribution.logit_attribution import HeadAttributor
from equipoise.inference.batches import run_in_batches
from equipoise.inference.forward import layout_of, pad
from equipoise.models.anatomy import attention_output, base, blocks
from equipoise.models.hooks import block_states, differentiable_states, frozen, replayed
from equipoise.models.tokenization import Ids
from equipoise.processes.torch_group import join_rows

Positions: TypeAlias = Literal["all", "last"]
Effects: TypeAlias = NDArray[np.float64]  # [example, head]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Texts and the two tokens that are compared after each."""

    texts: tuple[Ids, ...]
    first: tuple[int, ...]
    second: tuple[int, ...]


class HeadPatcher:
    """Runs texts with single heads changed, at all positions or at the last alone.

    What stands in a head's place is a `Replacement`: `zeros`, `mean_of` or `outputs_on`.
    """

    def __init__(self, attributor: HeadAttributor, *, positions: Positions) -> None:
        self.attributor = attributor
        self.model = attributor.model
        self.positions = positions
        self.blocks = list(blocks(self.model.module))
        self.outputs = [attention_output(self.model.module, k) for k in range(len(self.blocks))]
        self.head_count = attributor.head_count

    def difference(self, side: Side) -> NDArray[np.float64]:
        """logit[first] - logit[second] after each text, unchanged: [example]."""
        values = np.zeros(len(side.texts))

        def run(rows: list[int]) -> None:
            batch = self._batch(side, rows)
            values[rows] = _numbers(batch.read(self._hidden(batch)))

        join_rows(values, self._run(side.texts, run, states=1, share=True))
        return values

    def changed(self, side: Side, heads: Sequence[int], replacement: "Replacement") -> Effects:
        """The difference with each of these heads replaced, one at a time; of others nan."""
        effects = np.full((len(side.texts), len(self.blocks) * self.head_count), np.nan)
        by_block: dict[int, list[int]] = {}
        for head in heads:
            by_block.setdefault(head // self.head_count, []).append(head % self.head_count)

        def run(rows: list[int]) -> None:
            batch = self._batch(side, rows)
            with block_states(self.blocks) as states:
                self._hidden(batch)
            before, values = dict(states.before), replacement(batch)
            # as many heads at a time as copies of the batch fit beside each other
            copies = max(1, self.model.batch_tokens // batch.tokens.numel())
            for block, members in by_block.items():
                for start in range(0, len(members), copies):
                    group = members[start : start + copies]
                    repeated = batch.repeat(len(group))
                    begin = before[block].repeat(len(group), 1, 1)
                    with (
                        self._changing(block, group, repeated, values[block]),
                        replayed(self.blocks, block, begin),
                    ):
                        table = _numbers(repeated.read(self._hidden(repeated)))
                    columns = [block * self.head_count + head for head in group]
                    effects[np.ix_(rows, columns)] = table.reshape(len(group), len(rows)).T

        join_rows(effects, self._run(side.texts, run, states=1, share=True))
        return effects

    def estimate(self, side: Side, replacement: "Replacement") -> Effects:
        """What replacing each head would take away, to first order: [example, head].

        Attribution patching: gradient of the difference * (output - replacement), summed over the
        positions that count; from one forward and one backward pass for all heads.
        """
        effects = np.zeros((len(side.texts), len(self.blocks) * self.head_count))

        def run(rows: list[int]) -> None:
            with torch.inference_mode(False), frozen(self.model.module):
                batch = self._batch(side, rows)
                with torch.no_grad():
                    values = replacement(batch)
                with differentiable_states(self.blocks), _inputs(self.outputs) as inputs:
                    total = batch.read(self._hidden(batch)).sum()
                    gradients = torch.autograd.grad(total, inputs)
                counted = batch.counted(self.positions)[..., None]
                for block, (states, gradient) in enumerate(zip(inputs, gradients, strict=True)):
                    apart = states.detach().float() - values[block].float()
                    by_head = (gradient.float() * apart * counted).sum(1)
                    table = by_head.view(len(rows), self.head_count, -1).sum(-1)
                    start = block * self.head_count
                    effects[rows, start : start + self.head_count] = _numbers(table)

        # a graph keeps the states of every block
        join_rows(effects, self._run(side.texts, run, states=len(self.blocks), share=True))
        return effects

    def zeros(self, batch: "_Batch") -> list[Tensor]:
        """A replacement: nothing."""
        return [torch.zeros(1, device=batch.tokens.device)] * len(self.blocks)

    def mean_of(self, texts: Sequence[Ids]) -> "Replacement":
        """A replacement: each head's mean output over the places of these texts that count."""
        side = Side(texts=tuple(texts), first=(0,) * len(texts), second=(1,) * len(texts))
        totals: dict[int, Tensor] = {}
        places: dict[tuple[int, ...], int] = {}

        def run(rows: list[int]) -> None:
            batch = self._batch(side, rows)
            with _inputs(self.outputs) as inputs:
                self._hidden(batch)
            counted = batch.counted(self.positions)
            sums = [states.float()[counted].sum(0) for states in inputs]
            places[tuple(rows)] = int(counted.sum())
            for block, total in enumerate(sums):
                totals[block] = totals[block] + total if block in totals else total

        self._run(side.texts, run, states=1)
        means = [totals[block] / sum(places.values()) for block in range(len(self.blocks))]
        return lambda _: means

    def outputs_on(self, source: Sequence[Ids]) -> "Replacement":
        """A replacement: the heads' outputs on the source text of each row.

        Places are counted from the end, where both texts are alike; tokens of the longer text that
        the other has no counterpart of keep their own.
        """

        def outputs(batch: _Batch) -> list[Tensor]:
            with _inputs(self.outputs) as inputs:
                self._hidden(batch)
            values = [states.detach().clone() for states in inputs]
            texts = tuple(source[row] for row in batch.rows)
            pairs = (0,) * len(texts), (1,) * len(texts)
            other = self._batch(
                Side(texts=texts, first=pairs[0], second=pairs[1]), list(range(len(texts)))
            )
            with _inputs(self.outputs) as inputs:
                self._hidden(other)
            ends = zip(batch.ends.tolist(), other.ends.tolist(), strict=True)
            for row, (end, other_end) in enumerate(ends):
                shared = min(end, other_end)
                for block, states in enumerate(inputs):
                    elsewhere = states[row, other_end - shared : other_end + 1]
                    values[block][row, end - shared : end + 1] = elsewhere
            return values

        return outputs

    @contextmanager
    def _changing(
        self, block: int, heads: Sequence[int], batch: "_Batch", values: Tensor
    ) -> Iterator[None]:
        """Inside, copy k of the batch has head `heads[k]` of the block replaced."""
        counted = batch.counted(self.positions)

        def change(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            states = args[0].clone()
            size, rows = states.shape[-1] // self.head_count, len(states) // len(heads)
            for copy, head in enumerate(heads):
                part, mine = (
                    slice(head * size, head * size + size),
                    slice(copy * rows, (copy + 1) * rows),
                )
                # a single number stands for all features
                new = values if values.numel() == 1 else values[..., part]
                here = states[mine, :, part]
                states[mine, :, part] = torch.where(counted[mine, :, None], new.to(here), here)
            return (states, *args[1:])

        handle = self.outputs[block].register_forward_pre_hook(change)
        try:
            yield
        finally:
            handle.remove()

    def _hidden(self, batch: "_Batch") -> Float[Tensor, "row feature"]:
        """The last hidden state at the end of each row; without the output layer."""
        out = base(self.model.module)(input_ids=batch.tokens, use_cache=False)
        hidden: Tensor = out.last_hidden_state
        return hidden[torch.arange(len(batch.ends), device=hidden.device), batch.ends]

    def _batch(self, side: Side, rows: list[int]) -> "_Batch":
        # padded on the right with tokens that the row has, where a causal model does not look
        texts = [side.texts[row] for row in rows]
        tokens, real = pad(texts, [ids[-1] for ids in texts])
        device = self.model.module.device
        width = self.model.module.config.get_text_config().hidden_size
        directions, biases = self.attributor.readout.differences(
            [side.first[row] for row in rows], [side.second[row] for row in rows], width
        )
        ends = real.sum(1) - 1
        return _Batch(tokens.to(device), real.to(device), ends.to(device), directions, biases, rows)

    def _run(
        self,
        texts: Sequence[Ids],
        run: Callable[[list[int]], None],
        *,
        states: int,
        share: bool = False,
    ) -> list[int]:
        """Run texts in batches that fit memory; `states`: how many are kept of each token."""
        company = [layout_of(self.model).company(len(ids)) for ids in texts]
        lengths = [len(ids) * states for ids in texts]
        return run_in_batches(self.model, lengths, run, company=company, share=share)


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Padded rows, and the logits that are compared at their ends."""

    tokens: Int[Tensor, "row token"]
    real: Tensor
    ends: Int[Tensor, " row"]
    directions: Float[Tensor, "row feature"]
    biases: Float[Tensor, " row"]
    rows: list[int]

    def read(self, hidden: Float[Tensor, "row feature"]) -> Float[Tensor, " row"]:
        """The difference of logits, before any cap, in float32."""
        return (hidden.float() * self.directions).sum(-1) + self.biases

    def repeat(self, times: int) -> "_Batch":
        """The rows one after another, so many times."""
        return _Batch(
            self.tokens.repeat(times, 1),
            self.real.repeat(times, 1),
            self.ends.repeat(times),
            self.directions.repeat(times, 1),
            self.biases.repeat(times),
            self.rows * times,
        )

    def counted(self, positions: Positions) -> Tensor:
        """Which places a head is changed at: [row, token]."""
        if positions == "all":
            return self.real
        places = torch.arange(self.tokens.shape[1], device=self.tokens.device)
        return places == self.ends[:, None]


@contextmanager
def _inputs(modules: Sequence[nn.Module]) -> Iterator[list[Tensor]]:
    """What goes into each module inside, in their order, with its graph."""
    inputs: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
        inputs.append(args[0])

    with ExitStack() as undo:
        for module in modules:
            undo.callback(module.register_forward_pre_hook(keep).remove)
        yield inputs


def _numbers(values: Tensor) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = values.detach().cpu().double().numpy()
    return numbers


#: What stands in place of the heads' outputs, by block: [row, token, input], or what broadcasts.
Replacement: TypeAlias = Callable[[_Batch], Sequence[Tensor]]
