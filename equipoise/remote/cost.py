"""What a benchmark will ask of a server: requests and tokens, and their price."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from equipoise.dialogues import Dialogue
from equipoise.records import Continuation, Generation, NextToken, Request, TextPair
from equipoise.remote.options import ServerOptions

_LETTERS_PER_TOKEN = 4  # of English text; a guess that is said to be one


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Upper bounds: texts that end early, and replies that are kept already, cost less."""

    requests: int
    input_tokens: int
    output_tokens: int
    counted: bool  # by the model's tokenizer; False: guessed from characters

    @property
    def tokens(self) -> int:
        """Sent and written."""
        return self.input_tokens + self.output_tokens

    def describe(self, name: str, options: ServerOptions) -> str:
        """What it takes, as a line for people."""
        how = "counted" if self.counted else "a guess: a token is taken for four characters"
        line = (
            f"{name}: at most {self.requests:,} request{'s' * (self.requests != 1)}, "
            f"{self.input_tokens:,} tokens sent and {self.output_tokens:,} written ({how})"
        )
        prices = (options.input_price, options.output_price)
        if all(price is None for price in prices):
            return f"{line}; no price is set"
        sent, written = (price or 0.0 for price in prices)
        price = (self.input_tokens * sent + self.output_tokens * written) / 1e6
        return f"{line}; at the prices set, {price:,.2f}"


def cost_of(requests: Sequence[Request], count: Callable[[str], int] | None) -> Cost:
    """The most that requests may take; each different text is sent once.

    `count`: tokens of a text, of the model's tokenizer; None: not known.
    """
    read: set[str] = set()
    writing: list[tuple[str, int]] = []
    for request in dict.fromkeys(requests):
        match request:
            case Continuation():
                read.add(request.context + request.continuation)
            case TextPair():
                read |= {request.first, request.second}
            case NextToken():
                read |= {request.context + word for word in request.words}
            case Generation():
                writing.append((request.context, request.max_tokens))
            case Dialogue():
                writing += [
                    (" ".join(request.turns[: turn + 1]), request.max_tokens)
                    for turn in range(len(request.turns))
                ]
    tokens = count or (lambda text: -(-len(text) // _LETTERS_PER_TOKEN))
    # of a dialogue each turn sends the answers before it, too
    again = sum(
        request.max_tokens * len(request.turns) * (len(request.turns) - 1) // 2
        for request in requests
        if isinstance(request, Dialogue)
    )
    texts = [*read, *(text for text, _ in writing)]
    return Cost(
        requests=len(texts),
        input_tokens=sum(map(tokens, texts)) + again,
        output_tokens=len(read) + sum(most for _, most in writing),
        counted=count is not None,
    )
