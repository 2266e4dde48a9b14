"""A conversation of several turns as a request: what the user says is given, the answers are not.

Each turn is answered by the model that is measured, given its own answers before, so that a
dialogue is one unit: what it answers last depends on all that it answered before.
"""

from dataclasses import dataclass
from typing import TypeAlias

#: What a model wrote: a text, or of a dialogue its answer to each turn.
Texts: TypeAlias = str | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """Ask for an answer to each of the user's turns in a conversation, in their order."""

    turns: tuple[str, ...]  # of the user
    max_tokens: int  # of each answer
    temperature: float = 0.0  # 0: greedy
    top_p: float = 1.0
    sample: int = 0  # tells apart the same dialogue, held several times: each is drawn anew
