"""What scoring, generation and embedding need of a model: its parts, settings and limits."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.models.decoding_rule import DecodingRule
from equipoise.records import ModelKind


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
    def batch_tokens(self) -> int:
        """Tokens in a forward pass at most; results do not depend on it."""

    @property
    def prompts(self) -> Sequence[str]:
        """Texts put before every context; several are a family of variants."""

    @property
    def decoding_rule(self) -> DecodingRule | None:
        """The rule that changes next-token distributions; None: the model's own."""


def active_rule(model: LoadedModel) -> DecodingRule | None:
    """The decoding rule of a causal model, where it changes something."""
    rule = model.decoding_rule
    return None if rule is None or rule.neutral or model.kind == "masked" else rule


_OFFSET_POSITIONS = frozenset(["roberta", "xlm-roberta", "camembert"])  # they begin after padding


def context_length(module: PreTrainedModel) -> int | None:
    """Most tokens a text may have, special ones included; None when the module sets no limit."""
    config = module.config.get_text_config()
    name = config.attribute_map.get("max_position_embeddings", "max_position_embeddings")
    limit = config.to_dict().get(name)
    if limit is None:
        return None
    if config.model_type in _OFFSET_POSITIONS:
        return int(limit) - int(config.pad_token_id or 0) - 1
    return int(limit)


def attention_window(module: PreTrainedModel) -> int | None:
    """Tokens that the most limited block looks back; None when every block sees everything.

    Longer texts are not packed: in a packed row a window would count neighbors.
    """
    window = module.config.get_text_config().to_dict().get("sliding_window")
    return None if window is None else int(window)
