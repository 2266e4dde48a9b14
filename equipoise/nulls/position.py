"""Position: always the option that stands in one place of a list."""

from dataclasses import dataclass
from typing import ClassVar

from equipoise.inference.scorer import Scorer
from equipoise.nulls.base import Asked, Guess, Null, lists_options
from equipoise.records import Decided, Decision, NextToken, NextTokenScored, Response


@dataclass(frozen=True)
class Position(Null):
    """Takes the option at one place, whatever it says: a letter or a number, or a listed answer.

    Where options are listed in several orders over which a benchmark takes means, each option
    stands in each place, and there is no such rule.
    """

    version: ClassVar[str] = "1"

    def guesses(self, asked: Asked, model: Scorer | None) -> list[Guess]:
        """A rule per place, where options are listed; of lists of unequal length none."""
        sizes = {_listed(request) for requests in asked for request in requests}
        if len(sizes) != 1 or 0 in sizes or any(len(requests) > 1 for requests in asked):
            return []
        (size,) = sizes
        guesses = []
        for place in range(size):
            says = f"takes the option in place {place + 1} of {size}"
            answers = [[_take(request, place) for request in requests] for requests in asked]
            guesses.append(Guess(name=f"option {place + 1}", says=says, answers=answers))
        return guesses


def _listed(request: object) -> int:
    """How many options are listed; 0: none are."""
    match request:
        case NextToken(words=words) if lists_options(words):
            return len(words)
        case Decision(options=options):
            return len(options)
    return 0


def _take(request: object, place: int) -> Response:
    size = _listed(request)
    if isinstance(request, Decision):
        shares = tuple(float(option == place) for option in range(size))
        return Decided(probabilities=shares, label_mass=1.0)
    logprobs = tuple(0.0 if option == place else -1.0 for option in range(size))
    return NextTokenScored(logprobs=logprobs, tokens=(1,) * size)
