"""The output layer of a model, with what its family does to the logits afterwards: scale and cap.

Cohere multiplies logits, Granite divides them, Gemma 2 caps them smoothly. Where that is all,
log-probabilities follow from what the layer reads, and no logits need be kept.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from equipoise.inference.forward import Layout, has_output_layer, hidden_at, logits_at
from equipoise.inference.prefix_sharing import tree

_TOLERANCE = 1e-4  # of the spread of the logits


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputLayer:
    """Logits from hidden states: cap * tanh(scale / divisor * (W h + b) / cap), or without the cap.

    In the layer's own number format and in the order in which the families compute: rounded as they
    round.
    """

    linear: nn.Linear
    scale: float = 1.0
    divisor: float = 1.0
    cap: float | None = None  # logits stay in (-cap, cap)

    def logits(
        self,
        hidden: Float[Tensor, "place width"],
        *,
        out: Float[Tensor, "place vocabulary"] | None = None,
    ) -> Float[Tensor, "place vocabulary"]:
        """Unnormalized log-probabilities of the next token; `out` is memory that may be used."""
        memory = {} if out is None else {"out": out}
        logits = linear(hidden, self.linear.weight, self.linear.bias, **memory)
        if self.scale != 1:
            logits = logits * self.scale
        if self.divisor != 1:
            logits = logits / self.divisor
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap

    def gradient(
        self, outer: Float[Tensor, "place vocabulary"], logits: Float[Tensor, "place vocabulary"]
    ) -> Float[Tensor, "place width"]:
        """From the gradient of the logits to that of the hidden states; may write over `outer`."""
        if self.cap is not None:
            outer = outer.mul_(1 - (logits / self.cap).square())
        if self.scale != self.divisor:
            outer = outer.mul_(self.scale / self.divisor)
        return linear(outer.to(self.linear.weight.dtype), self.linear.weight.T)


def output_layer(module: PreTrainedModel, layout: Layout) -> OutputLayer | None:
    """The output layer when it makes the logits: as the configuration scales and caps, or bare.

    Tried on a few tokens. None where the module does anything else to them.
    """
    layer = module.get_output_embeddings() if has_output_layer(module) else None
    if not isinstance(layer, nn.Linear):
        return None
    row = tree(((5, 6, 7, 2),), (0,))
    places = torch.arange(4, device=module.device)
    config = module.config.get_text_config().to_dict()
    configured = OutputLayer(
        linear=layer,
        scale=_nonzero(config.get("logit_scale")) or 1.0,
        divisor=_nonzero(config.get("logits_scaling")) or 1.0,
        cap=_nonzero(config.get("final_logit_softcapping")),
    )
    with torch.no_grad():
        expected = logits_at(module, [row], places, layout).float()
        hidden = hidden_at(module, [row], places, layout)
        # some families state a scale in their configuration and do not use it
        for head in (configured, OutputLayer(linear=layer)):
            logits = head.logits(hidden).float()
            if logits.shape == expected.shape and bool(
                (logits - expected).abs().max() <= _TOLERANCE * expected.std()
            ):
                return head
    return None


def _nonzero(value: object) -> float | None:
    """A number that is not 0; None for anything else that a configuration may hold."""
    return float(value) if isinstance(value, int | float) and value else None
