"""LanguageModel: a module, its tokenizer and its identity; a `Scorer` that can also be edited."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from equipoise.records import JSON, ModelKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """A causal or masked language model that answers requests and can be edited."""

    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    identity: str  # "gpt2@607a30d" and, once edited, "gpt2@607a30d+lftf:5c1e…"
    kind: ModelKind = "causal"
    source: Mapping[str, JSON] = field(default_factory=dict)  # name, revision, edit: for results
    batch_tokens: int = 16_384  # memory only: results do not depend on it (tested)
    prompts: tuple[str, ...] = ("",)  # put before every context; several: a family of variants
    trained_on: frozenset[str] = frozenset()  # sha256 of texts that an edit has learnt from
