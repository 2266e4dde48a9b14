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
    """Rows without what all of them begin with; positions count from there."""

    rows: Int[Tensor, " row"]  # numbers of the rows
    prefix: Ids  # that they begin with
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
            prefix=self.prefix,
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
        self._shares = cache_is_exact(model)
        self._caches: dict[Ids, DynamicCache] = {}
        self._known = inspect.signature(model.module.forward).parameters
        self.batches: list[Batch] = []
        first = 0
        for group in groups:
            if group:
                self.batches.append(self._batch(group, first, pad_token_id(model.tokenizer)))
            first += len(group)
        width = max((batch.tokens.shape[1] for batch in self.batches), default=1)
        vocabulary = int(model.module.config.get_text_config().vocab_size)
        #: Rows of a forward pass, at most.
        self.most = max(1, min(model.batch_tokens // width, _LOGITS // vocabulary))

    def _batch(self, group: Sequence[EditRow], first: int, fill: int) -> Batch:
        ids = [row.ids for row in group]
        # each row keeps its subject's last token for itself
        size = min(common_prefix(min(ids), max(ids)), *(row.subject for row in group))
        size = size if self._shares else 0
        most = max(len(row.reads) for row in group)
        reads = [[*row.reads, *([row.reads[-1]] * (most - len(row.reads)))] for row in group]
        device = self.module.device
        return Batch(
            rows=torch.arange(first, first + len(group)),
            prefix=ids[0][:size],
            tokens=pad([row[size:] for row in ids], fill)[0].to(device),
            subjects=torch.tensor([row.subject - size for row in group], device=device),
            reads=torch.tensor(reads, device=device) - size,
        )

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """What the model is called with for a batch."""
        count, width = batch.tokens.shape
        # nothing that is real attends to padding on the right
        mask = torch.ones(count, len(batch.prefix) + width, dtype=torch.long)
        inputs: dict[str, Any] = {
            "input_ids": batch.tokens,
            "attention_mask": mask.to(self.module.device),
            "use_cache": bool(batch.prefix),
        }
        if batch.prefix:
            cache = copy.deepcopy(self._cache(batch.prefix))
            cache.reorder_cache(torch.zeros(count, dtype=torch.long, device=self.module.device))
            inputs["cache" if "cache" in self._known else "past_key_values"] = cache
        return inputs

    @torch.no_grad()
    def _cache(self, prefix: Ids) -> DynamicCache:
        if prefix not in self._caches:
            cache = DynamicCache(config=self.module.config)
            name = "cache" if "cache" in self._known else "past_key_values"
            ids = torch.tensor([prefix], device=self.module.device)
            with read_at(head(self.module), torch.zeros(1, 1, dtype=torch.long)):
                self.module(input_ids=ids, use_cache=True, **{name: cache})
            self._caches[prefix] = cache
        return self._caches[prefix]

    def logits(
        self, batch: Batch, *, start: int = 0, hidden: Tensor | None = None
    ) -> Float[Tensor, "row read vocabulary"]:
        """Logits at the rows' reads, in float32; from block `start` on where `hidden` goes in."""
        inputs = self.inputs(batch)  # before the blocks are replaced: it may run the model
        with ExitStack() as undo:
            if hidden is not None:
                undo.enter_context(replayed(list(blocks(self.module)), start, hidden))
            undo.enter_context(read_at(head(self.module), batch.reads))
            logits: Tensor = self.module(**inputs).logits
        return logits.float()

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
