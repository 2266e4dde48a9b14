"""The forward pass of a training on rows: log-probabilities of the tokens that are learnt.

A row of the batch is a training row, filled up on the right, where a causal model does not look,
so that no attention mask is needed and company changes nothing. The output layer is run at the
learnt positions alone (`chunked_head`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.inference.batches import Batches
from equipoise.inference.forward import at_full_speed, hidden_at, logits_at, probe_layout
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.lm_head import output_layer
from equipoise.inference.prefix_sharing import single
from equipoise.models.kernels import fast_matmul, fused_gelu
from equipoise.training.chunked_head import token_logprobs
from equipoise.training.data_parallel import shared_forward
from equipoise.training.row_tokens import TokenizedRows

Read: TypeAlias = Callable[[Tensor, Sequence[int]], Tensor]


class RowForward:
    """Runs a causal model over tokenized rows; made before an adapter is put in."""

    def __init__(self, model: LanguageModel) -> None:
        self.model = model
        self.layout = replace(probe_layout(model.module), pack=False)
        self.head = output_layer(model.module, self.layout)

    def token_logprobs(
        self, rows: TokenizedRows, chosen: Sequence[int] | None = None
    ) -> list[Float[Tensor, " position"]]:
        """Log-probability (nats) of each learnt token, a tensor per chosen row; None: all rows.

        With gradients where the caller has them on. In data-parallel training each process runs
        its share of the rows.
        """
        numbers = list(range(len(rows.ids)) if chosen is None else chosen)
        ids = [rows.ids[number] for number in numbers]
        places = [rows.positions(number) for number in numbers]
        tokens = [
            torch.tensor([row[place] for place in row_places], device=self.model.module.device)
            for row, row_places in zip(ids, places, strict=True)
        ]

        def read(states: Tensor, numbers: Sequence[int]) -> Tensor:
            targets = torch.cat([tokens[number] for number in numbers])
            if self.head is not None:
                return token_logprobs(states, self.head, targets)
            return states.float().log_softmax(-1).gather(1, targets[:, None])[:, 0]

        return self.read(ids, places, read)

    def read(
        self, ids: Sequence[list[int]], places: Sequence[list[int]], read: Read
    ) -> list[Tensor]:
        """What `read` makes of the states before the places of each row, a tensor per row.

        A place is that of a token which is foretold, or directly behind the last. `read` is given
        what the output layer reads (logits, of a model whose layer cannot be run by itself) at all
        places of some rows, and the numbers of the rows; it gives a number per place.
        """
        counts = [len(row_places) for row_places in places]
        numbers = list(range(len(ids)))
        values = shared_forward(
            lambda share: self._read_companies(ids, places, numbers[share], read), counts
        )
        return list(torch.split(values, counts))

    def mean_losses(
        self, rows: TokenizedRows, chosen: Sequence[int] | None = None
    ) -> Float[Tensor, " row"]:
        """Mean over its learnt tokens of a row's negative log-probability, in nats."""
        return -torch.stack([values.mean() for values in self.token_logprobs(rows, chosen)])

    def measured(self, rows: TokenizedRows) -> list[Float[Tensor, " position"]]:
        """As `token_logprobs` of all rows, without gradients, in batches; on the CPU."""
        measured: list[Tensor] = [torch.empty(0)] * len(rows.ids)
        batches = Batches(self.model, list(map(len, rows.ids)))
        with at_full_speed(self.model.module):
            for batch in batches:
                with batches.retry_smaller():
                    values = self.token_logprobs(rows, batch)
                    for number, row_values in zip(batch, values, strict=True):
                        measured[number] = row_values.float().cpu()
        # tensors of inference mode cannot be used where gradients are wanted: clones can
        return [values.clone() for values in measured]

    def _read_companies(
        self,
        ids: Sequence[list[int]],
        places: Sequence[list[int]],
        numbers: Sequence[int],
        read: Read,
    ) -> Float[Tensor, " position"]:
        """Of these rows, one after another; rows that change each other run apart."""
        values: dict[int, Tensor] = {}
        for company in self._companies(ids, numbers):
            chosen = [places[number] for number in company]
            with self.at_speed():
                joined = read(self.states([ids[number] for number in company], chosen), company)
            split = torch.split(joined, list(map(len, chosen)))
            values |= dict(zip(company, split, strict=True))
        return torch.cat([values[number] for number in numbers])

    def states_of(
        self, ids: Sequence[list[int]], places: Sequence[list[int]]
    ) -> Iterator[Float[Tensor, "position width"]]:
        """As `states`, a tensor per row; rows that change each other run apart."""
        read: dict[int, Tensor] = {}
        for company in self._companies(ids, range(len(ids))):
            chosen = [places[number] for number in company]
            joined = self.states([ids[number] for number in company], chosen)
            split = torch.split(joined, list(map(len, chosen)))
            read |= dict(zip(company, split, strict=True))
        return (read[number] for number in range(len(ids)))

    def logits(self, states: Float[Tensor, "position width"]) -> Float[Tensor, "position _"]:
        """Logits of states."""
        return states if self.head is None else self.head.logits(states)

    def _companies(self, ids: Sequence[list[int]], numbers: Iterable[int]) -> Iterable[list[int]]:
        """The numbers of rows that may run together."""
        companies: dict[int, list[int]] = {}
        for number in numbers:
            companies.setdefault(self.layout.company(len(ids[number])), []).append(number)
        return companies.values()

    @contextmanager
    def at_speed(self) -> Iterator[None]:
        """A `with` block for a forward pass that may need gradients."""
        # not `at_full_speed`, which allows no gradients
        with fused_gelu(self.model.module), fast_matmul(self.model.module):
            yield

    def states(
        self, ids: Sequence[list[int]], places: Sequence[list[int]]
    ) -> Float[Tensor, "position width"]:
        """What the output layer reads before each place of each row; logits without `head`."""
        module = self.model.module
        width = max(map(len, ids))
        # the token at a place is predicted from the state of the place before it
        before = [
            row * width + place - 1 for row, row_places in enumerate(places) for place in row_places
        ]
        packed = single([tuple(row) for row in ids], range(len(ids)))
        run = hidden_at if self.head is not None else logits_at
        return run(module, packed, torch.tensor(before, device=module.device), self.layout)
