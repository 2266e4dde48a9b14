"""Which words a method is about: those that it names, or those that its prompts ask for."""

from collections.abc import Sequence
from typing import Final

from equipoise.records import Prompt

#: What prompts ask for that do not say.
PRONOUNS: Final = (" he", " she")


def why_not_asked(words: Sequence[str] | None, prompts: Sequence[Prompt]) -> str | None:
    """Why words cannot be learnt on prompts, a sentence's part; None: they can.

    Prompts that say which words come next must share one of these, in whatever case: elsewhere the
    words have hardly any probability, and to raise it ruins the model. Without words named, the
    prompts must agree on them.
    """
    asked = {prompt.words for prompt in prompts if prompt.words}
    if words is None:
        if len(asked) < 2:
            return None
        return (
            f"prompts must ask for the same words where none are named, got {_listed(asked)}; name "
            "words, or give it a supply of one axis"
        )
    named = {word.strip().casefold() for word in words}
    for other in asked:
        if named.isdisjoint(word.strip().casefold() for word in other):
            return (
                f"words must be some of those that its prompts ask for, {list(other)}, got "
                f"{list(words)}; leave words out, or give it a supply about them, as "
                "{name: genbias, axis: race}"
            )
    return None


def words_of(words: tuple[str, ...] | None, prompts: Sequence[Prompt]) -> tuple[str, ...]:
    """The words named, else those that the prompts ask for, else `PRONOUNS`."""
    asked = next((prompt.words for prompt in prompts if prompt.words), PRONOUNS)
    return asked if words is None else words


def _listed(words: set[tuple[str, ...]]) -> str:
    return " and ".join(str(list(each)) for each in sorted(words))
