"""The gradient of each text's loss with respect to a LoRA adapter, from one backward pass.

A layer computes W x + s B A x. With a = A x, and b the gradient of the summed loss with respect to
what B gives, a text's own gradients are sums over its tokens: of b a' for B and of (B' b) x' for A.
Texts of a batch do not touch each other, so that the sum of their losses has each text's own b.

What need not be computed is not: the gradients of frozen weights, of what lies below the first
layer that is adapted, and the sums over texts; the output layer where nothing is learnt; tokens
from the last that is learnt on, from which nothing is predicted. Texts are filled up on the right,
where a causal model does not look, so that attention needs no mask.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from peft.tuners.lora import Linear as LoraLinear
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import PreTrainedModel

from equipoise.errors import ModelError
from equipoise.inference.forward import Layout, hidden_at, logits_at, probe_layout
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.lm_head import OutputLayer, output_layer
from equipoise.inference.prefix_sharing import single
from equipoise.influence.learnt_texts import LearntText
from equipoise.models.device_copy import copy_to
from equipoise.models.kernels import evaluating, fast_matmul, fused_gelu
from equipoise.training.chunked_head import token_logprobs

#: Of a batch: 8 to 16 texts. More take memory, and a processor no less time.
CPU_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGradients:
    """The gradients of a batch of texts, formed a matrix of the adapter at a time, in float32."""

    losses: Float[Tensor, " text"]  # nats per learnt token; together: of all their tokens, once
    together: bool  # the batch is a single text, whose loss is the mean over all its tokens
    #: By layer: its adapter, what A was given, what B was given, and the gradient of what B gave.
    _layers: Sequence[tuple["AdaptedLayer", Tensor, Tensor, Tensor]]

    def matrices(self) -> Iterator[tuple[str, Float[Tensor, "text parameter"]]]:
        """Each matrix's name, in the order of `AdapterGradients.sizes`, and its gradients, flat."""
        for layer, x, a, b in self._layers:
            outer = b.float()
            yield layer.names[0], self._sum(outer @ layer.up.weight.float(), x.float())
            yield layer.names[1], self._sum(outer, a.float())

    def flat(self) -> Float[Tensor, "text parameter"]:
        """The gradients with respect to all parameters, one after the other."""
        return torch.cat([gradients for _, gradients in self.matrices()], dim=1)

    def _sum(self, outer: Tensor, inner: Tensor) -> Float[Tensor, "text parameter"]:
        """Sums of outer products over tokens: [text, token, out] and [text, token, in]."""
        if self.together:
            return (outer.flatten(0, 1).T @ inner.flatten(0, 1)).reshape(1, -1)
        return torch.bmm(outer.transpose(1, 2), inner).flatten(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedLayer:
    """A layer with LoRA: its two matrices, and their names among the module's parameters."""

    names: tuple[str, str]
    down: nn.Linear  # A
    up: nn.Linear  # B


class AdapterGradients:
    """Computes gradients with respect to the LoRA adapter that is on a model.

    Raises `ModelError` for a masked model, without an adapter, for one that is not plain LoRA on
    linear layers, for dropout that stays on, and for experts whose choice depends on the company
    of a token.
    """

    def __init__(self, model: LanguageModel) -> None:
        if model.kind != "causal":
            raise ModelError(
                f"a row's loss is that of a causal model, {model.identity} is {model.kind}; use a "
                "causal model"
            )
        self.model = model
        self.layers = adapted_layers(model.module)
        refuse_company(model.module)
        layout = probe_layout(model.module)
        self.layout: Layout = replace(layout, pack=False)
        self.head: OutputLayer | None = output_layer(model.module, self.layout)

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers in each matrix of the adapter, by its name, in the order of all flat vectors."""
        return {
            name: part.weight.numel()
            for layer in self.layers
            for name, part in zip(layer.names, (layer.down, layer.up), strict=True)
        }

    def compute(self, texts: Sequence[LearntText], *, together: bool = False) -> TextGradients:
        """Gradients of each text's mean loss over its learnt tokens.

        `together`: of the mean over the learnt tokens of all texts instead, as a step of training
        has it. Raises `ModelError` where a layer is not run exactly once over all tokens.
        """
        rows, longest = len(texts), max(text.length for text in texts)
        with ExitStack() as stack:
            stack.enter_context(_frozen(self.model.module))
            seen = stack.enter_context(_watched(self.layers, rows, longest))
            stack.enter_context(torch.enable_grad())
            losses = self._losses(texts, longest)
            if unseen := len(self.layers) - len(seen):
                raise ModelError(
                    f"every layer of an adapter must be run for every text, {unseen} of "
                    f"{len(self.layers)} were not; adapt other layers"
                )
            if together:
                counts = losses.new_tensor([len(text.positions) for text in texts])
                losses = ((losses * counts).sum() / counts.sum())[None]
            outputs = [seen[layer.names[0]][2] for layer in self.layers]
            gradients = torch.autograd.grad(losses.sum(), outputs)
        layers = [
            (layer, *seen[layer.names[0]][:2], gradient)
            for layer, gradient in zip(self.layers, gradients, strict=True)
        ]
        return TextGradients(losses=losses.detach(), together=together, _layers=layers)

    def losses(self, texts: Sequence[LearntText]) -> Float[Tensor, " text"]:
        """Each text's mean loss over its learnt tokens, in nats."""
        with torch.no_grad(), evaluating(self.model.module):
            return self._losses(texts, max(text.length for text in texts))

    def refuse_chance(self, text: LearntText) -> None:
        """Raise `ModelError` if a text's loss differs from pass to pass: dropout is on."""
        first, second = (float(self.losses([text])[0]) for _ in range(2))
        if first != second:
            raise ModelError(
                f"an adapter's dropout must be off when gradients are taken, the loss of a text "
                f"was {first:g} and then {second:g}; train the adapter with dropout 0"
            )

    def _losses(self, texts: Sequence[LearntText], longest: int) -> Float[Tensor, " text"]:
        module = self.model.module
        # the token at a position is predicted from the state of the position before it
        places = torch.tensor(
            [
                row * longest + position - 1
                for row, text in enumerate(texts)
                for position in text.positions
            ]
        )
        tokens = torch.tensor([text.ids[place] for text in texts for place in text.positions])
        places, tokens = copy_to(places, module.device), copy_to(tokens, module.device)
        ids = [text.ids[: text.length] for text in texts]
        packed = single(ids, range(len(ids)))
        # not `at_full_speed`, which allows no gradients
        with evaluating(module), fused_gelu(module), fast_matmul(module):
            if self.head is not None:
                states = hidden_at(module, packed, places, self.layout)
                logprobs = token_logprobs(states, self.head, tokens)
            else:
                logits = logits_at(module, packed, places, self.layout).float()
                logprobs = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
        counts = [len(text.positions) for text in texts]
        return -torch.stack([values.mean() for values in torch.split(logprobs, counts)])


def adapted_layers(module: PreTrainedModel) -> list[AdaptedLayer]:
    """The layers with LoRA, in the module's order.

    Raises `ModelError` without any, and for other kinds of adapters.
    """
    layers = []
    for name, part in module.named_modules():
        if not isinstance(part, BaseTunerLayer):
            continue
        active = list(part.active_adapters)
        plain = isinstance(part, LoraLinear) and len(active) == 1 and not part.merged
        if plain and not part.lora_variant and not part.lora_bias[active[0]]:
            down, up = part.lora_A[active[0]], part.lora_B[active[0]]
            names = (f"{name}.lora_A.{active[0]}.weight", f"{name}.lora_B.{active[0]}.weight")
            layers.append(AdaptedLayer(names=names, down=down, up=up))
            continue
        raise ModelError(
            f"gradients are taken of plain LoRA on linear layers, '{name}' has "
            f"{type(part).__name__} with {active or 'no adapter'}; train a LoRA adapter"
        )
    if not layers:
        raise ModelError(
            f"gradients are taken of a LoRA adapter, {type(module).__name__} has none; put it on "
            "first"
        )
    return layers


def refuse_company(module: PreTrainedModel) -> None:
    """Raise `ModelError` for a mixture of experts in which texts of a batch change each other."""
    config = module.config.get_text_config().to_dict()
    capacity = [key for key, value in config.items() if "capacity" in key and value]
    balance = ["output_router_logits"] if config.get("output_router_logits") else []
    if settings := capacity + balance:
        raise ModelError(
            f"a text's gradient must not depend on the texts beside it, the experts of "
            f"{type(module).__name__} have {settings[0]} = {config[settings[0]]!r}, a capacity or "
            "a loss of balance over the batch; switch it off in the model's configuration, or take "
            "a model without it"
        )


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """No parameter takes gradients inside: they begin at what the adapter's layers give."""
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learning:
        parameter.requires_grad = False
    try:
        yield
    finally:
        for parameter in learning:
            parameter.requires_grad_()


@contextmanager
def _watched(
    layers: Sequence[AdaptedLayer], rows: int, longest: int
) -> Iterator[dict[str, tuple[Tensor, Tensor, Tensor]]]:
    """What A was given, what B was given and what B gave, by A's name; filled by a forward pass."""
    seen: dict[str, tuple[Tensor, Tensor, Tensor]] = {}
    given: dict[str, Tensor] = {}

    def watch(layer: AdaptedLayer) -> None:
        key = layer.names[0]

        def before(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            given[key] = inputs[0].detach()

        def after(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if key in seen or output.shape[:-1] != (rows, longest):
                raise ModelError(
                    f"a layer of an adapter must be run once, over {rows} x {longest} tokens, "
                    f"'{key}' was given {list(output.shape[:-1])}{' again' * (key in seen)}; "
                    "adapt other layers (experts and shared layers cannot be told apart by text)"
                )
            if not output.requires_grad:  # nothing below it is adapted: the graph begins here
                output.requires_grad_()
            seen[key] = (given.pop(key), inputs[0].detach(), output)

        handles.append(layer.down.register_forward_pre_hook(before))
        handles.append(layer.up.register_forward_hook(after))

    handles: list[torch.utils.hooks.RemovableHandle] = []
    for layer in layers:
        watch(layer)
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
