"""The forward pass of a training on rows: log-probabilities of the tokens that are learnt.

A row of the batch is a training row, filled up on the right, where a causal model does not look,
so that no attention mask is needed and company changes nothing. The output layer is run at the
learnt positions alone (`chunked_head`).
"""

from collections.abc import Sequence
from dataclasses import replace

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
        counts = [len(row_places) for row_places in places]
        values = shared_forward(lambda share: self._logprobs(ids[share], places[share]), counts)
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

    def _logprobs(
        self, ids: Sequence[list[int]], places: Sequence[list[int]]
    ) -> Float[Tensor, " position"]:
        """Of all rows, one after another; rows that change each other run apart."""
        companies: dict[int, list[int]] = {}
        for number, row in enumerate(ids):
            companies.setdefault(self.layout.company(len(row)), []).append(number)
        values: dict[int, Tensor] = {}
        for numbers in companies.values():
            part = [ids[number] for number in numbers]
            part_places = [places[number] for number in numbers]
            split = torch.split(self._run(part, part_places), list(map(len, part_places)))
            values |= dict(zip(numbers, split, strict=True))
        return torch.cat([values[number] for number in range(len(ids))])

    def _run(
        self, ids: Sequence[list[int]], places: Sequence[list[int]]
    ) -> Float[Tensor, " position"]:
        module = self.model.module
        width = max(map(len, ids))
        # the token at a place is predicted from the state of the place before it
        before = [
            row * width + place - 1 for row, row_places in enumerate(places) for place in row_places
        ]
        tokens = [
            row[place] for row, row_places in zip(ids, places, strict=True) for place in row_places
        ]
        targets = torch.tensor(tokens, device=module.device)
        packed = single([tuple(row) for row in ids], range(len(ids)))
        run = hidden_at if self.head is not None else logits_at
        # not `at_full_speed`, which allows no gradients
        with fused_gelu(module), fast_matmul(module):
            states = run(module, packed, torch.tensor(before, device=module.device), self.layout)
            if self.head is not None:
                return token_logprobs(states, self.head, targets)
        return states.float().log_softmax(-1).gather(1, targets[:, None])[:, 0]
