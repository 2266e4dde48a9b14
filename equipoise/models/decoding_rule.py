"""DecodingRule: what the model says next, changed by what it says next after other contexts.

The weights stay as they are. For each place of a text a decoding rule names K other contexts; the
model's log-probabilities after the text itself and after these are made into one distribution.
Scoring (`adjusted_reading`) and generating (`generating`) both ask here and nowhere else, so a
text has the same probability whether it is scored or written.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, TypeAlias

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.models.tokenization import Ids, Tokens
from equipoise.records import JSON

#: Token ids without a start token, and how many of them are read: a context of the next token.
#: Contexts of one row share the tuple.
Context: TypeAlias = tuple[Ids, int]


class DecodingRule(ABC):
    """A rule from K + 1 next-token distributions to one.

    A subclass is a frozen dataclass; equal settings give equal answers.
    """

    kind: ClassVar[str]  # its name in a saved edit

    @property
    @abstractmethod
    def rows(self) -> int:
        """K + 1 at most: forward passes a token, in units of the plain model's."""

    @property
    @abstractmethod
    def neutral(self) -> bool:
        """Whether it changes no distribution; the plain model then answers, bit for bit."""

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, JSON]:
        """All that settles what it does, as JSON; `from_settings` reads it."""

    @property
    @abstractmethod
    def record(self) -> Mapping[str, JSON]:
        """What a result must say of it beside its name and cost: hashes of its lists, options."""

    @classmethod
    @abstractmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "DecodingRule":
        """The rule with these settings. Raises `ModelError` naming what is wrong."""

    @abstractmethod
    def covers(self, text: str, *, whole: bool) -> bool:
        """Whether some token is adjusted: of the text itself if `whole`, else the one after it."""

    @abstractmethod
    def contexts(
        self, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, read: Sequence[int]
    ) -> list[tuple[Context, ...]]:
        """What is mixed after so many tokens of the text, for each entry of `read`.

        Ascending counts. First the text's own context, the other ones after it; none: nothing is
        adjusted there. They depend on the tokens that are read alone, not on those to come.
        """

    @abstractmethod
    def adjusted(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Log-probabilities (nats) in place of row 0's, which are the text's own.

        Computed in float32 or better; sums to 1 within 1e-6.
        """
