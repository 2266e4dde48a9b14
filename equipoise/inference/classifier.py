"""SequenceClassifier: a model that gives a text the probability of each of its labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from equipoise.errors import ModelError
from equipoise.inference.batches import run_in_batches
from equipoise.inference.language_model import LanguageModel
from equipoise.models.kernels import matmul_path
from equipoise.models.quantization import count_parameters, number_format
from equipoise.models.tokenization import Marked, Tokens, encode, tokenizer_sha256
from equipoise.processes.torch_group import join_rows
from equipoise.records import JSON

#: How logits become probabilities: over all labels (they exclude each other), or of each alone.
Activation: TypeAlias = Literal["softmax", "sigmoid"]
#: What a text longer than the context gets: nan, or the number of its beginning.
LongTexts: TypeAlias = Literal["missing", "cut"]

_NO_PADDING: Final = -1


@dataclass(frozen=True, kw_only=True)  # no slots, without which `super()` finds no class here
class SequenceClassifier(LanguageModel):
    """A classifier of whole texts; everything but `probabilities` is refused with a sentence."""

    labels: tuple[str, ...]  # by their number
    activation: Activation

    @property
    def info(self) -> Mapping[str, JSON]:
        """What a result must record of it."""
        return {
            **self.source,
            "kind": "classifier",
            "labels": list(self.labels),
            "activation": self.activation,
            "dtype": number_format(self.module),
            "device": self.module.device.type,
            "parameters": count_parameters(self.module),
            "context_length": self.context_length,
            "tokenizer_sha256": tokenizer_sha256(self.tokenizer, specials=True),
            "matmul": matmul_path(self.module),
        }

    @property
    def context_length(self) -> int | None:
        """Most tokens a text may have, special tokens included; None: no limit is known."""
        # a tokenizer without a limit has one of some 10^30
        own_limit = int(self.tokenizer.model_max_length)
        limits = [own_limit] if own_limit < 10**9 else []
        return min([*limits, *filter(None, [super().context_length])], default=None)

    def probabilities(
        self, texts: Sequence[str], *, long_texts: LongTexts = "missing"
    ) -> NDArray[np.float64]:
        """Of each text and label: [text, label]; a row of nan for a text that is too long.

        Texts of the same number of tokens share a batch, so that there is no padding, which some
        classifiers see; numbers depend on the company by 1e-6 at most. Raises `ModelError` for a
        number that is not finite.
        """
        limit = self.context_length
        rows, kept = [], []
        marked = [Marked(text, 0, len(text)) for text in texts]
        for index, tokens in enumerate(encode(self.tokenizer, marked, specials=True)):
            ids = tokens.ids
            if limit is not None and len(ids) > limit and long_texts == "cut":
                ids = _cut(tokens, limit)
            if ids and (limit is None or len(ids) <= limit):
                rows.append(ids)
                kept.append(index)
        values = np.full((len(texts), len(self.labels)), np.nan)

        def run(batch: list[int]) -> None:
            ids = torch.tensor([rows[row] for row in batch], device=self.module.device)
            logits = self.module(input_ids=ids, attention_mask=torch.ones_like(ids)).logits.float()
            rated = logits.softmax(-1) if self.activation == "softmax" else logits.sigmoid()
            for row, numbers in zip(batch, rated.cpu().numpy(), strict=True):
                values[kept[row]] = numbers

        lengths = list(map(len, rows))
        done = run_in_batches(self, lengths, run, company=lengths, share=True)
        join_rows(values, [kept[row] for row in done])
        if not np.isfinite(values[kept]).all():
            raise ModelError(
                f"{self.identity} must give finite probabilities, got {np.nan}; check its weights"
            )
        return values

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ModelError(
            f"a model must predict words for this, {self.identity} is a classifier of texts; give "
            "it to the scorer toxicity or regard, or take a language model"
        )

    score = infill = score_pairs = next_token = generate = decide = in_chat = embed = _refuse


def _cut(tokens: Tokens, limit: int) -> tuple[int, ...]:
    """The beginning of a text, with the special tokens that stand before and after it."""
    after = len(tokens.ids) - 1 - tokens.marked[-1] if tokens.marked else 0
    return (*tokens.ids[: limit - after], *tokens.ids[len(tokens.ids) - after :])


def without_padding(module: PreTrainedModel) -> None:
    """Let a decoder read its last token where its configuration names no padding.

    It looks for the last token that is none, and refuses a batch when it does not know which
    that is; ours have none, so that any number that no token has will do.
    """
    config = module.config
    if config.pad_token_id is None:
        config.pad_token_id = _NO_PADDING
