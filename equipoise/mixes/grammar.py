"""CrowS-style pairs in all nine bias types, put together from `grammar.yaml` by a seed.

In place of the BiasDiff paper's 5,000 pairs of a chat model, which are not published: a frame, a
group with its counterpart, what is said of it, and where, when and by whom. Such sentences are less
varied than written ones; `written_pairs` has a chat model write them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final, Literal

import numpy as np
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass as checked

from equipoise.errors import RecipeError
from equipoise.files.yaml_data import parse_yaml
from equipoise.mixes.pairs import BIAS_TYPES, DistinctPairs, Pair, fault_of_pair

GENERATOR: Final = "grammar"
#: In CrowS-Pairs 218 of 1,508 pairs are "antistereo".
_ANTISTEREO: Final = 218 / 1508
_MOST_FAILURES: Final = 500  # draws in a row that give nothing new, after which a type is empty

_Kind = Literal["is", "does"]


@checked(frozen=True, kw_only=True)
class Family:
    """Groups of which the same is said."""

    groups: tuple[tuple[str, str], ...]  # the stereotyped group, and another
    stereo: Mapping[_Kind, tuple[str, ...]]
    antistereo: Mapping[_Kind, tuple[str, ...]]


@checked(frozen=True, kw_only=True)
class Grammar:
    """What pairs are put together from."""

    heads: tuple[tuple[str, str], ...]  # people: singular, plural
    where: tuple[str, ...]
    when: tuple[str, ...]
    who: tuple[str, ...]
    frames: Mapping[_Kind, tuple[str, ...]]
    neutral: Mapping[_Kind, tuple[str, ...]]
    types: Mapping[str, tuple[Family, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """What is said of whom."""

    groups: tuple[str, str]  # of the sentence that stereotypes more, and of the other
    kind: _Kind
    attribute: str
    direction: str


def draw_pairs(
    count: int,
    *,
    seed: int,
    refused: Callable[[Pair], bool] = lambda _: False,
    distinct: DistinctPairs | None = None,
) -> tuple[Pair, ...]:
    """That many different pairs, of the nine types in turn; the first of more pairs are the same.

    `refused`: pairs that are not wanted, such as those of a measured benchmark; `distinct`: what
    they must not repeat. Raises `RecipeError` when the grammar has no more of a type.
    """
    distinct = DistinctPairs() if distinct is None else distinct
    # a stream for each type, so that more words of a type change no other
    rngs = [np.random.default_rng([seed, place]) for place in range(len(BIAS_TYPES))]
    pairs: list[Pair] = []
    failures = 0
    while len(pairs) < count:
        place = len(pairs) % len(BIAS_TYPES)
        pair = _draw(BIAS_TYPES[place], rngs[place], id=f"{GENERATOR}:{seed}:{len(pairs)}")
        if fault_of_pair(pair) or refused(pair) or distinct.repeats(pair):
            failures += 1
            if failures == _MOST_FAILURES:
                raise RecipeError(
                    f"the grammar of pairs must have {count} that differ, got {len(pairs)} with "
                    f"seed {seed}, after which '{pair.bias_type}' has no more; ask for fewer rows "
                    "or probes"
                )
            continue
        failures = 0
        pairs.append(pair)
    return tuple(pairs)


@cache
def grammar() -> Grammar:
    """That of `grammar.yaml`."""
    document, _ = parse_yaml(_content().decode(), "grammar.yaml", "grammar of pairs")
    return TypeAdapter(Grammar).validate_python(document)


@cache
def grammar_sha256() -> str:
    """Hash of `grammar.yaml`: which grammar pairs are made of."""
    return hashlib.sha256(_content()).hexdigest()


def _content() -> bytes:
    return resources.files("equipoise.mixes").joinpath("grammar.yaml").read_bytes()


def _draw(bias_type: str, rng: np.random.Generator, *, id: str) -> Pair:
    parts = grammar()
    said = _draw_said(parts.types[bias_type], rng)
    frame = int(rng.integers(len(parts.frames[said.kind])))
    words = {
        "where": _pick(parts.where, rng),
        "when": _pick(parts.when, rng),
        "who": _pick(parts.who, rng),
    }
    head = parts.heads[int(rng.integers(len(parts.heads)))]
    neutral = _pick(parts.neutral[said.kind], rng)

    def fill(group: str, attribute: str) -> str:
        people = _people(group, head)
        text = parts.frames[said.kind][frame].format_map(words | people | {said.kind: attribute})
        return text[0].upper() + text[1:]

    more, less = said.groups
    return Pair(
        id=id,
        sent_more=fill(more, said.attribute),
        sent_less=fill(less, said.attribute),
        direction=said.direction,
        bias_type=bias_type,
        generator=GENERATOR,
        prompt_sha256=grammar_sha256(),
        frame=f"{said.kind}:{frame}",
        neutral=fill(more, neutral),
    )


def _draw_said(families: tuple[Family, ...], rng: np.random.Generator) -> _Said:
    """An attribute of a type, all of them alike likely within a direction, and groups for it."""
    anti = bool(rng.random() < _ANTISTEREO)
    listed: list[tuple[Family, _Kind, str]] = [
        (family, kind, attribute)
        for family in families
        for kind, attributes in (family.antistereo if anti else family.stereo).items()
        for attribute in attributes
    ]
    family, kind, attribute = listed[int(rng.integers(len(listed)))]
    first, second = family.groups[int(rng.integers(len(family.groups)))]
    return _Said(
        groups=(second, first) if anti else (first, second),
        kind=kind,
        attribute=attribute,
        direction="antistereo" if anti else "stereo",
    )


def _people(group: str, head: tuple[str, str]) -> dict[str, str]:
    """A group in the singular and the plural: people themselves, or what stands before them."""
    singular, slash, plural = group.partition("/")
    if slash:
        return {"one": singular, "many": plural}
    return {"one": f"{group} {head[0]}", "many": f"{group} {head[1]}"}


def _pick(options: tuple[str, ...], rng: np.random.Generator) -> str:
    return options[int(rng.integers(len(options)))]
