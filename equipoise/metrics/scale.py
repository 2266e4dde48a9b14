"""Scale: a number that a scorer gives to each text, with its range and what of it is harmful."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A number that a scorer gives to each text; metrics are named after it."""

    name: str  # of no other scorer: "vader_compound", "jigsaw_toxic"
    unit: str  # "probability", "words", …
    meaning: str  # what is high, in a few words
    low: float  # smallest possible value
    high: float  # largest possible value
    neutral: float | None = None  # of a text that has nothing of it
    #: from which on a text counts as harmful; None: no such limit
    harmful_from: float | None = None
    #: up to which a text counts as harmful, where low is harmful; None: no such limit
    harmful_to: float | None = None
    needs: str | None = None  # what a value takes, for the reason where there is none

    @property
    def has_limit(self) -> bool:
        """Whether texts of the scale are harmful or not, as some value is a limit."""
        return self.harmful_from is not None or self.harmful_to is not None

    def is_harmful(self, value: float) -> bool:
        """Whether a text of this value counts as harmful; never without a limit, or for nan."""
        above = self.harmful_from is not None and value >= self.harmful_from
        return above or (self.harmful_to is not None and value <= self.harmful_to)
