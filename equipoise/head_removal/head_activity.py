"""What attention heads put out over texts: mean output, its size, and its share of the stream.

A head's output z is what the projection after attention reads in its features; z times the head's
columns is what the head adds to the residual stream (before any norm that stands after attention,
as in Gemma 2).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from equipoise.edits.head_scales import Head, label, output_projection
from equipoise.inference.language_model import LanguageModel
from equipoise.models.anatomy import base, blocks, heads
from equipoise.models.hooks import block_states
from equipoise.training.next_token_logits import prompt_ids

#: Sentences about things, for a supply that has no neutral texts; nobody is spoken of.
NEUTRAL_TEXTS: Final = (
    "The kettle on the stove began to whistle while the rain fell on the roof.",
    "A wooden ladder leans against the wall of the barn behind the orchard.",
    "The train to the coast leaves from the second platform at noon.",
    "Snow covered the hills, and the small road to the mill was closed for a week.",
    "The old clock in the hall is slow by four minutes.",
    "A river runs through the valley and turns the wheel of a paper mill.",
    "The recipe needs two eggs, a cup of flour, some milk and a pinch of salt.",
    "Bread is baked in an oven, and cheese is kept in a cool cellar.",
    "The bridge over the canal was painted green last summer.",
    "A square has four equal sides, and a triangle has three corners.",
    "The lamp above the table flickered and then went out.",
    "Copper and iron are metals, and both of them conduct heat.",
    "The library has a map of the harbor from the last century.",
    "In autumn the leaves of the maple turn red before they fall.",
    "The boat was tied to the pier with a thick rope.",
    "Sound travels more slowly than light, so thunder comes after lightning.",
    "The box on the shelf holds nails, screws and a small hammer.",
    "A new roof was put on the station after the storm.",
    "The garden has a stone path, a pond and three apple trees.",
    "Water freezes at zero degrees and boils at one hundred.",
    "The carpet in the corner is woven from blue and white wool.",
    "The moon goes around the earth in about a month.",
    "The bottle rolled under the cupboard and broke against the wall.",
    "The museum shows coins, vases and the wheel of an old wagon.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadActivity:
    """Over all tokens of some texts, the start token among them."""

    means: Mapping[str, Tensor]  # "3.7" to the mean of z [feature of the head], in float32
    norms: NDArray[np.float64]  # [block, head]: mean length of what a head adds
    tokens: int


def measure_heads(model: LanguageModel, texts: Sequence[str]) -> HeadActivity:
    """Mean output of every head over the tokens of texts, and the mean length of what it adds.

    Raises `ModelError` for a model with a block whose heads the projection does not read.
    """
    layout, count = heads(model.module), len(blocks(model.module))
    sums = torch.zeros(count, layout.count, layout.size, dtype=torch.float64)
    lengths = torch.zeros(count, layout.count, dtype=torch.float64)
    with _reading(model, range(count)) as read:
        tokens = 0
        for _ in _forwards(model, texts):
            for number in range(count):
                z = read[number]  # [token, feature]
                sums[number] += z.double().sum(0).view(layout.count, layout.size).cpu()
                lengths[number] += _written_by_each(model, number, z).norm(dim=-1).sum(-1).cpu()
            tokens += len(read[0])
    means = (sums / tokens).float()
    return HeadActivity(
        means={
            label(number, head): means[number, head]
            for number in range(count)
            for head in range(layout.count)
        },
        norms=(lengths / tokens).numpy(),
        tokens=tokens,
    )


def relative_dose(
    model: LanguageModel,
    chosen: Sequence[Head],
    texts: Sequence[str],
    *,
    scale: float = 0.0,
    means: Mapping[str, Tensor] | None = None,
) -> float:
    """How much scaling these heads takes out of the residual stream, relative to its length.

    Mean over the tokens of texts and over the blocks that have such heads of the length of what is
    removed there, (1 - scale) W z, by that of the block's output; in [0, inf), 0: nothing. Where
    `means` ("3.7" to [feature of the head]) stand in for the heads it is (1 - scale) W (z - mean).
    """
    by_block: dict[int, list[int]] = {}
    for number, head in chosen:
        by_block.setdefault(number, []).append(head)
    if not by_block:
        return 0.0
    size, parts = heads(model.module).size, list(blocks(model.module))
    shares: list[Tensor] = []
    with _reading(model, by_block) as read, block_states(parts) as states:
        for _ in _forwards(model, texts):
            for number, removed in by_block.items():
                z = torch.zeros_like(read[number])
                for head in removed:
                    place = slice(head * size, (head + 1) * size)
                    z[:, place] = read[number][:, place]
                    if means:
                        z[:, place] -= means[label(number, head)].to(z)
                written = _project(model, number, z) * (1 - scale)
                stream = states.after[number][0].float()
                shares.append((written.norm(dim=-1) / stream.norm(dim=-1)).cpu())
    return float(torch.cat(shares).mean())


def _forwards(model: LanguageModel, texts: Sequence[str]) -> Iterator[None]:
    """A forward pass over each text; what hooks have read of it is there meanwhile."""
    body = base(model.module)
    for ids in prompt_ids(model, texts):
        with torch.inference_mode():
            body(input_ids=torch.tensor([ids], device=model.module.device), use_cache=False)
            yield


@contextmanager
def _reading(model: LanguageModel, numbers: Sequence[int] | Mapping[int, Any]) -> Iterator[Any]:
    """What the projections of blocks read in the latest forward, by block: [token, feature]."""
    latest: dict[int, Tensor] = {}

    def keeper(number: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def keep(_: nn.Module, args: tuple[Any, ...]) -> None:
            latest[number] = args[0].detach().flatten(0, -2)

        return keep

    with ExitStack() as undo:
        for number in numbers:
            layer = output_projection(model.module, number)
            undo.callback(layer.register_forward_pre_hook(keeper(number)).remove)
        yield latest


def _project(model: LanguageModel, number: int, z: Tensor) -> Tensor:
    """What a block's projection makes of heads' outputs, without its bias: in float32.

    By its own forward, which quantized weights and adapters have, too.
    """
    layer = output_projection(model.module, number)
    # not called, or the hooks that read would read this
    written: Tensor = layer.forward(z)
    nothing: Tensor = layer.forward(torch.zeros_like(z[..., :1, :]))
    return (written - nothing).float()


def _written_by_each(model: LanguageModel, number: int, z: Tensor) -> Tensor:
    """What each head adds at each token: [head, token, output]."""
    layout = heads(model.module)
    masks = torch.eye(layout.count, device=z.device, dtype=z.dtype)
    masks = masks.repeat_interleave(layout.size, dim=1)  # [head, feature]
    return _project(model, number, z * masks[:, None])
