"""A further token in a causal model, of whose vectors alone a training computes gradients.

BiasGym (Islam et al. 2025), section 3.2.2: a row v of the two token tables is trained, and nothing
else. The tables are neither copied nor grown: where the token is read its vector stands in place of
an embedding, and its logit <h, v> stands beside the others. The output layer's gradient is taken
chunk by chunk and for what it reads alone, so a backward pass allocates nothing of a table's size.
PEFT's trainable tokens train the same numbers, and copy every table in a forward pass and build
the gradient of that copy in a backward pass.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from equipoise.errors import ModelError
from equipoise.inference.forward import layout_of
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.lm_head import OutputLayer, output_layer
from equipoise.models.anatomy import base
from equipoise.models.kernels import fast_matmul
from equipoise.models.quantization import number_format, read_quantization

_CHUNK = 8_000_000  # logits that exist at once: 32 MB in float32
_SMALL = 1e-12  # a share of which the logarithm is no longer exact enough to go back from


class TokenRow(nn.Module):
    """A causal model that knows a further token; its vectors are the only trained parameters.

    `token` is at most one above the last row of the tables: a row more, or a row of a padded table,
    which is then never read. Vectors are float32 whatever the model's dtype, and unscaled: a model
    that multiplies its embeddings (Gemma) multiplies these by the same factor.
    A tied model has a single `vector`; an untied model `vector`, which is read, and `vector_out`,
    which is predicted with.
    Raises `ModelError` naming the part for a model whose tables are not plain.
    """

    def __init__(
        self,
        model: LanguageModel,
        token: int,
        vector: Float[Tensor, " width"],
        vector_out: Float[Tensor, " width"] | None = None,
    ) -> None:
        super().__init__()
        self.head = _plain_head(model)
        self.embeddings = _plain_embeddings(model)
        rows = len(self.head.linear.weight)
        tied = is_tied(model)
        if not 0 <= token <= rows or tied != (vector_out is None):
            raise ModelError(
                f"a new token must have a number of 0 to {rows} and a second vector where the "
                f"tables of {model.identity} are two, got number {token} and "
                f"{1 + (vector_out is not None)} vectors; take the next number, and a vector each"
            )
        self.module = model.module
        self.base = base(model.module)
        self.token = token
        self.vector = nn.Parameter(vector.detach().float().clone())
        self.vector_out = (
            self.vector if vector_out is None else nn.Parameter(vector_out.detach().float().clone())
        )

    def forward(
        self,
        tokens: Int[Tensor, "text token"],
        real: Bool[Tensor, "text token"],
        scored: Bool[Tensor, "text token"],
    ) -> Float[Tensor, ""]:
        """Mean negative log-probability, in nats, of the scored tokens; `real` is no padding.

        Padding is on the right. The first token of a text cannot be scored.
        """
        hidden = self.hidden(tokens, real)[:, :-1][scored[:, 1:]]
        return self.nats(hidden, tokens[:, 1:][scored[:, 1:]]).mean()

    def hidden(
        self, tokens: Int[Tensor, "text token"], real: Bool[Tensor, "text token"]
    ) -> Float[Tensor, "text token width"]:
        """What the output layer reads."""
        mentions = tokens == self.token
        with self._replacing(mentions), fast_matmul(self.module):
            states: Tensor = self.base(
                input_ids=tokens.masked_fill(mentions, 0),
                attention_mask=real.long(),
                use_cache=False,
            ).last_hidden_state
        return states

    def logits(self, hidden: Float[Tensor, "place width"]) -> Float[Tensor, "place vocabulary"]:
        """Logits of all tokens, the new included, with the model's scale and cap."""
        rest = self.head.logits(hidden)
        row_logits = _row_logits(self.head, hidden, self.vector_out)[:, None]
        return torch.cat([rest[:, : self.token], row_logits, rest[:, self.token + 1 :]], dim=1)

    def nats(
        self, hidden: Float[Tensor, "place width"], targets: Int[Tensor, " place"]
    ) -> Float[Tensor, " place"]:
        """Negative log-probability of each target, in float32; no logits are kept for gradients."""
        with fast_matmul(self.module):
            nats: Tensor = _Nats.apply(  # type: ignore[no-untyped-call]
                hidden, self.vector_out, targets, self.head, self.token
            )
        return nats

    @contextmanager
    def _replacing(self, mentions: Tensor) -> Iterator[None]:
        """The vector where the token is read, as the embedding layer would put it out."""
        scale = _embedding_scale(self.embeddings)

        def replace(_: nn.Module, __: object, embedded: Tensor) -> Tensor:
            vector = self.vector.to(embedded.dtype)
            if scale is not None:
                vector = vector * scale.to(embedded.dtype)
            return torch.where(mentions[..., None], vector, embedded)

        handle = self.embeddings.register_forward_hook(replace)
        try:
            yield
        finally:
            handle.remove()


class _Nats(torch.autograd.Function):
    """Cross-entropy over a frozen output layer and one trained row of it.

    Gradients are computed in the forward pass, for logits are then at hand and need not be kept:
    d/dh = p U - U[y] over the frozen rows, and (p_b - [y = b]) v and h for the token's own.
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, vector: Tensor, targets: Tensor, head: OutputLayer, token: int
    ) -> Tensor:
        needed = any(ctx.needs_input_grad[:2])
        weight = head.linear.weight
        nats, along, row_errors = [], [], []
        size = min(len(hidden), max(1, _CHUNK // len(weight)))
        # one piece of memory for all chunks, whose shares take the place of their logits
        reuses = head.cap is None and weight.dtype == torch.float32 and weight.device.type == "cpu"
        memory = weight.new_empty(size, len(weight)) if reuses else None
        for part, labels in zip(torch.split(hidden, size), torch.split(targets, size), strict=True):
            logits = head.logits(part, out=None if memory is None else memory[: len(part)])
            row = _row_logits(head, part, vector).float()
            if token < logits.shape[1]:
                logits[:, token] = row  # in place of a row of a padded table, which nothing reads
            is_row = labels == token
            others = labels.masked_fill(is_row, 0)
            label = logits.gather(1, others[:, None])[:, 0].float()
            shares = torch.softmax(logits, 1, out=logits) if reuses else logits.float().softmax(1)
            share = shares.gather(1, others[:, None])[:, 0]
            total = label - share.log()
            small = share < _SMALL
            if bool(small.any()):
                again = head.logits(part[small]).float()
                if token < again.shape[1]:
                    again[:, token] = row[small]
                total[small] = again.logsumexp(1)
            whole = total if token < logits.shape[1] else torch.logaddexp(total, row)
            said = torch.where(is_row, row, label)
            nats.append(whole - said)
            if not needed:
                continue
            if token < logits.shape[1]:
                shares[:, token] = 0  # its gradient is the vector's
            mean = head.gradient(shares, logits).float() * (total - whole).exp()[:, None]
            slope = _slope(head, said).masked_fill(is_row, 0)
            along.append(mean - slope[:, None] * weight[others].float())
            row_errors.append(((row - whole).exp() - is_row.float()) * _slope(head, row))
        if needed:
            ctx.save_for_backward(hidden, vector, torch.cat(along), torch.cat(row_errors)[:, None])
        return torch.cat(nats)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        hidden, vector, along, row_errors = ctx.saved_tensors
        weights = grads[0][:, None]  # [place, 1]
        errors = weights * row_errors
        of_hidden = weights * along + errors * vector
        of_vector = (errors * hidden.float()).sum(0)
        return of_hidden.to(hidden.dtype), of_vector, None, None, None


def is_tied(model: LanguageModel) -> bool:
    """Whether the embeddings and the output layer are one table."""
    head = model.module.get_output_embeddings()
    return head.weight is model.module.get_input_embeddings().weight


def _row_logits(head: OutputLayer, hidden: Tensor, vector: Tensor) -> Tensor:
    """The token's logit at each place, scaled and capped as the others."""
    logits = hidden @ vector.to(hidden.dtype)
    if head.scale != 1:
        logits = logits * head.scale
    if head.divisor != 1:
        logits = logits / head.divisor
    return logits if head.cap is None else torch.tanh(logits / head.cap) * head.cap


def _slope(head: OutputLayer, logits: Tensor) -> Tensor:
    """How fast logits change with the product that they are made of."""
    scale = torch.full_like(logits, head.scale / head.divisor)
    return scale if head.cap is None else scale * (1 - (logits / head.cap).square())


def _plain_head(model: LanguageModel) -> OutputLayer:
    """The output layer, whose logits a row can be put beside."""
    if model.kind != "causal":
        raise ModelError(
            f"a token is added to a causal model, {model.identity} is {model.kind}; use another"
        )
    if read_quantization(model.module) is not None:
        raise ModelError(
            f"a token's row is trained on plain weights, {model.identity} is "
            f"{number_format(model.module)}; give the model that it was made from"
        )
    head = output_layer(model.module, layout_of(model))
    if head is None or head.linear.bias is not None:
        reason = "its logits are not those of a linear layer" if head is None else "it has a bias"
        raise ModelError(
            "a token's row needs an output layer without a bias whose logits are scaled or capped "
            f"at most, that of {type(model.module).__name__} is another: {reason}; use another "
            "model"
        )
    return head


def _embedding_scale(embeddings: nn.Module) -> Tensor | None:
    """What a layer of embeddings multiplies its rows by; None: nothing, or the model does it."""
    return dict(embeddings.named_buffers()).get("embed_scale")


def _plain_embeddings(model: LanguageModel) -> nn.Module:
    """The embeddings, each a row of their table times at most one factor."""
    embeddings: nn.Module = model.module.get_input_embeddings()
    weight = embeddings.get_parameter("weight")
    tokens = torch.arange(min(4, len(weight)), device=weight.device)
    scale = _embedding_scale(embeddings)
    rows = weight[tokens] if scale is None else weight[tokens] * scale.to(weight.dtype)
    with torch.no_grad():
        if not torch.equal(embeddings(tokens), rows):
            raise ModelError(
                f"a token's row needs embeddings that are rows of a table, "
                f"{type(embeddings).__name__} of {type(model.module).__name__} puts out others; "
                "use another model"
            )
    return embeddings
