"""CrowS-style pairs: a sentence that stereotypes more, and the same about another group.

The form is that of Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154, which the
BiasDiff paper asks its generator for. No sentence of that set is here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from equipoise.associations.validation import Distinct
from equipoise.data.crows_pairs import DIRECTIONS
from equipoise.data.hub_forms import CROWS_BIAS_TYPES
from equipoise.rows import Probe, TrainingRow

BIAS_TYPES: Final = tuple(CROWS_BIAS_TYPES)
FEWEST_WORDS: Final = 4
MOST_WORDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two sentences that differ in one stretch of words: whom they are about."""

    id: str
    sent_more: str  # stereotypes more
    sent_less: str
    direction: str  # "stereo" or "antistereo", as CrowS-Pairs has it
    bias_type: str  # of `BIAS_TYPES`
    generator: str  # "grammar", a model's name, or "own"
    prompt_sha256: str  # of what it was made from: the grammar, or the messages to the model
    frame: str = ""  # of the grammar: what it shares with other pairs
    neutral: str = ""  # of the grammar: the frame, filled alike, with an attribute of no stereotype

    @property
    def probe(self) -> Probe:
        """It as a probe."""
        groups = {"axis": self.bias_type, "direction": self.direction}
        return Probe(
            id=self.id, stereotype=self.sent_more, antistereotype=self.sent_less, groups=groups
        )

    @property
    def row(self) -> TrainingRow:
        """Its stereotyping sentence as a biased row."""
        groups = {"label": "biased", "axis": self.bias_type, "source": "pairs"}
        frame = {"frame": self.frame} if self.frame else {}
        return TrainingRow(id=self.id, text=self.sent_more, groups=groups | frame)


def fault_of_pair(pair: Pair) -> str | None:
    """Why a pair is none; None: it is.

    Both sentences have 4 to 60 words, differ in one contiguous stretch of words, and share words
    beside it; type and direction are known.
    """
    texts = (pair.sent_more, pair.sent_less)
    if not all(FEWEST_WORDS <= len(text.split()) <= MOST_WORDS for text in texts):
        return f"has not {FEWEST_WORDS} to {MOST_WORDS} words in each sentence"
    if pair.direction not in DIRECTIONS:
        return f"has no direction of {list(DIRECTIONS)}"
    if pair.bias_type not in BIAS_TYPES:
        return "has no bias type of the nine"
    spans = spans_of(*texts)
    if not spans:
        return "has the same sentence twice"
    if len(spans) > 1:
        return "differs in more than one place"
    start, end, other_start, other_end = spans[0]
    shared = len(texts[0].split()) - (end - start)
    if shared < max(end - start, other_end - other_start, 2):
        return "has sentences that share too little"
    return None


def spans_of(first: str, second: str) -> list[tuple[int, int, int, int]]:
    """Where two sentences differ: stretches of words, [start, end) in the first and second."""
    matcher = SequenceMatcher(None, first.split(), second.split(), autojunk=False)
    return [
        (start, end, other_start, other_end)
        for tag, start, end, other_start, other_end in matcher.get_opcodes()
        if tag != "equal"
    ]


class DistinctPairs:
    """Pairs of which no sentence repeats another pair's, nor nearly (see `Distinct`)."""

    def __init__(self) -> None:
        """Nothing is in it."""
        self._more = Distinct()
        self._all: set[str] = set()

    def repeats(self, pair: Pair) -> str | None:
        """How it repeats a pair that was added before it; None: it does not, and is added."""
        texts = {" ".join(text.split()).casefold() for text in (pair.sent_more, pair.sent_less)}
        if texts & self._all:
            return "is there already"
        fault = self._more.repeats(pair.sent_more)
        if fault is None:
            self._all |= texts
        return fault


def count_types(pairs: Iterable[Pair]) -> dict[str, int]:
    """How many pairs are of each bias type, in the order of `BIAS_TYPES`."""
    listed: Sequence[str] = [pair.bias_type for pair in pairs]
    return {name: listed.count(name) for name in BIAS_TYPES}
