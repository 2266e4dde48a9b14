"""Requests as rows of tokens; what rows begin with alike is read once, in a cache.

Nothing before a subject's last token depends on an edit there, so an optimization over values
computes only the tokens from the first one that rows do not share: of "Therefore, it rained. The
nurse smiled because" the last three or four, whatever prefix stands before.
"""

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from equipoise.errors import RecipeError
from equipoise.inference.cached_rows import cache_is_exact
from equipoise.inference.forward import pad
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prefix_sharing import common_prefix
from equipoise.inference.queries import tokenize
from equipoise.model_editing.context_templates import Prefixes
from equipoise.model_editing.requests import EditRequest
from equipoise.models.anatomy import blocks, head
from equipoise.models.hooks import block_states, read_at, replayed
from equipoise.models.kernels import evaluating, fast_matmul, fused_gelu
from equipoise.models.tokenization import Ids, Marked, pad_token_id

_LOGITS = 2**23  # of a forward pass: memory only
_OWN = 32  # rows of a group that have a beginning each in the cache; of more rows they share one


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRow:
    """A text, its subject's last token, and the positions after which a token is predicted."""

    ids: Ids
    subject: int
    reads: tuple[int, ...] = ()


def edit_row(
    model: LanguageModel, text: str, start: int, end: int, target: str = ""
) -> tuple[EditRow, Ids]:
    """The row of a text with its subject at characters `start` to `end`, and the target's tokens.

    The row ends before the target's last token, and predicts each of them; without a target it
    predicts what follows the subject. Raises `RecipeError` for a subject without a token, for a
    target that is spelt in the text's last token, or for more tokens than the context has.
    """
    front: Ids = () if model.start_token_id is None else (model.start_token_id,)
    (tokens,) = tokenize(model, [Marked(text, start, end)])
    if not tokens.marked:
        raise RecipeError(
            f"subject {text[start:end]!r} must have a token in {model.identity}, got none; name "
            "another subject"
        )
    subject = len(front) + tokens.marked[-1]
    ids, answer = front + tokens.ids, Ids()
    reads: tuple[int, ...] = (subject,)
    if target:
        (whole,) = tokenize(model, [Marked(text + target, 0, 0)])
        answer = whole.ids[len(tokens.ids) :]
        if whole.ids[: len(tokens.ids)] != tokens.ids or not answer:
            raise RecipeError(
                f"target {target!r} must follow {text[-20:]!r} in tokens of its own, got "
                f"{len(answer)} of {model.identity}; name another target"
            )
        reads = tuple(range(len(ids) - 1, len(ids) - 1 + len(answer)))
        ids += answer[:-1]
    limit = model.context_length
    if limit is not None and len(ids) > limit:
        raise RecipeError(
            f"a request must fit the context of {limit} tokens of {model.identity}, got {len(ids)} "
            f"for {text[-40:]!r}; shorten it or take fewer context templates"
        )
    return EditRow(ids=ids, subject=subject, reads=reads), answer


def prompt_row(
    model: LanguageModel, request: EditRequest, prefix: str, target: str = ""
) -> tuple[EditRow, Ids]:
    """`edit_row` of a request's whole prompt after a prefix."""
    start, end = len(prefix) + request.start, len(prefix) + request.end
    return edit_row(model, prefix + request.prompt, start, end, target)


def subject_rows(
    model: LanguageModel, requests: Sequence[EditRequest], prefixes: Prefixes
) -> list[list[EditRow]]:
    """Each request after each prefix, up to the subject's last token: rows of keys."""
    return [
        [
            edit_row(
                model,
                prefix + request.prompt[: request.end],
                len(prefix) + request.start,
                len(prefix) + request.end,
            )[0]
            for prefix in prefixes
        ]
        for request in requests
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows without their beginnings, which a cache holds; positions count from there."""

    rows: Int[Tensor, " row"]  # numbers of the rows
    beginnings: tuple[Ids, ...]  # one that all rows share, or one for each
    beginning: Int[Tensor, " row"]  # of each row
    tokens: Int[Tensor, "row token"]
    subjects: Int[Tensor, " row"]
    reads: Int[Tensor, "row read"]  # the last one repeated where a row has fewer

    def by_position(self, states: Tensor) -> Float[Tensor, "row token feature"]:
        """What a module read or put out; OPT's linear layers have rows and tokens in one axis."""
        return states.reshape(*self.tokens.shape, states.shape[-1])

    def select(self, kept: Tensor) -> "Batch":
        """These rows of the batch, by their places in it."""
        return Batch(
            rows=self.rows[kept],
            beginnings=self.beginnings,
            beginning=self.beginning[kept],
            tokens=self.tokens[kept],
            subjects=self.subjects[kept],
            reads=self.reads[kept],
        )


class EditRows:
    """A model run on rows in batches, while its weights stay as they are.

    `groups`: rows that begin alike, as those after the same prefix do; a batch has rows of one.
    """

    def __init__(self, model: LanguageModel, groups: Sequence[Sequence[EditRow]]) -> None:
        self.module = model.module
        self._fill = pad_token_id(model.tokenizer)
        self._shares = cache_is_exact(model)
        self._caches: dict[tuple[Ids, ...], tuple[DynamicCache, Tensor]] = {}
        self._known = inspect.signature(model.module.forward).parameters
        self.batches: list[Batch] = []
        first = 0
        for group in groups:
            if group:
                self.batches.append(self._batch(group, first))
            first += len(group)
        width = max((batch.tokens.shape[1] for batch in self.batches), default=1)
        vocabulary = int(model.module.config.get_text_config().vocab_size)
        #: Rows of a forward pass, at most.
        self.most = max(1, min(model.batch_tokens // width, _LOGITS // vocabulary))

    def _batch(self, group: Sequence[EditRow], first: int) -> Batch:
        ids = [row.ids for row in group]
        # each row keeps its subject's last token for itself
        common = min(common_prefix(min(ids), max(ids)), *(row.subject for row in group))
        sizes = [common if self._shares else 0] * len(group)
        if self._shares and len(group) <= _OWN:
            sizes = [row.subject for row in group]
        # a beginning must have a token
        sizes = sizes if min(sizes) else [0] * len(group)
        beginnings = [row[:size] for row, size in zip(ids, sizes, strict=True)]
        distinct = tuple(dict.fromkeys(beginnings)) if sizes[0] else ()
        most = max(len(row.reads) for row in group)
        reads = [[*row.reads, *([row.reads[-1]] * (most - len(row.reads)))] for row in group]
        start = torch.tensor(sizes)
        device = self.module.device
        return Batch(
            rows=torch.arange(first, first + len(group)),
            beginnings=distinct,
            beginning=torch.tensor([distinct.index(row) if distinct else 0 for row in beginnings]),
            tokens=pad([row[size:] for row, size in zip(ids, sizes, strict=True)], self._fill)[
                0
            ].to(device),
            subjects=(torch.tensor([row.subject for row in group]) - start).to(device),
            reads=(torch.tensor(reads) - start[:, None]).to(device),
        )

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model is called with for a batch."""
        # nothing that is real attends to padding on the right
        mask = torch.ones_like(batch.tokens)
        if not batch.beginnings:
            return {"input_ids": batch.tokens, "attention_mask": mask, "use_cache": False}
        cache, real = self._cache(batch.beginnings)
        rows = batch.beginning.to(self.module.device)
        cache = copy.deepcopy(cache)
        cache.reorder_cache(rows)
        return self._with_cache(batch.tokens, torch.cat([real[rows], mask], dim=1), cache)

    def _with_cache(
        self, tokens: Tensor, mask: Int[Tensor, "row place"], cache: DynamicCache
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = {"input_ids": tokens, "attention_mask": mask, "use_cache": True}
        # filled in place; `cache` from transformers 5.24 on
        inputs["cache" if "cache" in self._known else "past_key_values"] = cache
        if "position_ids" in self._known:
            # beginnings of unequal length are padded on the left, which a plain pass would count
            inputs["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -tokens.shape[1] :]
        return inputs

    @torch.no_grad()
    def _cache(self, beginnings: tuple[Ids, ...]) -> tuple[DynamicCache, Tensor]:
        """Keys and values of beginnings, a row each, and which of their places are real."""
        if beginnings not in self._caches:
            cache = DynamicCache(config=self.module.config)
            tokens, real = pad(beginnings, self._fill, left=True)
            mask = real.long().to(self.module.device)
            inputs = self._with_cache(tokens.to(self.module.device), mask, cache)
            with read_at(head(self.module), torch.zeros(len(tokens), 1, dtype=torch.long)):
                self.module(**inputs)
            self._caches[beginnings] = cache, mask
        return self._caches[beginnings]

    def logits(
        self, batch: Batch, *, start: int = 0, hidden: Tensor | None = None
    ) -> Float[Tensor, "row read vocabulary"]:
        """Logits at the rows' reads, at least float32; from block `start` on, on `hidden`."""
        inputs = self.inputs(batch)  # before the blocks are replaced: it may run the model
        with ExitStack() as undo:
            if hidden is not None:
                undo.enter_context(replayed(list(blocks(self.module)), start, hidden))
            undo.enter_context(read_at(head(self.module), batch.reads))
            logits: Tensor = self.module(**inputs).logits
        return at_least_float32(logits)

    @torch.no_grad()
    def until(self, batch: Batch, last: nn.Module) -> None:
        """Run the model on a batch as far as a module's output; hooks see what they want."""
        inputs = self.inputs(batch)
        with stopping_after(last):
            self.module(**inputs)

    @torch.no_grad()
    def inputs_of_block(self, batch: Batch, start: int) -> Float[Tensor, "row token feature"]:
        """The residual stream that goes into a block."""
        with block_states([blocks(self.module)[start]]) as states:
            self.until(batch, blocks(self.module)[start])
        return states.before[0]

    def parts(self, batch: Batch) -> Iterator[Batch]:
        """The batch in parts that fit memory."""
        for kept in torch.split(torch.arange(len(batch.rows)), self.most):
            yield batch.select(kept.to(batch.tokens.device))


class _StoppedError(Exception):
    """A forward pass came as far as it was wanted."""


@contextmanager
def stopping_after(last: nn.Module) -> Iterator[None]:
    """Inside the `with` block a forward pass ends with a module's output, which ends the block."""

    def stop(*_: object) -> None:
        raise _StoppedError(type(last).__name__)

    handle = last.register_forward_hook(stop)
    try:
        yield
    except _StoppedError:
        pass
    finally:
        handle.remove()


@contextmanager
def editing(model: LanguageModel) -> Iterator[None]:
    """No dropout and the fastest exact products inside, with gradients; all undone at the end."""
    module = model.module
    with evaluating(module), fused_gelu(module), fast_matmul(module):
        yield


@contextmanager
def hooked(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside the `with` block the module puts out what `change` makes of its output.

    A block may put out the residual stream alone or first of several: both become a tensor.
    """

    def hook(_: nn.Module, __: object, output: Any) -> Any:
        if isinstance(output, Tensor):
            return change(output)
        return (change(output[0]), *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def at_least_float32(states: Tensor) -> Tensor:
    """States of a half-precision model as float32, others as they are."""
    return states.to(torch.promote_types(states.dtype, torch.float32))
