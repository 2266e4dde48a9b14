"""HeadScaleEdit: the output of some attention heads scaled, at every position.

A head's output z is what the projection after attention reads in the head's features. Nothing but
a matrix product lies behind it, so that scaling z and scaling the head's columns of the projection
are the same thing (BiasGym, section 3.3.2, sets the scale to 0), and the weights can hold it.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from equipoise.edits.base import HEAD, Edit, Stored, described
from equipoise.edits.edit import EditInfo, check_base
from equipoise.errors import ModelError, StoreError
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import attention_output, blocks, heads
from equipoise.models.quantization import number_format, read_quantization
from equipoise.records import JSON

#: A head: its block and its number in it, both counted from 0.
Head = tuple[int, int]

_FILE = "heads.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class HeadScaleEdit(Edit):
    """Heads whose output z becomes scale * z, or scale * z + (1 - scale) * mean where means exist.

    Scale 1: nothing changes; 0: the heads are gone, or give their mean whatever they read. An edit
    without heads changes nothing. Attached, the projection's columns hold it, and its bias the
    means; on quantized weights, and where an adapter sits on the projection, a hook on what the
    projection reads does the same: `model.source["edits"]` says which (`applied`). At scale 0 the
    two are equal to the bit.

    `info.base_fingerprint` is `edit.fingerprint(module, weight_names(module, heads))`. A block or a
    head that does not exist, and heads that the projection does not read, raise `ModelError`.
    """

    kind: ClassVar[str] = "heads"

    heads: tuple[Head, ...]
    scale: float = 0.0
    means: Mapping[str, Tensor] = field(default_factory=dict)  # "3.7" to [feature of the head]
    #: What `restore` puts back, as in the model that it was learnt on: "3.7" to the head's columns
    #: [output, feature of the head], and "3" to the bias of the block's projection. Empty where
    #: the weights are quantized.
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    biases: Mapping[str, Tensor] = field(default_factory=dict)

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:
        """Scale the columns of the heads, or put hooks where the weights cannot hold it."""
        module = model.module
        layers = {number: output_projection(module, number) for number in self._by_block()}
        for number, chosen in self._by_block().items():
            check_heads(module, number, chosen)
        check_base(model, self.info, weight_names(module, self.heads))
        hooked = _hook_reason(model, layers.values())
        for number, layer in layers.items():
            factors, added = self._change(module, number)
            if hooked:
                undo.callback(layer.register_forward_pre_hook(_hook(factors, added)).remove)
            else:
                _scale_columns(layer, factors, added, undo)
        edited = described(model, self)
        return replace(edited, source=_with_applied(edited.source, hooked))

    def restore(self, model: LanguageModel) -> None:
        """Put the original columns and biases back into a model that has the edit in its weights.

        For a merged folder: all else being equal it then has the bytes that it had before, where
        the dtype holds them. Raises `ModelError` for an edit without the originals, and for a model
        whose columns are not those that the edit leaves.
        """
        if len(self.columns) < len(self.heads):
            raise ModelError(
                f"an edit must hold the original columns to be undone, this edit has those of "
                f"{len(self.columns)} of {len(self.heads)} heads; load {self.info.base} itself"
            )
        for number, chosen in self._by_block().items():
            check_heads(model.module, number, chosen)
            layer = output_projection(model.module, number)
            weight, size = _columns(layer), heads(model.module).size
            factors, _ = self._change(model.module, number)
            for head in chosen:
                place = slice(head * size, (head + 1) * size)
                original = self.columns[label(number, head)].to(weight.device, weight.dtype)
                left = original.float() * factors[place].to(weight.device)
                # to the rounding of the dtype that it was merged in; at scale 0 there is none
                if not torch.allclose(weight[:, place].float(), left, rtol=0.01, atol=0.0):
                    raise ModelError(
                        f"a model must have the edit merged to be set back, the columns of head "
                        f"{label(number, head)} of {model.identity} are not those that "
                        f"'{self.info.method}' leaves; give the folder it was merged into"
                    )
                with torch.no_grad():
                    weight[:, place] = original
            bias = _bias(layer)
            if self.means and bias is not None:
                # a bias that the merged model alone has was made of nothing
                kept = self.biases.get(str(number), torch.zeros_like(bias))
                with torch.no_grad():
                    bias.copy_(kept)

    def _by_block(self) -> dict[int, list[int]]:
        chosen: dict[int, list[int]] = {}
        for number, head in sorted(set(self.heads)):
            chosen.setdefault(number, []).append(head)
        return chosen

    def _change(self, module: PreTrainedModel, number: int) -> tuple[Tensor, Tensor | None]:
        """What each feature that a block's projection reads is multiplied by, and what is added."""
        layout = heads(module)
        factors = torch.ones(layout.count * layout.size)
        added = torch.zeros_like(factors)
        for head in self._by_block()[number]:
            place = slice(head * layout.size, (head + 1) * layout.size)
            factors[place] = self.scale
            if self.means:
                added[place] = (1 - self.scale) * self.means[label(number, head)].float()
        return factors, added if self.means else None

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        chosen, scale = stored.values.get("heads"), stored.values.get("scale")
        if not isinstance(chosen, list) or not isinstance(scale, int | float):
            raise StoreError(
                f"{folder / HEAD} must list heads and a scale, got {chosen!r:.80} and {scale!r}; "
                "save again"
            )
        parts: dict[str, dict[str, Tensor]] = {"mean": {}, "columns": {}, "bias": {}}
        for name, tensor in stored.tensors.items():
            part, _, place = name.partition(".")
            if part not in parts:
                raise StoreError(f"{folder / _FILE} must hold no '{name}'; save the edit again")
            parts[part][place] = tensor
        return cls(
            info=info,
            heads=tuple(parse(str(name)) for name in chosen),
            scale=float(scale),
            means=parts["mean"],
            columns=parts["columns"],
            biases=parts["bias"],
        )

    def stored(self) -> Stored:
        """Heads and scale in `edit.json`, means and what was there before in safetensors."""
        parts = {"mean": self.means, "columns": self.columns, "bias": self.biases}
        tensors = {
            f"{part}.{place}": tensor
            for part, named in parts.items()
            for place, tensor in named.items()
        }
        return Stored(
            kind=self.kind,
            values={"heads": [label(*head) for head in self.heads], "scale": self.scale},
            tensors=tensors,
            tensors_file=_FILE if tensors else None,
        )


def label(number: int, head: int) -> str:
    """How a head is named: "3.7" is head 7 of block 3, both counted from 0."""
    return f"{number}.{head}"


def parse(name: str) -> Head:
    """The head of a name such as "3.7". Raises `ModelError` for another text."""
    number, _, head = name.partition(".")
    if not (number.isdecimal() and head.isdecimal()):
        raise ModelError(f"a head must be BLOCK.HEAD, both from 0, got '{name}'; write 3.7")
    return int(number), int(head)


def output_projection(module: PreTrainedModel, number: int) -> nn.Module:
    """The projection of a block that reads its heads' outputs side by side, an adapter around it.

    Raises `ModelError` for a block without it, and for a projection that reads something else than
    `count * size` features of heads (of a recurrent block, say).
    """
    layer = attention_output(module, number)
    try:
        layout = heads(module)
    except AttributeError:
        layout = None
    inner = _without_adapter(layer)
    read = vars(inner).get("in_features", vars(inner).get("nx"))  # of Linear, of GPT-2's Conv1D
    if layout is None or read != layout.count * layout.size:
        expected = "no heads" if layout is None else f"{layout.count} heads of {layout.size}"
        raise ModelError(
            f"the projection after attention must read the heads' outputs, that of block {number} "
            f"of {type(module).__name__} reads {read} features, and there are {expected}; take a "
            "method that needs no heads"
        )
    return layer


def check_heads(module: PreTrainedModel, number: int, chosen: Iterable[int]) -> None:
    """Raise `ModelError` for a head that a block does not have."""
    count = heads(module).count
    for head in chosen:
        if not 0 <= head < count:
            raise ModelError(
                f"a head must be 0 to {count - 1} in {type(module).__name__} (of "
                f"{len(blocks(module))} blocks), got {label(number, head)}; choose another"
            )


def weight_names(module: PreTrainedModel, chosen: Iterable[Head]) -> tuple[str, ...]:
    """Names of the projections' weights that hold these heads, as without any adapter."""
    layers = {number: output_projection(module, number) for number, _ in chosen}
    paths = {id(part): path for path, part in module.named_modules()}
    return tuple(sorted(f"{paths[id(layer)]}.weight" for layer in layers.values()))


def originals(
    module: PreTrainedModel, chosen: Iterable[Head], *, biases: bool = False
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Copies of the heads' columns, and of the biases if asked for: `columns` and `biases`.

    Both are empty where the weights are quantized.
    """
    if read_quantization(module) is not None:
        return {}, {}
    size, columns, kept = heads(module).size, {}, {}
    for number, head in sorted(set(chosen)):
        check_heads(module, number, [head])
        layer = output_projection(module, number)
        inner = _without_adapter(layer)
        place = slice(head * size, (head + 1) * size)
        columns[label(number, head)] = _columns(inner)[:, place].detach().cpu().clone()
        bias = _bias(inner)
        if biases and bias is not None:
            kept[str(number)] = bias.detach().cpu().clone()
    return columns, kept


def _hook_reason(model: LanguageModel, layers: Iterable[nn.Module]) -> str:
    """Why the weights cannot hold the edit; "" where they can."""
    if read_quantization(model.module) is not None:
        return f"the weights are quantized ({number_format(model.module)})"
    if any(not isinstance(layer, nn.Linear | Conv1D) for layer in layers):
        return "an adapter sits on the projection"
    return ""


def _with_applied(source: Mapping[str, JSON], hooked: str) -> dict[str, JSON]:
    """The source with how its last edit is applied, in the record of that edit."""
    edits = source["edits"]
    *before, record = edits if isinstance(edits, list) else []
    applied: dict[str, JSON] = {"applied": f"hook: {hooked}" if hooked else "weights"}
    return {
        **source,
        "edits": [*before, applied if not isinstance(record, dict) else {**record, **applied}],
    }


def _hook(factors: Tensor, added: Tensor | None) -> Callable[[nn.Module, tuple[Any, ...]], Any]:
    """A forward pre-hook that changes what the projection reads."""

    def change(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        read = args[0] * factors.to(args[0])
        return (read if added is None else read + added.to(args[0]), *args[1:])

    return change


def _without_adapter(layer: nn.Module) -> nn.Module:
    return cast(nn.Module, layer.get_base_layer()) if isinstance(layer, BaseTunerLayer) else layer


def _bias(layer: nn.Module) -> nn.Parameter | None:
    return dict(layer.named_parameters(recurse=False)).get("bias")


def _columns(layer: nn.Module) -> Tensor:
    """The weight as [output, input], a view of it where it is stored the other way round."""
    weight = layer.get_parameter("weight")
    return weight.data.T if isinstance(layer, Conv1D) else weight.data


def _scale_columns(
    layer: nn.Module, factors: Tensor, added: Tensor | None, undo: ExitStack
) -> None:
    """Point the projection to scaled weights, and to a bias with the means in it."""
    weight, columns = layer.get_parameter("weight"), _columns(layer)
    scaled = columns * factors.to(columns)
    if added is not None:
        # in float32 whatever the dtype: a bias is a single rounding of the exact sum
        constant = columns.float() @ added.to(columns.device)
        bias = _bias(layer)
        if bias is None:
            undo.callback(setattr, layer, "bias", None)
            layer.bias = nn.Parameter(constant.to(columns.dtype), requires_grad=False)
        else:
            undo.callback(setattr, bias, "data", bias.data)
            bias.data = (bias.data.float() + constant).to(bias.dtype)
    undo.callback(setattr, weight, "data", weight.data)
    weight.data = (scaled.T if isinstance(layer, Conv1D) else scaled).contiguous()
