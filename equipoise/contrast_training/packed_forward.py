"""A packed forward pass over the texts of a training step, and the reference's outputs.

The reference is the model before training: its hidden states at every position that is ever
compared, and its log-probabilities, are constants, computed once before anything is attached.

The output layer is frozen, and read in chunks (`training.chunked_head`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.contrast_training.tokenized import TokenizedText
from equipoise.errors import ModelError
from equipoise.inference.batches import Batches
from equipoise.inference.forward import Layout, at_full_speed, hidden_at, logits_at, probe_layout
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.lm_head import OutputLayer, output_layer
from equipoise.inference.prefix_sharing import pack, single
from equipoise.models.device_copy import copy_to
from equipoise.models.kernels import fast_matmul, fused_gelu
from equipoise.models.tokenization import Ids
from equipoise.training.chunked_head import Direction, divergence, token_logprobs
from equipoise.training.data_parallel import shared_forward


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """The model's outputs at the positions of several texts, flat, text after text."""

    #: Hidden states; logits where `PackedForward.head` is None.
    states: Float[Tensor, "position state"]
    tokens: Int[Tensor, " position"]  # the token at each position
    counts: tuple[int, ...]  # positions of each text

    def cut(self, texts: int) -> tuple["Readout", "Readout"]:
        """The part of the first `texts` texts, and that of the others."""
        end = sum(self.counts[:texts])
        return (
            Readout(states=self.states[:end], tokens=self.tokens[:end], counts=self.counts[:texts]),
            Readout(states=self.states[end:], tokens=self.tokens[end:], counts=self.counts[texts:]),
        )

    def split(self, values: Float[Tensor, "position ..."]) -> list[Tensor]:
        """Values at positions, a tensor per text."""
        return list(torch.split(values, list(self.counts)))


class PackedForward:
    """Runs a causal model over texts packed into few rows: shared prefixes are computed once.

    Without `share` each text has a row of its own, equal texts too, so that what a hook sees in
    row i, column j belongs to position j of text i alone.
    """

    def __init__(self, model: LanguageModel, *, share: bool = True) -> None:
        self.model = model
        self.share = share
        layout = probe_layout(model.module)
        self.layout: Layout = layout if share else replace(layout, pack=False)
        self.head: OutputLayer | None = output_layer(model.module, self.layout)

    def read(self, texts: Sequence[TokenizedText], positions: Sequence[Sequence[int]]) -> Readout:
        """A single forward pass over all texts, with gradients where the caller has them on.

        `positions`: for each text, the positions (each > 0) whose tokens are predicted. In
        data-parallel training each process runs its share of the texts.
        """
        counts = tuple(map(len, positions))
        states = shared_forward(lambda share: self._states(texts[share], positions[share]), counts)
        tokens = [
            text.ids[position]
            for text, text_positions in zip(texts, positions, strict=True)
            for position in text_positions
        ]
        return Readout(
            states=states, tokens=copy_to(torch.tensor(tokens), states.device), counts=counts
        )

    def _states(
        self, texts: Sequence[TokenizedText], positions: Sequence[Sequence[int]]
    ) -> Float[Tensor, "position state"]:
        module = self.model.module
        ids = [text.ids for text in texts]
        numbers = list(range(len(ids)))
        if self.share:  # equal texts share an entry
            order: dict[Ids, int] = {}
            numbers = [order.setdefault(text_ids, len(order)) for text_ids in ids]
            ids = list(order)
        if len(set(map(self.layout.company, map(len, ids)))) > 1:
            raise ModelError(
                f"texts that go together must not change each other, {self.model.identity} reads "
                f"them otherwise beside longer texts (got {min(map(len, ids))} to "
                f"{max(map(len, ids))} tokens); take another model, or texts of like length"
            )
        packs = self.layout.packs(max(map(len, ids)))
        layout = replace(self.layout, pack=packs)
        rows = pack(ids, range(len(ids))) if layout.pack else single(ids, range(len(ids)))
        length = max(map(len, rows))
        slots = {
            number: [index * length + slot for slot in path]
            for index, row in enumerate(rows)
            for number, path in row.paths.items()
        }
        # The token at a position is predicted from the state of the position before it.
        flat = [
            slots[number][position - 1]
            for number, text_positions in zip(numbers, positions, strict=True)
            for position in text_positions
        ]
        distinct = {slot: index for index, slot in enumerate(dict.fromkeys(flat))}
        # not `at_full_speed`, which allows no gradients
        with fused_gelu(module), fast_matmul(module):
            run = hidden_at if self.head is not None else logits_at
            states = run(module, rows, copy_to(torch.tensor(list(distinct)), module.device), layout)
        return states[copy_to(torch.tensor([distinct[slot] for slot in flat]), states.device)]

    def logprobs(self, readout: Readout) -> Float[Tensor, " position"]:
        """Log-probability (nats) of the token at each position."""
        if self.head is not None:
            with fast_matmul(self.model.module):
                return token_logprobs(readout.states, self.head, readout.tokens)
        return readout.states.float().log_softmax(-1).gather(1, readout.tokens[:, None])[:, 0]

    def text_logprobs(
        self, readout: Readout
    ) -> tuple[Float[Tensor, " text"], Float[Tensor, " text"]]:
        """Log-probability (nats) of each text, summed over its positions, and their number."""
        sums = torch.stack([values.sum() for values in readout.split(self.logprobs(readout))])
        return sums, torch.tensor(readout.counts, dtype=sums.dtype, device=sums.device)

    def divergence(
        self, readout: Readout, reference: Float[Tensor, "position state"], direction: Direction
    ) -> Float[Tensor, " position"]:
        """KL divergence (nats, 0: unchanged) of the next token's distribution per position."""
        reference = reference.to(readout.states.device)
        if self.head is not None:
            with fast_matmul(self.model.module):
                return divergence(readout.states, reference, self.head, direction=direction)
        now, before = readout.states.float().log_softmax(-1), reference.float().log_softmax(-1)
        first, second = (now, before) if direction == "reverse" else (before, now)
        return (first.exp() * (first - second)).sum(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceOutputs:
    """The outputs of the model before training, by the ids of a text, from position 1 on."""

    states: Mapping[Ids, Float[Tensor, "_ state"]]  # of compared texts
    logprobs: Mapping[Ids, Float[Tensor, " _"]]  # of every token of scored texts

    def states_at(
        self, text: TokenizedText, positions: Sequence[int]
    ) -> Float[Tensor, "position state"]:
        """States at some positions of a text."""
        return self.states[text.ids][torch.tensor([position - 1 for position in positions])]

    def target_logprobs(self, texts: Sequence[TokenizedText]) -> Float[Tensor, " text"]:
        """Log-probability (nats) of each text's target, summed over its tokens."""
        sums = [
            float(self.logprobs[text.ids][[place - 1 for place in text.target_positions]].sum())
            for text in texts
        ]
        return torch.tensor(sums)


def reference_outputs(
    forward: PackedForward,
    *,
    scored: Sequence[TokenizedText] = (),
    compared: Sequence[TokenizedText] = (),
) -> ReferenceOutputs:
    """Compute the reference: log-probabilities of `scored` texts, states of the `compared`.

    States take width x 4 bytes per token (float32) and stay in the processor's memory.
    """
    states: dict[Ids, Tensor] = {}
    logprobs: dict[Ids, Tensor] = {}
    scored_ids = {text.ids for text in scored}
    compared_ids = {text.ids for text in compared}
    texts = list({text.ids: text for text in (*scored, *compared)}.values())
    batches = Batches(forward.model, [len(text.ids) for text in texts])
    with at_full_speed(forward.model.module):
        for rows in batches:
            # Scored texts come first: the others need no output layer.
            batch = sorted(
                (texts[row] for row in rows), key=lambda text: text.ids not in scored_ids
            )
            with batches.retry_smaller():
                readout = forward.read(batch, [text.positions for text in batch])
                first, _ = readout.cut(sum(text.ids in scored_ids for text in batch))
                # a transfer per batch, not per text, each of which would wait for the device
                for text, values in zip(
                    batch, first.split(forward.logprobs(first).cpu()), strict=False
                ):
                    logprobs[text.ids] = values
                if compared_ids:
                    all_states = readout.split(readout.states.cpu())
                    for text, text_states in zip(batch, all_states, strict=True):
                        if text.ids in compared_ids:
                            states[text.ids] = text_states
    # Tensors of inference mode cannot be used where gradients are wanted: clones can.
    return ReferenceOutputs(
        states={ids: values.clone() for ids, values in states.items()},
        logprobs={ids: values.clone() for ids, values in logprobs.items()},
    )
