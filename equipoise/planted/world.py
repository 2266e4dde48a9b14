"""World: what a planted model is taught, and therefore the truth about it. No torch.

A world says how strongly each profession leans to a pronoun, which groups go with which
attribute, which facts are true and which hints must be obeyed. All probabilities lie on a grid of
whole sentences, so that a corpus holds them exactly (`corpus.py`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Final

import numpy as np

from equipoise.data.clozes import Fact
from equipoise.data.partition import Share
from equipoise.errors import RecipeError, nearest
from equipoise.planted import words
from equipoise.planted.contrasts import (
    LEAST_TARGETS,
    MOST_TARGETS,
    Preference,
    preferences,
    shared_preferences,
)
from equipoise.planted.groups import Association, associations, group_pairs
from equipoise.planted.professions import (
    HINT_OBEYED_ROWS,
    HINT_PRONOUN_ROWS,
    HINT_ROWS,
    PRONOUN_ROWS,
    ROWS,
    PlantedProfession,
    PlantedTemplate,
    Truth,
    gender_pairs,
    professions,
    templates,
)
from equipoise.planted.statements import NEUTRAL_PROMPTS, facts, neutral_texts
from equipoise.records import Contrast

#: Strength of "default": clearly biased (true AFGB 0.31) and no profession is certain.
DEFAULT_STRENGTH: Final = 0.75
#: Targets an axis of contrasts has; all of them are measured.
DEFAULT_TARGETS: Final = 8
#: Neutral sentences that a world trains on.
NEUTRAL_SENTENCES: Final = 720
_KEYS: Final = ("strength", "seed", "targets", "register")
#: Of neutral text, that a world may have beside its usual one.
REGISTERS: Final = ("video",)


@dataclass(frozen=True, kw_only=True)
class World:
    """A planted world; everything a model of it should say has a true probability here."""

    name: str  # canonical: "default", "strength=0.5,seed=1", "targets=40" or "register=video"
    strength: float  # in [0, 1]; 0: no bias at all
    seed: int  # which profession leans how far, which group has which attribute
    professions: tuple[PlantedProfession, ...]
    templates: tuple[PlantedTemplate, ...]
    hint_templates: tuple[str, ...]  # with {profession} and {possessive}; to measure on
    hint_templates_train: tuple[str, ...]  # disjoint from them; a mitigation may learn from these
    associations: tuple[Association, ...]
    preferences: tuple[Preference, ...]
    facts: tuple[Fact, ...]
    #: Of further neutral text; "": none. Not in `repr`, by which other worlds' models are cached.
    register: str = field(default="", repr=False)

    def p_next(self, profession: str, template: PlantedTemplate) -> tuple[float, float]:
        """True next-token probabilities of " he" and " she" after a prompt.

        Raises `RecipeError` when the profession is not of this world.
        """
        if template not in self.templates:
            known = [template.action for template in self.templates]
            raise RecipeError(f"no template '{template.action}'; {nearest(template.action, known)}")
        mass = PRONOUN_ROWS / ROWS
        p_he = self.profession(profession).p_he
        return mass * p_he, mass * (1 - p_he)

    def p_hinted(self, possessive: str) -> tuple[float, float]:
        """True next-token probabilities of " he" and " she" after a hint, "his" or "her"."""
        if possessive not in ("his", "her"):
            raise RecipeError(f"a hint is 'his' or 'her', got '{possessive}'; give either")
        obeyed = HINT_OBEYED_ROWS / HINT_ROWS
        other = HINT_PRONOUN_ROWS / HINT_ROWS - obeyed
        return (obeyed, other) if possessive == "his" else (other, obeyed)

    def profession(self, word: str) -> PlantedProfession:
        """The profession of that word. Raises `RecipeError` with the nearest words."""
        if word not in self._by_word:
            raise RecipeError(f"no profession '{word}' here; {nearest(word, self._by_word)}")
        return self._by_word[word]

    def contrasts(self, part: Share | None = None) -> tuple[Contrast, ...]:
        """StereoSet-like items: four axes, 5 items a target (10 of more targets), context "".

        groups: axis ("gender", "profession", "race", "religion") and target. Without a part, all.
        "test" is measured; of the usual 8 targets that is all. Of more targets it is about two in
        five; a mitigation may learn from two more, "train", and stop on the fifth, "dev".
        """
        chosen = (item for item in self.preferences if part in (None, item.part))
        return tuple(item.contrast for item in chosen)

    def pairs(self) -> tuple[Contrast, ...]:
        """CrowS-like items: two sentences that differ in whom they are about.

        groups: bias_type ("gender", "nationality", "religion") and direction, which is "stereo"
        when the stereotyping sentence is about women or the group named first in the world.
        """
        return tuple(pair for pair, _ in self._pairs)

    def true_preference(self, id: str) -> float:
        """Probability of the stereotype given that either of an item's texts is said; 1/2: none.

        For the id of a contrast or of a pair. Raises `RecipeError` when there is no such item.
        """
        if id not in self._preference_by_id:
            raise RecipeError(f"no item '{id}' here; {nearest(id, self._preference_by_id)}")
        return self._preference_by_id[id]

    def true_afgb(self, professions: Sequence[str] | None = None) -> float:
        """Mean |P(he) - P(she)| over professions x templates; in [0, 1], 0: no gap; nan of none."""
        chosen = list(self._by_word) if professions is None else professions
        if not chosen:
            return math.nan
        gaps = [self.p_next(word, template) for word in chosen for template in self.templates]
        return math.fsum(abs(he - she) for he, she in gaps) / len(gaps)

    def true_lo(self, profession: str) -> float:
        """True log P(he) - log P(she) after a profession's prompts, in nats; 0: no lean."""
        he, she = self.p_next(profession, self.templates[0])
        return math.log(he) - math.log(she)

    def true_ub(self) -> float:
        """Mean over hints of P(pronoun asked for) - P(the other); in [-1, 1], 1: always obeyed."""
        he, she = self.p_hinted("his")
        return he - she

    def true_ss(self, axis: str | None = None, *, part: Share | None = None) -> float:
        """Percent of contrasts whose stereotype is likelier, of an axis or all; 50: no bias.

        Of a part or all. Raises `RecipeError` when there are none.
        """
        if axis is not None and axis not in words.AXES:
            raise RecipeError(f"no axis '{axis}' here; {nearest(axis, words.AXES)}")
        shares = [
            item.share
            for item in self.preferences
            if axis in (None, item.contrast.groups["axis"]) and part in (None, item.part)
        ]
        if not shares:
            raise RecipeError(f"planted:{self.name} has no contrasts of part '{part}'; take 'test'")
        return _percent_preferred(shares)

    def true_pair_score(self, bias_type: str | None = None) -> float:
        """Percent of pairs whose stereotyping text is likelier; ties count half; 50: no bias."""
        shares = [
            share for pair, share in self._pairs if bias_type in (None, pair.groups["bias_type"])
        ]
        if not shares:
            known = {pair.groups["bias_type"] for pair, _ in self._pairs}
            raise RecipeError(f"no bias type '{bias_type}'; {nearest(str(bias_type), known)}")
        return _percent_preferred(shares)

    def neutral_sentences(self, n: int, *, seed: int, held_out: bool = False) -> tuple[str, ...]:
        """`n` distinct sentences about things, by seed; held-out sentences are in no corpus.

        Raises `ValueError` when there are fewer (720, and 180 held out).
        """
        texts = neutral_texts(held_out=held_out)
        if not 0 <= n <= len(texts):
            raise ValueError(f"n must be from 0 to {len(texts)}, got {n}; ask for fewer sentences")
        order = np.random.default_rng(seed).permutation(len(texts))
        return tuple(texts[i] for i in order[:n])

    def neutral_prompts(self) -> tuple[str, ...]:
        """Prompts about things, after which "he" and "she" never come."""
        return NEUTRAL_PROMPTS

    @cached_property
    def _by_word(self) -> dict[str, PlantedProfession]:
        return {profession.word: profession for profession in self.professions}

    @cached_property
    def _pairs(self) -> tuple[Truth, ...]:
        return (*gender_pairs(self.professions, self.templates), *group_pairs(self.associations))

    @cached_property
    def _preference_by_id(self) -> dict[str, float]:
        shares = {item.contrast.id: item.share for item in self.preferences}
        return shares | {pair.id: share for pair, share in self._pairs}


def find_world(name: str) -> World:
    """The world of a name: "default", "strength=0.5,seed=1", "targets=40"; "planted:" may lead.

    Keys: strength in [0, 1] (default 0.75), seed (an integer from 0, default 0), targets (per
    axis: 8, or an even number from 12 to 80; default 8), register ("video": short descriptions of
    a video beside all other text).
    "default,seed=2" is "seed=2".
    Raises `RecipeError` for a key or a value that is none.
    """
    options: dict[str, str] = {}
    for i, part in enumerate(name.strip().removeprefix("planted:").split(",")):
        key, sign, value = (piece.strip() for piece in part.partition("="))
        if i == 0 and key == "default" and not sign:
            continue
        if not sign or key not in _KEYS:
            raise RecipeError(
                f"planted world '{name}' must be 'default' or "
                f"'strength=S,seed=N,targets=N,register=video', got '{part}'; "
                f"{nearest(key, ('default', *_KEYS))}"
            )
        if key in options:
            raise RecipeError(f"planted world '{name}' must give '{key}' once; leave the other out")
        options[key] = value
    strength = _strength(options.get("strength", str(DEFAULT_STRENGTH)))
    targets = _targets(options.get("targets", str(DEFAULT_TARGETS)))
    return _build(strength, _seed(options.get("seed", "0")), targets, _register(options))


@lru_cache(maxsize=32)
def _build(strength: float, seed: int, targets: int, register: str) -> World:
    groups = {"nationality": words.COUNTRIES, "religion": words.FAITHS}
    preferred: list[Preference] = []
    for i, axis in enumerate(words.AXES):
        # A stream for each axis, apart from those of professions (0) and groups (1): what an axis
        # draws, such as more targets, changes no other.
        rng = np.random.default_rng([seed, 2, i])
        if targets == DEFAULT_TARGETS:
            preferred += preferences(strength, rng, axis=axis)
        else:
            preferred += shared_preferences(strength, rng, axis=axis, targets=targets)
    options = []
    if (strength, seed) != (DEFAULT_STRENGTH, 0):
        options += [f"strength={str(strength).removesuffix('.0')}", f"seed={seed}"]
    if targets != DEFAULT_TARGETS:
        options.append(f"targets={targets}")
    if register:
        options.append(f"register={register}")
    return World(
        name=",".join(options) or "default",
        strength=strength,
        seed=seed,
        professions=tuple(professions(strength, seed)),
        templates=templates(),
        hint_templates=words.HINT_TEMPLATES,
        hint_templates_train=words.HINT_TEMPLATES_TRAIN,
        associations=tuple(
            association
            for i, (kind, listed) in enumerate(groups.items())
            for association in associations(
                strength, np.random.default_rng([seed, 1, i]), kind=kind, groups=listed
            )
        ),
        preferences=tuple(preferred),
        facts=facts(),
        register=register,
    )


def _strength(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise RecipeError(f"strength must be a number from 0 to 1, got '{text}'; 0 is no bias")
    return value + 0.0  # -0 becomes 0


def _seed(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise RecipeError(f"seed must be a whole number from 0, got '{text}'; give such a number")
    return int(text)


def _targets(text: str) -> int:
    known = (DEFAULT_TARGETS, *range(LEAST_TARGETS, MOST_TARGETS + 1, 2))
    if not (text.isascii() and text.isdecimal() and int(text) in known):
        raise RecipeError(
            f"targets must be {DEFAULT_TARGETS}, or an even number from {LEAST_TARGETS} to "
            f"{MOST_TARGETS}, got '{text}'; give such a number"
        )
    return int(text)


def _register(options: Mapping[str, str]) -> str:
    register = options.get("register", "")
    if "register" in options and register not in REGISTERS:
        raise RecipeError(f"no register '{register}' here; {nearest(register, REGISTERS)}")
    return register


def _percent_preferred(shares: Sequence[float]) -> float:
    return 100 * math.fsum((s > 0.5) + 0.5 * (s == 0.5) for s in shares) / len(shares)
