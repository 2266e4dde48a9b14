"""Covariance: the uncentred second moment C = E[k k^T] of what a module reads, over a corpus.

It says which keys a model meets, so that an edit of one key leaves those alone. Paper: Meng et al.
2022 (ROME), section 3.1, who take 100,000 texts of Wikipedia. One pass serves all modules; it ends
at the last of them, and its sums are kept, so that a pass that was killed goes on to the same bits.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from equipoise.edits.edit import fingerprint
from equipoise.errors import ModelError, StoreError
from equipoise.files.atomic import write_file
from equipoise.files.cache import cache_folder
from equipoise.inference.forward import at_full_speed, pad
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.queries import tokenize
from equipoise.model_editing.edit_rows import stopping_after
from equipoise.model_editing.target_modules import TargetModules
from equipoise.models.anatomy import mlp_output
from equipoise.models.kernels import exact_device
from equipoise.models.tokenization import Ids, Marked, pad_token_id
from equipoise.progress.bars import progress
from equipoise.records import JSON

Square = Float[Tensor, "feature feature"]

_VERSION: Final = 1  # of the sums: raised when they would differ
_TOKENS: Final = 4096  # of a forward pass
LONGEST: Final = 256  # tokens of a text that are read, the start token included
_SINGULAR: Final = 1e-10  # smallest squared pivot, as a share of the mean diagonal
_SHRINKAGE: Final = 1e-4  # of the mean diagonal, added to a singular one


@dataclass(frozen=True, slots=True, kw_only=True)
class Covariance:
    """The second moment of one module's inputs, float32 on the CPU, and how many tokens gave it."""

    second_moment: Square
    tokens: int  # 0: the identity, no corpus

    def regular(self) -> tuple[Float[Tensor, "feature feature"], float]:
        """C in float64, made regular where it is singular, and the share that this took.

        C + share * mean diagonal * I, with share 0 where C has a Cholesky factor as it is, and
        otherwise the least of 1e-4, 1e-3, … with which it has one. Raises `ModelError` for one that
        is 0 or not finite.
        """
        exact = self.second_moment.double()
        mean = float(exact.diagonal().mean())
        if not bool(torch.isfinite(exact).all()) or mean <= 0:
            raise ModelError(
                f"a covariance must be finite and not 0, got a mean diagonal of {mean:g}; name "
                "another corpus"
            )
        share = 0.0
        while True:
            trial = exact + share * mean * torch.eye(len(exact), dtype=torch.float64)
            factor, failed = torch.linalg.cholesky_ex(trial)
            pivots = factor.diagonal().square()
            if not int(failed) and float(pivots.min()) >= _SINGULAR * mean:
                return trial, share
            share = share * 10 or _SHRINKAGE


def identity(features: int) -> Covariance:
    """In place of a covariance: every direction is as usual as any other."""
    return Covariance(second_moment=torch.eye(features), tokens=0)


def regular_moments(
    model: LanguageModel, targets: TargetModules, texts: Sequence[str]
) -> tuple[dict[int, Square], dict[str, JSON]]:
    """The regular second moment of each block's keys in float64, and what a report says of them.

    The identity without texts. Raises as `covariances`, and `ModelError` as `Covariance.regular`.
    """
    if not texts:
        shapes = zip(targets.blocks, targets.shapes, strict=True)
        return {block: identity(inputs).second_moment.double() for block, (inputs, _) in shapes}, {}
    by_block = covariances(model, targets.blocks, texts)
    regular = {block: covariance.regular() for block, covariance in by_block.items()}
    said: dict[str, JSON] = {
        "covariance_tokens": min(covariance.tokens for covariance in by_block.values()),
        "shrinkage": [share for _, share in regular.values()],
    }
    return {block: moment for block, (moment, _) in regular.items()}, said


def covariances(
    model: LanguageModel,
    blocks: Sequence[int],
    texts: Sequence[str],
    *,
    folder: Path | None = None,
    keep_seconds: float = 20.0,
) -> dict[int, Covariance]:
    """The covariance of each block's MLP output projection over the tokens of texts.

    All tokens count once, the start token included; of a text the first 256 are read. Each is kept
    in `folder` (the cache's `covariance`) under a hash of the weights, the block and the tokens,
    and found there again; every `keep_seconds` so are the sums of a pass. Raises `ModelError` for a
    block without such a projection, `StoreError` when the folder cannot be written to.
    """
    place = folder or cache_folder() / "covariance"
    modules = {block: mlp_output(model.module, block) for block in sorted(set(blocks))}
    ids = _tokens(model, texts)
    names = [name for name, _ in model.module.named_parameters()]
    content = hashlib.sha256(
        f"{_VERSION} {fingerprint(model.module, names)} {model.module.dtype} {ids}".encode()
    ).hexdigest()
    files = {block: place / f"{content[:32]}-{block}.safetensors" for block in modules}
    missing = {block: modules[block] for block, file in files.items() if not file.is_file()}
    if missing:
        partial = place / f"{content[:32]}-{'-'.join(map(str, missing))}.partial.safetensors"
        sums, count = _pass(model, missing, ids, partial, keep_seconds)
        for block, total in sums.items():
            lower = (total / count).float()[_lower(len(total))]
            _write(files[block], {"lower": lower}, {"tokens": count, "block": block})
        partial.unlink(missing_ok=True)
    return {block: _read(file) for block, file in files.items()}


def _tokens(model: LanguageModel, texts: Sequence[str]) -> list[Ids]:
    """Texts as the model reads them, the longest first, in an order of their own."""
    front: Ids = () if model.start_token_id is None else (model.start_token_id,)
    longest = min(model.context_length or LONGEST, LONGEST)
    tokenized = tokenize(model, [Marked(text, 0, 0) for text in texts])
    rows = [(front + tokens.ids)[:longest] for tokens in tokenized if tokens.ids]
    if not rows:
        raise ModelError(
            f"a covariance needs texts with a token in {model.identity}, got {len(texts)} without; "
            "name a corpus, or take covariance: identity"
        )
    return sorted(rows, key=lambda ids: (len(ids), ids), reverse=True)


def _pass(
    model: LanguageModel,
    modules: Mapping[int, nn.Module],
    rows: Sequence[Ids],
    partial: Path,
    keep_seconds: float,
) -> tuple[dict[int, Tensor], int]:
    """The sums of k k^T in float64 over all rows, from where an earlier pass was left."""
    sums, done = _resume(partial)
    module, device = model.module, model.module.device
    read: dict[int, Tensor] = {}
    last_kept = time.monotonic()
    with (
        progress("covariance", len(rows), done=done, unit="text") as counter,
        at_full_speed(module),
    ):
        while done < len(rows):
            # sorted by length: the first is the longest
            batch = rows[done : done + max(1, _TOKENS // len(rows[done]))]
            tokens, real = pad(batch, pad_token_id(model.tokenizer))
            with ExitStack() as undo:
                *_, last = modules.values()
                undo.enter_context(stopping_after(last))
                for block, part in modules.items():

                    def keep(_: nn.Module, args: tuple[Tensor, ...], block: int = block) -> None:
                        read[block] = args[0]

                    undo.callback(part.register_forward_pre_hook(keep).remove)
                module(
                    input_ids=tokens.to(device),
                    attention_mask=real.long().to(device),
                    use_cache=False,
                )
            places = real.flatten().to(device)
            for block, keys in read.items():
                flat = keys.reshape(-1, keys.shape[-1])[places].float()
                product = (flat.T @ flat).to(exact_device(device)).double()
                sums[block] = sums[block] + product if block in sums else product
            done += len(batch)
            counter.advance(len(batch))
            if done < len(rows) and time.monotonic() - last_kept >= keep_seconds:
                _write(partial, {str(b): total.cpu() for b, total in sums.items()}, {"rows": done})
                last_kept = time.monotonic()
    return {block: total.cpu().clone() for block, total in sums.items()}, sum(map(len, rows))


def _resume(partial: Path) -> tuple[dict[int, Tensor], int]:
    """The sums that a killed pass left, and how many rows are in them."""
    try:
        with safe_open(partial, framework="pt") as file:
            sums = {int(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return sums, int(file.metadata()["rows"])
    except (SafetensorError, OSError):  # none, damaged, or removed by a pass that just ended
        return {}, 0


def _lower(size: int) -> tuple[Tensor, Tensor]:
    rows, columns = torch.tril_indices(size, size)
    return rows, columns


def _write(file: Path, tensors: Mapping[str, Tensor], about: Mapping[str, int]) -> None:
    metadata = {name: str(value) for name, value in about.items()}
    write_file(file, save(dict(tensors), metadata), what="covariance")


def _read(file: Path) -> Covariance:
    """Raises `StoreError` for a file that is no covariance."""
    try:
        with safe_open(file, framework="pt") as stored:
            lower = stored.get_tensor("lower")
            tokens = int(stored.metadata()["tokens"])
    except (SafetensorError, KeyError, OSError) as error:
        raise StoreError(f"cannot read the covariance {file}: {error}; remove it") from error
    size = int(((8 * len(lower) + 1) ** 0.5 - 1) / 2)
    whole = torch.zeros(size, size)
    rows, columns = _lower(size)
    whole[rows, columns] = lower
    whole[columns, rows] = lower
    return Covariance(second_moment=whole, tokens=tokens)
