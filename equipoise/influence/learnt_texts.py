"""Texts as tokens, and which of them a loss is over."""

from dataclasses import dataclass

from equipoise.models.tokenization import Ids
from equipoise.training.row_tokens import TokenizedRows


@dataclass(frozen=True, slots=True)
class LearntText:
    """A text as tokens, and those of them whose prediction is its loss."""

    ids: Ids
    positions: tuple[int, ...]  # each above 0, in order; at least a position

    @property
    def length(self) -> int:
        """Tokens that its loss depends on as input: from the last that is learnt, none follows."""
        return self.positions[-1]


def learnt_texts(tokens: TokenizedRows) -> list[LearntText]:
    """The rows that could be tokenized, as texts whose gradients can be taken."""
    return [
        LearntText(tuple(ids), tuple(tokens.positions(row))) for row, ids in enumerate(tokens.ids)
    ]
