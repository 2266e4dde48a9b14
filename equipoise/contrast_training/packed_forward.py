"""One packed forward of the texts of a training step; what it reads, and what it was before.

The reference is the model before training: its hidden states at every place that is ever compared,
and its log-probabilities, are constants, computed once before anything is attached.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from equipoise.contrast_training.tokenized import Coded
from equipoise.inference.batching import run_in_batches
from equipoise.inference.forward import Layout, hidden_at, logits_at
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.layout import causal_layout
from equipoise.inference.lm_head import OutputLayer, output_layer
from equipoise.inference.prefix_sharing import pack, single
from equipoise.models.context import attention_window
from equipoise.models.kernels import fast_matmul, fused_gelu
from equipoise.models.tokenization import Ids
from equipoise.training.lm_head_losses import Direction, divergence, token_logprobs


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Texts of a step and, for each, the places (each > 0) whose tokens are to be predicted."""

    texts: Sequence[Coded]
    places: Sequence[Sequence[int]]  # [text][place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What stands at the places that were asked for, text after text, flat: [place, …]."""

    states: Float[Tensor, "place state"]  # hidden states; logits where `TextReader.head` is None
    tokens: Int[Tensor, " place"]
    counts: tuple[int, ...]  # places of each text

    def first(self, texts: int) -> "Read":
        """What was read of the first so many texts."""
        places = sum(self.counts[:texts])
        return Read(
            states=self.states[:places], tokens=self.tokens[:places], counts=self.counts[:texts]
        )

    def after(self, texts: int) -> "Read":
        """What was read of all texts but the first so many."""
        places = sum(self.counts[:texts])
        return Read(
            states=self.states[places:], tokens=self.tokens[places:], counts=self.counts[texts:]
        )

    def split(self, values: Float[Tensor, " place"]) -> list[Float[Tensor, " _"]]:
        """Values at places, a tensor a text."""
        return list(torch.split(values, list(self.counts)))


class TextReader:
    """Reads texts with a causal model, in few rows: shared beginnings are computed once."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.layout: Layout = causal_layout(model.module)
        self.head: OutputLayer | None = output_layer(model.module, self.layout)

    def read(self, asked: Asked) -> Read:
        """One forward pass over all texts; gradients flow where somebody wants them."""
        module = self.model.module
        order: dict[Ids, int] = {}  # equal texts are one
        numbers = [order.setdefault(text.ids, len(order)) for text in asked.texts]
        ids = list(order)
        layout = self._layout(ids)
        rows = pack(ids, range(len(ids))) if layout.pack else single(ids, range(len(ids)))
        length = max(map(len, rows))
        where = {
            number: [index * length + place for place in path]
            for index, row in enumerate(rows)
            for number, path in row.paths.items()
        }
        flat = [
            where[number][place - 1]
            for number, places in zip(numbers, asked.places, strict=True)
            for place in places
        ]
        distinct = {place: slot for slot, place in enumerate(dict.fromkeys(flat))}
        with fused_gelu(module), fast_matmul(module):
            read = hidden_at if self.head is not None else logits_at
            states = read(module, rows, torch.tensor(list(distinct), device=module.device), layout)
        chosen = torch.tensor([distinct[place] for place in flat], device=states.device)
        tokens = [
            text.ids[place]
            for text, places in zip(asked.texts, asked.places, strict=True)
            for place in places
        ]
        return Read(
            states=states[chosen],
            tokens=torch.tensor(tokens, device=states.device),
            counts=tuple(map(len, asked.places)),
        )

    def _layout(self, texts: Sequence[Ids]) -> Layout:
        """As `causal_layout`; in a packed row an attention window would count neighbours."""
        window = attention_window(self.model.module)
        fits = window is None or max(map(len, texts)) <= window
        return self.layout if fits else replace(self.layout, pack=False)

    def logprobs(self, read: Read) -> Float[Tensor, " place"]:
        """Log-probability (nats) of each place's own token."""
        if self.head is not None:
            with fast_matmul(self.model.module):
                return token_logprobs(read.states, self.head, read.tokens)
        return read.states.float().log_softmax(-1).gather(1, read.tokens[:, None])[:, 0]

    def divergence(
        self, read: Read, reference: Float[Tensor, "place state"], direction: Direction
    ) -> Float[Tensor, " place"]:
        """KL divergence (nats, 0: as before) of the next token's distribution at each place."""
        reference = reference.to(read.states.device)
        if self.head is not None:
            with fast_matmul(self.model.module):
                return divergence(read.states, reference, self.head, direction=direction)
        model, before = read.states.float().log_softmax(-1), reference.float().log_softmax(-1)
        if direction == "reverse":
            model, before = before, model
        return (before.exp() * (before - model)).sum(-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What the model read before it was trained, by the ids of a text."""

    states: Mapping[Ids, Float[Tensor, "_ state"]]  # at every place from 1 on
    logprobs: Mapping[Ids, Float[Tensor, " _"]]  # of every token from place 1 on; of scored texts

    def at(self, one: Coded, places: Sequence[int]) -> Float[Tensor, "place state"]:
        """States at some places of a text."""
        return self.states[one.ids][torch.tensor([place - 1 for place in places])]

    def total(self, one: Coded) -> float:
        """Log-probability (nats) of the text's span."""
        return float(self.logprobs[one.ids][[place - 1 for place in one.span]].sum())


def read_before(
    reader: TextReader, *, scored: Sequence[Coded], compared: Sequence[Coded]
) -> Before:
    """The reference: log-probabilities of `scored` texts, states of `compared` ones.

    States take width x 4 bytes a token (float32) and stay in the processor's memory.
    """
    states: dict[Ids, Tensor] = {}
    logprobs: dict[Ids, Tensor] = {}
    wanted = {one.ids for one in compared}
    texts = list({one.ids: one for one in (*scored, *compared)}.values())

    asked = {one.ids for one in scored}

    def run(batch: list[int]) -> None:
        some = sorted((texts[number] for number in batch), key=lambda one: one.ids not in asked)
        found = reader.read(Asked(texts=some, places=[one.places for one in some]))
        each = zip(some, torch.split(found.states, list(found.counts)), strict=True)
        for one, own in each:
            if one.ids in wanted:
                states[one.ids] = own.cpu()
        # the others need no output layer
        first = found.first(sum(one.ids in asked for one in some))
        for one, values in zip(some, first.split(reader.logprobs(first)), strict=False):
            logprobs[one.ids] = values.cpu()

    run_in_batches(reader.model, [len(text.ids) for text in texts], run)
    # tensors of inference mode cannot be used where gradients are wanted
    return Before(
        states={key: one.clone() for key, one in states.items()},
        logprobs={key: one.clone() for key, one in logprobs.items()},
    )
