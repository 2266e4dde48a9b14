"""Self-Debias: make less likely what a text that announces the bias would make more likely.

Schick, Udupa & Schütze 2021, "Self-Diagnosis and Self-Debiasing", TACL, section 4,
https://arxiv.org/abs/2103.00453.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import ClassVar, Final, final

from jaxtyping import Float
from pydantic import TypeAdapter, ValidationError
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from equipoise.errors import DataError, ModelError, nearest
from equipoise.models.decoding_rule import Context, DecodingRule
from equipoise.models.tokenization import Ids, Tokens
from equipoise.records import JSON

_PROBE = "The"
#: (what is added to the prefix's tokens, what then stands between prefix and text)
_JOINTS = (("", " "), (" ", " "), ("\n", "\n"))


#: StereoSet's names of types to those of CrowS-Pairs.
SAME_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {"profession": "socioeconomic", "race": "race-color"}
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SelfDebiasing(DecodingRule):
    """Each token's probability times a factor that falls with how much a prefix favors it.

    With p after the text and b the largest probability after prefix and text, the factor is 1
    where p >= b and else max(epsilon, exp(decay (p - b))).
    """

    kind: ClassVar[str] = "self_debias"
    leads: ClassVar[bool] = True

    prefixes: tuple[str, ...]  # each announces a bias; without a space at its end
    decay: float = 50.0  # of the factor, per unit of probability; 0: nothing changes
    epsilon: float = 0.01  # least factor, above 0
    types: tuple[str, ...] = ()  # the bias that each prefix announces, for the record

    def __post_init__(self) -> None:
        """Refuse numbers with which the factor is no factor."""
        if self.decay < 0 or not math.isfinite(self.decay) or not 0 < self.epsilon <= 1:
            raise ModelError(
                "self-debiasing must have a finite decay >= 0 and 0 < epsilon <= 1, got "
                f"{self.decay} and {self.epsilon}; correct them"
            )
        for prefix in self.prefixes:
            if not prefix.strip() or prefix != prefix.strip():
                raise ModelError(
                    f"a prefix must have words and no space at its ends, got {prefix!r}; strip it"
                )

    @property
    def rows(self) -> int:
        """The text's own, and a row per prefix."""
        return 1 + len(self.prefixes)

    @property
    def neutral(self) -> bool:
        """Without decay or prefixes."""
        return self.decay == 0 or not self.prefixes

    @property
    def settings(self) -> Mapping[str, JSON]:
        """Prefixes and numbers."""
        settings: dict[str, JSON] = _RULE.dump_python(self, mode="json")
        return settings

    @property
    def record(self) -> Mapping[str, JSON]:
        """The hash of the prefixes, and which biases they announce."""
        digest = hashlib.sha256(json.dumps(list(self.prefixes)).encode()).hexdigest()
        return {"prefixes_sha256": digest, "types": list(self.types)}

    @classmethod
    def from_settings(cls, settings: Mapping[str, JSON]) -> "SelfDebiasing":
        """As `settings` gave them. Raises `ModelError`."""
        try:
            return _RULE.validate_python(settings)
        except ValidationError as error:
            raise ModelError(
                "self-debiasing must have prefixes, types, decay and epsilon, got "
                f"{sorted(settings)} ({error.error_count()} wrong); save the edit again"
            ) from error

    def contexts(
        self, tokenizer: PreTrainedTokenizerBase, tokens: Tokens, prefix_lengths: Sequence[int]
    ) -> list[tuple[Context, ...]]:
        """The text's tokens, and these after each prefix's: none is shifted by a long prefix."""
        spaced = tokens.text[:1].isspace()
        fronts = [_prefix_ids(tokenizer, prefix, spaced=spaced) for prefix in self.prefixes]
        rows = [(front + tokens.ids, len(front)) for front in [(), *fronts]]
        return [tuple((ids, size + length) for ids, size in rows) for length in prefix_lengths]

    def adjusted(self, logprobs: Float[Tensor, "row place token"]) -> Float[Tensor, "place token"]:
        """Section 4.1 of the paper, in logarithms, so that nothing is lost to rounding.

        The factor's exponent is a difference of probabilities, as printed: with the default decay
        a token that the prefix makes likelier by 0.01 keeps 0.61 of its share, and a token whose
        probability is below 0.001 nearly all.
        """
        plain = logprobs[0]
        gap = plain.exp() - logprobs[1:].amax(0).exp()
        changed = plain + (self.decay * gap).clamp(min=math.log(self.epsilon), max=0.0)
        return changed - changed.logsumexp(-1, keepdim=True)


_RULE: Final = TypeAdapter(SelfDebiasing)


def bias_prefixes() -> Mapping[str, tuple[str, ...]]:
    """The package's own wordings that announce each bias type, the usual first; no final space.

    The types are those of CrowS-Pairs (neither paper nor code has a prefix for professions).
    """
    text = files("equipoise.decoding").joinpath("bias_prefixes.json").read_text("utf-8")
    return {name: tuple(wordings) for name, wordings in json.loads(text).items()}


def bias_type(name: str) -> str:
    """The type that a name stands for. Raises `DataError` with the nearest names."""
    known = bias_prefixes()
    standard = SAME_TYPE.get(name, name)
    if standard not in known:
        raise DataError(f"bias type '{name}' has no prefix; {nearest(name, (*known, *SAME_TYPE))}")
    return standard


# asked for with every text
@lru_cache(maxsize=256)
def _prefix_ids(tokenizer: PreTrainedTokenizerBase, prefix: str, *, spaced: bool) -> Ids:
    """A prefix in tokens, to stand before a text whose own tokens stay as they are.

    A text that begins with its own space follows directly. Otherwise the joint is the first under
    which prefix and text together would be cut into the same tokens: nothing for tokenizers that
    mark the beginning of a word, a space where a space is a token, a new line for byte-level BPE,
    where "The" after a space is another token than at the beginning of a text. A trailing space is
    never left over to stand before a word's own.
    """
    alone = _ids(tokenizer, prefix)
    if spaced:
        return alone
    probe = _ids(tokenizer, _PROBE)
    for added, between in _JOINTS:
        front = _ids(tokenizer, prefix + added) if added else alone
        if front + probe == _ids(tokenizer, prefix + between + _PROBE):
            return front
    return alone


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> Ids:
    ids = tuple(tokenizer.encode(text, add_special_tokens=False, verbose=False))
    # a tokenizer that puts its BOS before every text
    return ids[1:] if ids[:1] == (tokenizer.bos_token_id,) else ids
