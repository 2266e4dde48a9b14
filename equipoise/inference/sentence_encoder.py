"""SentenceEncoder: a model that gives a text a vector and predicts no words.

Reimers & Gurevych 2019, "Sentence-BERT", https://aclanthology.org/D19-1410. What is pooled of a
text's hidden states, and whether the vector gets length 1, is the encoder's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from equipoise.errors import ModelError, RequestError
from equipoise.inference.batches import run_in_batches
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.request_kinds import takes
from equipoise.models.kernels import matmul_path
from equipoise.models.quantization import count_parameters, number_format
from equipoise.models.tokenization import Marked, encode, tokenizer_sha256
from equipoise.processes.together import merge
from equipoise.records import JSON, Embedding

#: The ways to pool that sentence-transformers has, by its names.
POOLINGS: Final = ("cls", "lasttoken", "max", "mean", "mean_sqrt_len_tokens", "weightedmean")


@dataclass(frozen=True, kw_only=True)  # no slots, without which `super()` finds no class here
class SentenceEncoder(LanguageModel):
    """A sentence encoder; everything but `embed` is refused with a sentence.

    `kind` is "masked" for its special tokens' sake; results say "encoder".
    """

    pooling: tuple[str, ...]  # of `POOLINGS`; several: one vector after the other
    normalized: bool  # vectors have length 1
    lower: bool = False  # texts are put into lower case
    most_tokens: int | None = None  # that it was made for, special tokens included

    @property
    def info(self) -> Mapping[str, JSON]:
        """What a result must record of it."""
        return {
            **self.source,
            "kind": "encoder",
            "pooling": list(self.pooling),
            "normalized": self.normalized,
            "lower_case": self.lower,
            "dtype": number_format(self.module),
            "device": self.module.device.type,
            "parameters": count_parameters(self.module),
            "context_length": self.context_length,
            "tokenizer": type(self.tokenizer).__name__,
            "tokenizer_sha256": tokenizer_sha256(self.tokenizer, specials=True),
            "prefix": "special tokens",
            "attention": str(self.module.config._attn_implementation),
            "matmul": matmul_path(self.module),
            "threads": torch.get_num_threads(),
        }

    @property
    def context_length(self) -> int | None:
        """Most tokens a text may have, special tokens included; None: no limit is known."""
        limits = [limit for limit in (self.most_tokens, super().context_length) if limit]
        return min(limits, default=None)

    @takes(Embedding)
    def embed(self, requests: Sequence[Embedding]) -> NDArray[np.float32]:
        """Vectors by its own pooling, whatever a request asks for: [text, feature].

        sentence-transformers cuts a text that is too long in silence; here it is an error.
        Raises `RequestError` for it, and for a vector that is not finite.
        """
        texts = [request.text.lower() if self.lower else request.text for request in requests]
        marked = [Marked(text, 0, len(text)) for text in texts]
        rows = [tokens.ids for tokens in encode(self.tokenizer, marked, specials=True)]
        limit = self.context_length
        for index, row in enumerate(rows):
            if limit is not None and len(row) > limit:
                raise RequestError(
                    index, f"must fit {self.identity}, {limit} tokens, got {len(row)}; shorten it"
                )
        if self.rehearsing:
            return np.zeros((len(rows), 1), dtype=np.float32)
        vectors: dict[int, NDArray[np.float32]] = {}

        def run(batch: list[int]) -> None:
            ids = torch.tensor([rows[index] for index in batch], device=self.module.device)
            inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
            pooled = pool(self.module(**inputs).last_hidden_state.float(), self.pooling)
            if self.normalized:
                pooled = torch.nn.functional.normalize(pooled, dim=-1)
            vectors.update(zip(batch, pooled.cpu().numpy(), strict=True))

        # texts of one length share a batch, so that no padding needs to be hidden
        lengths = list(map(len, rows))
        run_in_batches(self, lengths, run, company=lengths, share=True)
        vectors = merge(vectors)
        for index, vector in vectors.items():
            if not np.isfinite(vector).all():
                raise RequestError(
                    index,
                    f"must have a finite embedding, got {vector[~np.isfinite(vector)][0]} from "
                    f"{self.identity}; check the model's weights",
                )
        return np.stack([*vectors.values()])

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise refusal(self, "asked for words")

    score = infill = score_pairs = next_token = generate = decide = in_chat = _refuse


def pool(
    hidden: Float[Tensor, "text token feature"], modes: Sequence[str]
) -> Float[Tensor, "text pooled"]:
    """Each text's states as a vector, a part for each mode; all tokens are the text's."""
    count = hidden.shape[1]
    places = torch.arange(1, count + 1, device=hidden.device, dtype=hidden.dtype)[:, None]
    parts: dict[str, Callable[[], Tensor]] = {
        "cls": lambda: hidden[:, 0],
        "lasttoken": lambda: hidden[:, -1],
        "max": lambda: hidden.amax(1),
        "mean": lambda: hidden.mean(1),
        "mean_sqrt_len_tokens": lambda: hidden.sum(1) / count**0.5,
        "weightedmean": lambda: (hidden * places).sum(1) / places.sum(),
    }
    return torch.cat([parts[mode]() for mode in modes], dim=-1)


def check_predicts(model: object, what: str) -> None:
    """Raise `ModelError` for what predicts no words; `what`: what it cannot be, "located in"."""
    if not isinstance(model, LanguageModel):
        raise ModelError(
            f"a model must be loaded to be {what}, got {type(model).__name__}; load it (eq.load), "
            "or wrap it with its tokenizer (eq.wrap)"
        )
    if isinstance(model, SentenceEncoder):
        raise refusal(model, what)


def refusal(model: SentenceEncoder, what: str) -> ModelError:
    """The sentence that says what an encoder cannot be, and what can be done with it."""
    return ModelError(
        f"a model must predict words to be {what}, {model.identity} is a sentence encoder; "
        "measure it with a benchmark of embeddings (seat), or take a language model"
    )
