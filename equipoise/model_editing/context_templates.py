"""Short texts put before a prompt, so that a key or a value does not depend on what stands before.

The model writes them itself, from a seed. ROME: 10 of 5 tokens and 10 of 10 tokens, from nothing;
MEMIT: one of 10 tokens from each of five words. Both beside the plain prompt, which comes first.
"""

from typing import Final, TypeAlias

from equipoise.inference.language_model import LanguageModel
from equipoise.records import Generation

#: What stands directly before a prompt, ending in ". ", or "" for the plain prompt.
Prefixes: TypeAlias = tuple[str, ...]

_WORDS: Final = ("The", "Therefore", "Because", "I", "You")
_TOP_K: Final = 5  # as the released code draws


def rome_prefixes(model: LanguageModel, *, each: int, seed: int) -> Prefixes:
    """The plain prompt, then `each` prefixes of 5 tokens and as many of 10."""
    # a model without a start token has nothing to write from
    start = "" if model.start_token_id is not None else _WORDS[0]
    return _written(model, [(start, 5)] * each + [(start, 10)] * each, seed=seed)


def memit_prefixes(model: LanguageModel, *, words: int = len(_WORDS), seed: int) -> Prefixes:
    """The plain prompt, then a prefix of 10 tokens from each of the first words of five."""
    return _written(model, [(word, 10) for word in _WORDS[:words]], seed=seed)


def _written(model: LanguageModel, asked: list[tuple[str, int]], *, seed: int) -> Prefixes:
    requests = [
        Generation(
            context=context,
            max_tokens=tokens,
            min_tokens=tokens,
            temperature=1.0,
            top_k=_TOP_K,
            sample=sample,
        )
        for sample, (context, tokens) in enumerate(asked)
    ]
    texts = model.generate(requests, seed=seed) if requests else []
    # on one line, as a prompt is
    written = [
        " ".join((request.context + text).split())
        for request, text in zip(requests, texts, strict=True)
    ]
    return ("", *(f"{text}. " for text in written if text))
