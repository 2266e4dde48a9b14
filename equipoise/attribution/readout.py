"""A difference of two logits as a linear function of the last hidden state: two rows are enough.

What the model does to its logits afterwards is read off it: a constant factor (Cohere, Granite) is
kept, and a soft cap (Gemma 2), which changes no order, is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.errors import ModelError
from equipoise.inference.forward import Layout, has_output_layer, logits_at
from equipoise.inference.prefix_sharing import tree
from equipoise.models.kernels import evaluating

_TOKENS = ((5, 6, 7, 2),)
_TOLERANCE, _HALF_TOLERANCE = 1e-3, 2e-2  # of the spread of the logits


@dataclass(frozen=True, slots=True, kw_only=True)
class Readout:
    """The output layer, and the factor by which its logits are multiplied before any cap."""

    layer: nn.Module
    factor: float

    def logits(self, hidden: Float[Tensor, "place feature"]) -> Float[Tensor, "place vocabulary"]:
        """All logits before any cap, as the layer has them: their order is the model's."""
        dtype = next(self.layer.parameters()).dtype
        logits: Tensor = self.layer(hidden.to(dtype) if dtype.is_floating_point else hidden)
        return logits

    def rows(
        self, tokens: Sequence[int], width: int
    ) -> tuple[Float[Tensor, "token feature"], Float[Tensor, " token"]]:
        """What the logit of each token is: factor * (row · hidden + bias), in float32.

        Of a layer that is no plain `Linear` (an adapter, quantized) the rows are its gradients.
        """
        if type(self.layer) is nn.Linear:
            index = torch.tensor(list(tokens), device=self.layer.weight.device)
            bias = self.layer.bias
            table = self.layer.weight.detach()[index].float()
            biases = table.new_zeros(len(tokens)) if bias is None else bias.detach()[index].float()
            return self.factor * table, self.factor * biases
        weight = next(self.layer.parameters())
        dtype = weight.dtype if weight.is_floating_point() else torch.bfloat16
        with torch.inference_mode(False), torch.enable_grad():
            hidden = torch.zeros(
                len(tokens), width, device=weight.device, dtype=dtype, requires_grad=True
            )
            logits = self.layer(hidden)
            chosen = torch.tensor(list(tokens), device=logits.device)
            biases = logits.gather(1, chosen[:, None])[:, 0]
            (rows,) = torch.autograd.grad(biases.sum(), hidden)
        return self.factor * rows.float(), self.factor * biases.detach().float()

    def differences(
        self, first: Sequence[int], second: Sequence[int], width: int
    ) -> tuple[Float[Tensor, "pair feature"], Float[Tensor, " pair"]]:
        """Row and constant of the logit of each first token minus that of each second, float32."""
        tokens = list(dict.fromkeys([*first, *second]))
        rows, biases = self.rows(tokens, width)
        index = {token: place for place, token in enumerate(tokens)}
        left: Int[Tensor, " pair"] = torch.tensor([index[token] for token in first])
        right: Int[Tensor, " pair"] = torch.tensor([index[token] for token in second])
        return rows[left] - rows[right], biases[left] - biases[right]


def find_readout(module: PreTrainedModel, layout: Layout) -> Readout:
    """How logits follow from the last hidden state, tried on a few tokens.

    Raises `ModelError` where they are not those of the output layer times a constant, with or
    without a soft cap.
    """
    if not has_output_layer(module):
        raise _refusal(module, "it names no output layer")
    layer = module.get_output_embeddings()
    row = tree(_TOKENS, (0,))
    places = torch.arange(len(_TOKENS[0]), device=module.device)
    cap = module.config.get_text_config().to_dict().get("final_logit_softcapping")
    outputs: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, out: outputs.append(out))
    try:
        with torch.no_grad(), evaluating(module):
            logits = logits_at(module, [row], places, layout).float()
    finally:
        handle.remove()
    if not outputs:
        raise _refusal(module, "it does not run its output layer")
    plain = outputs[0].flatten(0, -2).float()
    if plain.shape != logits.shape:
        raise _refusal(module, f"its output layer gives {plain.shape[-1]} logits")
    finite = logits.isfinite()  # some put minus infinity where nothing may be written
    logits, plain = logits[finite].double(), plain[finite].double()
    half = module.dtype not in (torch.float32, torch.float64)
    tolerance = (_HALF_TOLERANCE if half else _TOLERANCE) * float(logits.std())
    uncapped = [logits]
    if cap:
        uncapped.append(cap * torch.atanh((logits / cap).clamp(-1 + 1e-9, 1 - 1e-9)))
    apart = []
    for expected in reversed(uncapped):
        factor = float((plain * expected).sum() / plain.square().sum())
        capped = factor * plain
        if expected is not logits:
            capped = cap * torch.tanh(capped / cap)
        apart.append(float((capped - logits).abs().max()))
        if apart[-1] <= tolerance:
            # a factor of 1 is known exactly
            return Readout(layer=layer, factor=1.0 if abs(factor - 1) < 1e-3 else factor)
    raise _refusal(module, f"its logits differ from those of its output layer by {min(apart):.2g}")


def _refusal(module: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"{type(module).__name__} must make its logits by one linear layer for two of them to be "
        f"compared at the last hidden state, but {reason}; take another model"
    )
