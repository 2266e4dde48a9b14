"""DecodingRule: next-token distributions of a text made of those after several contexts.

The weights stay as they are. For each place of a text a rule names K other contexts; the model's
log-probabilities after the text itself and after these are combined. A rule may also reweight
tokens by what stands before them. Scoring
(`inference.rule_scoring`) and generation (`inference.generation`) both ask the rule and nothing
else, so a text has the same probability whether it is scored or written.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.models.tokenization import Ids, Tokens
from equipoise.records import JSON

#: Token ids without a start token, and how many of them are the context of the next token.
#: Contexts of a row share the tuple.
Context: TypeAlias = tuple[Ids, int]


class DecodingRule(ABC):
    """A rule that combines K + 1 next-token distributions.

    A subclass is a frozen dataclass; equal settings give equal answers.
    """

    kind: ClassVar[str]  # its name in a saved edit
    leads: ClassVar[bool] = False  # whether it puts texts of its own before the whole text
    reweights: ClassVar[bool] = False  # whether `reweighted` changes anything, wherever it applies

    @property
    @abstractmethod
    def rows(self) -> int:
        """K + 1 at most: forward passes per token, in units of the plain model's."""

    @property
    @abstractmethod
    def neutral(self) -> bool:
        """Whether it changes no distribution; the plain model then answers, bit for bit."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, JSON]:
        """All that determines what it does, as JSON; `from_settings` reads it."""

    @property
    @abstractmethod
    def record(self) -> Mapping[str, JSON]:
        """What a result must say of it beside its name and cost: hashes of its lists, options."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "DecodingRule":
        """The rule with these settings. Raises `ModelError` naming what is wrong."""

    @abstractmethod
    def contexts(
        self, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, prefix_lengths: Sequence[int]
    ) -> list[tuple[Context, ...]]:
        """For each prefix length (ascending) the contexts whose distributions are combined.

        The text's own context comes first. Empty: the rule does not apply there. The contexts of a
        prefix depend on the tokens of the prefix alone, not on those to come.
        """

    @abstractmethod
    def adjusted(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities (nats) in place of row 0's, which are the text's own.

        Computed in float32 or better; sums to 1 within 1e-6.
        """

    def reweighted(
        self,
        logprobs: Float[Tensor, "place token"],
        tokenizer: PreTrainedTokenizerBase,  # noqa: ARG002
        contexts: Sequence[Ids],  # noqa: ARG002
    ) -> Float[Tensor, "place token"]:
        """Log-probabilities (nats) in place of these, by the text's own context of each place.

        After `adjusted`, and where there are no other contexts, too; as they are by default.
        Contexts have their start token; only the tokens at their end may matter.
        """
        return logprobs
