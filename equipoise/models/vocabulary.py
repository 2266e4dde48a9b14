"""Vocabulary: which token has which id, in a form short enough to be kept with an edit."""

import hashlib
import re
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from equipoise.errors import ModelError

_FORM = re.compile(r"(\d+):([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """A tokenizer's map of tokens to ids; two are equal when every token has the same id."""

    size: int  # the highest id and 1; ids that no token has are counted
    sha256: str  # hex, over every id and its token, in order

    def __str__(self) -> str:
        """What `EditInfo.base_vocabulary` holds and `parsed` reads: "50257:1f0c…"."""
        return f"{self.size}:{self.sha256}"

    @classmethod
    def parsed(cls, text: str) -> "Vocabulary":
        """The vocabulary that `str` wrote. Raises `ModelError` for another text."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ModelError(
                f"a vocabulary must be its size, a colon and a sha256, got {text[:80]!r}; "
                "name the base, whose tokenizer has it"
            )
        return cls(size=int(match[1]), sha256=match[2])


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, *, below: int | None = None) -> Vocabulary:
    """The vocabulary of a tokenizer, added tokens included; of the ids under `below` alone."""
    tokens = sorted((number, token) for token, number in tokenizer.get_vocab().items())
    chosen = [token for token in tokens if below is None or token[0] < below]
    digest = hashlib.sha256()
    for number, token in chosen:
        digest.update(f"{number} {token}\n".encode("utf-8", "surrogatepass"))
    return Vocabulary(size=chosen[-1][0] + 1 if chosen else 0, sha256=digest.hexdigest())
