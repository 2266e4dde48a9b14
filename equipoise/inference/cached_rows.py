"""Rows that grow by a token at a time: read from a cache where that is exact, else read whole."""

import inspect
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import DynamicCache

from equipoise.inference.batches import Batches, is_out_of_memory
from equipoise.inference.forward import Layout, is_close, kind_of, layout_of, logits_at, pad
from equipoise.inference.prefix_sharing import common_prefix, single
from equipoise.models.device_copy import copy_to
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Ids, pad_token_id

#: Tokens that a shared prefix must save: reading it first costs a pass of its own.
_SAVED = 64


@dataclass(slots=True)
class CachedRows:
    """Rows that the model has read so far, with their keys and values.

    Equal rows are read once, and so is what all rows begin with, where the layout lets texts share
    a row: padding then stands behind it.
    """

    model: LoadedModel
    layout: Layout
    room: int  # tokens that are still to be written, at most
    rows: list[Ids] = field(default_factory=list)
    real: Bool[Tensor, "row place"] | None = None  # which tokens are no padding
    cache: DynamicCache | None = None

    def keep(self, places: list[int]) -> None:
        """Forget all rows but these; a place that is named several times becomes several rows."""
        if self.cache is None or self.real is None:
            return
        self.rows = [self.rows[place] for place in places]
        self.real = self.real[places]
        if places:  # unlike batch_select_indices, of every layer: states of linear attention, too
            self.cache.reorder_cache(torch.tensor(places, device=self.model.module.device))

    def next_logits(self, rows: list[Ids]) -> Float[Tensor, "row vocabulary"]:
        """Logits after each row, in the module's format, where they are; of an empty row, anything.

        They may be written over.
        """
        fill = pad_token_id(self.model.tokenizer)
        longer = len(rows) == len(self.rows) and all(
            not new or new[:-1] == old for new, old in zip(rows, self.rows, strict=True)
        )
        if not longer:
            return self._begin(rows, fill)
        step = torch.tensor([[row[-1] if row else fill] for row in rows])
        self.rows = rows
        return self._read(step, torch.ones_like(step, dtype=torch.bool))

    def _begin(self, rows: list[Ids], fill: int) -> Float[Tensor, "row vocabulary"]:
        """Logits after rows of which nothing has been read."""
        # a row must have a token that is seen
        distinct = list(dict.fromkeys(row or (fill,) for row in rows))
        self.cache, self.real = DynamicCache(config=self.model.module.config), None
        size = self._shared(distinct)
        if size:
            self.rows = [distinct[0][:size]]
            step, real = pad(self.rows, fill)
            self._read(step, real)
            self.keep([0] * len(distinct))
        self.rows = distinct
        logits = self._read(*pad([row[size:] for row in distinct], fill, left=True))
        if len(distinct) < len(rows):
            places = [distinct.index(row or (fill,)) for row in rows]
            self.keep(places)
            logits = logits[places]
        self.rows = rows
        return logits

    def _shared(self, rows: list[Ids]) -> int:
        """How many tokens at the rows' beginning are read once for all; 0: reading them apart."""
        # a row must have a token of its own
        size = min(common_prefix(min(rows), max(rows)), min(map(len, rows)) - 1)
        worth = size * (len(rows) - 1) >= _SAVED
        return size if worth and self.layout.packs(max(map(len, rows)) + self.room) else 0

    def _read(
        self, step: Int[Tensor, "row token"], real: Bool[Tensor, "row token"]
    ) -> Float[Tensor, "row vocabulary"]:
        """Read further tokens of each row; logits after the last."""
        module = self.model.module
        before = torch.ones(len(step), 0, dtype=torch.bool) if self.real is None else self.real
        self.real = torch.cat([before, real], dim=1)
        known = inspect.signature(module.forward).parameters
        mask = copy_to(self.real.long(), module.device)
        inputs: dict[str, Any] = {"input_ids": copy_to(step, module.device), "attention_mask": mask}
        # filled in place; `cache` from transformers 5.24 on
        inputs["cache" if "cache" in known else "past_key_values"] = self.cache
        if "logits_to_keep" in known:
            inputs["logits_to_keep"] = 1  # only the last place is read
        if "position_ids" in known:
            # unlike `generate`, a plain forward pass would count the padding, too
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            inputs["position_ids"] = positions[:, -step.shape[1] :]
        last: Tensor = module(**inputs, use_cache=True).logits[:, -1]
        return last


@dataclass(slots=True)
class FreshRows:
    """Rows that the model reads whole for every token: for models whose cache changes the text."""

    model: LoadedModel
    layout: Layout

    def next_logits(self, rows: list[Ids]) -> Float[Tensor, "row vocabulary"]:
        """As those of `CachedRows`."""
        module, alone = self.model.module, replace(self.layout, pack=False)
        texts = [row or (pad_token_id(self.model.tokenizer),) for row in rows]
        logits: list[Tensor] = [torch.empty(0)] * len(texts)
        lengths = list(map(len, texts))
        # the layout's once per text, not probed again for each token
        for batch in Batches(self.model, lengths, company=list(map(alone.company, lengths))):
            width = max(len(texts[index]) for index in batch)
            last = [place * width + len(texts[index]) - 1 for place, index in enumerate(batch)]
            places = torch.tensor(last, device=module.device)
            read = logits_at(module, single(texts, batch), places, alone)
            for index, row in zip(batch, read, strict=True):
                logits[index] = row
        return torch.stack(logits)


_PROBE: list[Ids] = [(5, 6, 7), (8, 9, 4, 3, 2), (8, 9, 4, 3, 2)]
_exact_caches: dict[tuple[str, ...], bool] = {}


def cache_is_exact(model: LoadedModel) -> bool:
    """Whether a causal model says the same from its cache, padded on the left, as without it.

    Tried once for each kind of module. It does not for recurrent models that read padding (Mamba,
    RWKV), nor where the cache is of a kind of its own.
    """
    key = kind_of(model.module)
    if key not in _exact_caches:
        layout = layout_of(model)
        cached, fresh = CachedRows(model, layout, room=3), FreshRows(model, layout)

        def logits_of(reader: CachedRows | FreshRows, rows: list[Ids]) -> Tensor:
            return reader.next_logits(rows).to(model.module.dtype)  # whose rounding is allowed for

        try:
            rows, same = _PROBE, True
            # from nothing, a row for its equal, too; from the cache that this has left; from it
            # without its first rows
            for places in ([0, 1, 2], [0, 1, 2], [2]):
                cached.keep(places)
                rows = [(*rows[place], 3) for place in places]
                same = same and is_close(logits_of(cached, rows), logits_of(fresh, rows))
            _exact_caches[key] = same
        except (AttributeError, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and is_out_of_memory(error):
                raise  # says nothing of the cache: the batch comes again in parts
            _exact_caches[key] = False  # the module's own code cannot read from this cache
    return _exact_caches[key]
