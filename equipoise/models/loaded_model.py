"""What scoring, generation and embedding need of a model: its parts, settings and limits."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.models.decoding_rule import DecodingRule
from equipoise.records import JSON, ModelKind


@runtime_checkable  # for the checks of shapes in tests
class LoadedModel(Protocol):
    """A model in memory, as the engine is typed against it; `inference.LanguageModel` is such."""

    @property
    def module(self) -> PreTrainedModel:
        """The network itself."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that belongs to it."""

    @property
    def identity(self) -> str:
        """What results call the model."""

    @property
    def kind(self) -> ModelKind:
        """Causal or masked."""

    @property
    def start_token_id(self) -> int | None:
        """The token that texts begin with; None: none. A masked model has its special tokens."""

    @property
    def batch_tokens(self) -> int:
        """Tokens in a forward pass at most; results do not depend on it."""

    @property
    def prompts(self) -> Sequence[str]:
        """Texts put before, or around, every context; several are a family of variants."""

    @property
    def decoding_rule(self) -> DecodingRule | None:
        """The rule that changes next-token distributions; None: the model's own."""

    @property
    def unigram(self) -> NDArray[np.float64] | None:
        """Log-probabilities of tokens that are answered whatever is read; None: the model's own."""

    @property
    def rehearsing(self) -> bool:
        """Whether requests are tokenized and checked alone, and none is put to the module."""

    @property
    def decision(self) -> Mapping[str, JSON] | None:
        """How it is asked typed questions; None: it is not."""

    @property
    def active_rule(self) -> DecodingRule | None:
        """The decoding rule of a causal model, where it changes something."""

    @property
    def context_length(self) -> int | None:
        """Most tokens a text may have, special tokens included; None: the module sets no limit."""
