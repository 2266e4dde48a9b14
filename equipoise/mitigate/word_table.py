"""A word table: lower the words that were the stereotype, whoever the sentence is about.

A control and no paper's method: what can be had of StereoSet (Nadeem, Bethke & Reddy 2021) by
counting, without training and without a look at the group. A method that learnt from StereoSet must
do better than this where targets are exchanged, or it has learnt words.
"""

import math
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Final, TypeAlias

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.edit import info_of
from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON, OPTIONS, Continuation, Contrast, ModelKind, Supply

#: Words that were chosen between to their log-odds of being the stereotype, in nats; 0: as often.
Table: TypeAlias = Mapping[str, float]

STRENGTHS: Final = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0)  # that are tried on held-out terms
_MOST_FALL: Final = 2.0  # points of held-out LMS, as much as the benchmark's own margin


# --- the table --------------------------------------------------------------------------------


def fillers(endings: Sequence[str]) -> tuple[str, ...] | None:
    """The word by which texts differ, of each text, in lower case and without punctuation.

    None where they do not differ in a single word: whole sentences, or the same word.
    """
    words = [ending.split() for ending in endings]
    for last in (-1, 0):  # words that all share, from behind and from before
        while min(map(len, words)) > 1 and len({text[last] for text in words}) == 1:
            words = [text[:-1] if last else text[1:] for text in words]
    if any(len(text) != 1 for text in words):
        return None
    chosen = tuple(text[0].strip(string.punctuation).casefold() for text in words)
    if all(word.endswith("'s") for word in chosen):  # "father" and "mother" are chosen between
        chosen = tuple(word.removesuffix("'s") for word in chosen)
    return chosen if all(chosen) and len(set(chosen)) > 1 else None


def count_words(contrasts: Sequence[Contrast]) -> tuple[Table, int]:
    """The table of contrasts, and how many of them differ in no single word and are left out.

    log((s + 1/2) / (a + 1/2)) of a word that was the stereotype s times and the opposite a times,
    whatever the target was: above 0 for a word of stereotypes. The halves are Haldane's.
    """
    pairs = [fillers((each.stereotype, each.antistereotype)) for each in contrasts]
    known = [pair for pair in pairs if pair is not None]
    stereotype, opposite = (Counter(pair[side] for pair in known) for side in (0, 1))
    table = {
        word: math.log((stereotype[word] + 0.5) / (opposite[word] + 0.5))
        for word in sorted(stereotype | opposite)
    }
    return table, len(pairs) - len(known)


# --- the mitigation ---------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class WordTable(Mitigation):
    """Lower each word by strength times its log-odds of being the stereotype, group or none.

    The strength is that of `STRENGTHS` whose preference on held-out terms is nearest 50 while their
    LMS falls by no more than 2 points; of equals the larger. Without any the smallest is taken.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none: a control, the words of StereoSet (Nadeem et al. 2021) counted"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    #: lambda, in nats per nat of log-odds; null: chosen on held-out terms
    strength: Annotated[float, Field(gt=0)] | None = None
    #: the second control: stereotype and opposite exchanged at random in half of the contrasts,
    #: by seed; the strength is that of the true labels
    shuffled: bool = False

    @property
    def uses_seed(self) -> bool:
        """False: words are counted, unless labels are dealt at random."""
        return self.shuffled

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return (*self.requires, *(["dev_contrasts"] if self.strength is None else []))

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> NextTokenEdit:
        """The table as an edit; nothing is trained.

        Raises `RecipeError` where the supply has no contrasts that differ in a word, where they
        name no target, or where a strength is to be chosen and none are held out; `ModelError` for
        a masked model.
        """
        if model.kind == "masked":
            raise ModelError(
                f"a next word can be lowered in a causal model, {model.identity} is masked; use a "
                "causal model"
            )
        check_supply(supply, choosing=self.strength is None)
        table, skipped = count_words(supply.contrasts)
        strength = self.strength
        tried: list[JSON] = []
        if strength is None:
            strength, tried = _choose_strength(model, table, supply.dev_contrasts)
        if self.shuffled:
            table, _ = count_words(_shuffle(supply.contrasts, seed=seed))
        rule = WordWeights(weights=tuple(table.items()), strength=strength)
        report: dict[str, JSON] = {
            "cost_factor": rule.rows,
            **rule.record,
            "contrasts": len(supply.contrasts) - skipped,
            "contrasts_skipped": skipped,
            "held_out": tried,
        }
        info = info_of(model, self, seed=seed, supply=supply, report=report)
        return NextTokenEdit(info=info, decoding_rule=rule)


def check_supply(supply: Supply, *, choosing: bool) -> None:
    """Raise `RecipeError` where no table can be counted, or none `choosing` its strength."""
    contrasts = (*supply.contrasts, *supply.dev_contrasts)
    # without targets nobody could tell that words were counted of other people than measured
    nameless = sum(not contrast.groups.get("target") for contrast in contrasts)
    if nameless:
        raise RecipeError(
            f"word_table must have contrasts that name their targets, got {nameless} of "
            f"{len(contrasts)} without; name them in the group 'target'"
        )
    table, skipped = count_words(supply.contrasts)
    if not any(table.values()):
        raise RecipeError(
            f"word_table must have contrasts that differ in a single word, {supply.origin} has "
            f"{len(supply.contrasts) - skipped} of {len(supply.contrasts)}; learn from stereoset"
        )
    if choosing and not _of_a_word(supply.dev_contrasts):
        raise RecipeError(
            "word_table must have held-out contrasts that differ in a single word to choose its "
            f"strength on, {supply.origin} has {len(_of_a_word(supply.dev_contrasts))} of "
            f"{len(supply.dev_contrasts)}; hold some out, or give it a strength"
        )


def _of_a_word(contrasts: Sequence[Contrast]) -> list[Contrast]:
    return [c for c in contrasts if fillers((c.stereotype, c.antistereotype)) is not None]


def _shuffle(contrasts: Sequence[Contrast], *, seed: int) -> list[Contrast]:
    """The contrasts, stereotype and opposite exchanged in each with probability 1/2."""
    exchanged = np.random.default_rng(seed).random(len(contrasts)) < 0.5
    return [
        replace(each, stereotype=each.antistereotype, antistereotype=each.stereotype)
        if exchange
        else each
        for each, exchange in zip(contrasts, exchanged, strict=True)
    ]


def _choose_strength(
    model: LanguageModel, table: Table, contrasts: Sequence[Contrast]
) -> tuple[float, list[JSON]]:
    """The strength, and what each gave on the held-out contrasts, that of 0 first."""
    known = _of_a_word(contrasts)
    tried = {strength: _held_out(model, table, known, strength) for strength in (0.0, *STRENGTHS)}
    least = tried[0.0][1] - _MOST_FALL
    kept = [strength for strength in STRENGTHS if not tried[strength][1] < least]
    # of equals the larger: a control should do what it can
    distance = {strength: round(abs(tried[strength][0] - 50.0), 6) for strength in STRENGTHS}
    chosen = min(kept or STRENGTHS[:1], key=lambda strength: (distance[strength], -strength))
    shown: list[JSON] = [
        {"strength": strength, "ss": ss, "lms": None if math.isnan(lms) else lms}
        for strength, (ss, lms) in tried.items()
    ]
    return chosen, shown


def _held_out(
    model: LanguageModel, table: Table, contrasts: Sequence[Contrast], strength: float
) -> tuple[float, float]:
    """SS and LMS in percent of texts' mean log-probabilities per token, ties counting half.

    Over contrasts; LMS of those with an unrelated text, nan without any.
    """
    rule = WordWeights(weights=tuple(table.items()), strength=strength)
    weighted = replace(model, decoding_rule=rule)
    texts = [
        contrast.context + ending
        for contrast in contrasts
        for ending in (contrast.stereotype, contrast.antistereotype, contrast.unrelated)
        if ending is not None
    ]
    scores = weighted.score([Continuation(context="", continuation=text) for text in texts])
    means = iter(scored.mean for scored in scores)
    ss, lms = [], []
    for contrast in contrasts:
        stereotype, opposite = next(means), next(means)
        ss.append(50.0 + 50.0 * np.sign(stereotype - opposite))
        if contrast.unrelated is not None:
            unrelated = next(means)
            lms += [50.0 + 50.0 * np.sign(each - unrelated) for each in (stereotype, opposite)]
    return float(np.mean(ss)), float(np.mean(lms)) if lms else math.nan
