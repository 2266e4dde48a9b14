"""Neutral sentences about somebody, and the terms that say of which group that is."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from equipoise.errors import RecipeError, nearest
from equipoise.files.yaml_data import parse_yaml
from equipoise.group_words.word_lists import read_word_lists

_FILE: Final = "identity.yaml"
#: Axes that the lists of group words bring: which member of a group is written, and how.
_LISTED: Final = {"nationality": (slice(1, 2), "the {} person"), "names": (slice(None), "{}")}

_LISTS: Final = TypeAdapter(Mapping[str, Mapping[str, tuple[str | tuple[str, ...], ...]]])


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What counterfactual texts are put together from."""

    sentences: tuple[str, ...]  # each with {who}
    neutral: str  # a term of no group
    axes: Mapping[str, Mapping[str, tuple[str, ...]]]


@cache
def identity() -> Identity:
    """The sentences, the neutral term and the axes of `identity.yaml`."""
    text = resources.files("equipoise.scorer_gaps").joinpath(_FILE).read_text(encoding="utf-8")
    document, _ = parse_yaml(text, _FILE, "list of identity terms")
    return TypeAdapter(Identity).validate_python(document)


def axes() -> tuple[str, ...]:
    """The names of the axes."""
    return (*identity().axes, *_LISTED)


def identity_groups(axis: str) -> Mapping[str, tuple[str, ...]]:
    """The groups of an axis, each with its terms, such as "the Muslim woman".

    Raises `RecipeError` for an unknown axis.
    """
    if axis in identity().axes:
        return identity().axes[axis]
    if axis not in _LISTED:
        raise RecipeError(f"identity axis '{axis}' is not known; {nearest(axis, axes())}")
    members, form = _LISTED[axis]
    document = read_word_lists(None, (axis,)).as_json
    listed = _LISTS.validate_python(document["axes"] if isinstance(document, dict) else {})
    return {
        group: tuple(form.format(word) for word in words[members])
        for group, words in listed[axis].items()
    }


def put(sentence: str, term: str) -> str:
    """A sentence about whom the term names."""
    text = sentence.replace("{who}", term)
    return text[:1].upper() + text[1:]
