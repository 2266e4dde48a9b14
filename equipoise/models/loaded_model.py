"""What scoring, generation and embedding need of a model: its module, tokenizer and settings."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.models.decoding_rule import DecodingRule
from equipoise.records import ModelKind


@runtime_checkable  # for the checks of shapes in tests
class LoadedModel(Protocol):
    """A model in memory. `inference.LanguageModel` is one; the engine is typed against this."""

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
    def batch_tokens(self) -> int:
        """Tokens in one forward pass at most; results do not depend on it."""

    @property
    def prompts(self) -> Sequence[str]:
        """Texts put before every context; several are a family of variants."""

    @property
    def decoding_rule(self) -> DecodingRule | None:
        """The rule that changes next-token distributions; None: the model's own."""


def active_rule(model: LoadedModel) -> DecodingRule | None:
    """The decoding rule of a causal model, where it has one that changes something."""
    rule = model.decoding_rule
    return None if rule is None or rule.neutral or model.kind == "masked" else rule
