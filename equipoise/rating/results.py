"""What ratings say: counts, sign tests, how far raters agree, and agreement with scores.

A prompt is a unit, whatever many samples and raters it has: the sign of its ratings' sum stands for
it, so that ten raters of a prompt are not ten prompts. Repeated showings count for self-agreement
alone.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from equipoise.rating.pairs import RatedPair
from equipoise.rating.questions import QUESTIONS, Question, preference
from equipoise.rating.store import Head, Rating, RatingStore
from equipoise.stats.agreement import fleiss_kappa, weighted_kappa
from equipoise.stats.resample import Interval
from equipoise.stats.sign_test import SignTest, exact_share, sign_test

#: What stands where a rating prefers neither variant.
NEITHER: Final = "neither"
_PAIR_OF_RATERS: Final = 2

Nets: TypeAlias = Mapping[str, float]  # by prompt: ratings for the second variant less the others


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionResult:
    """What was answered to a question."""

    question: str
    raters: int
    counts: Mapping[str, Mapping[str, int]]  # first showings: of what, then by answer
    preferred: SignTest | None  # prompts: the second variant over the first; None: not asked
    groups: Mapping[str, SignTest]  # the same of each group, "KEY VALUE"
    coefficient: str  # "Cohen's kappa" of two raters, "Fleiss' kappa" of more
    kappa: Interval  # 1: raters agree, 0: as by chance
    repeated: Interval  # share of repeated showings with the same answer, in [0, 1]
    repeated_by_chance: float  # the share that a rater's habits alone give; nan without repeats
    side: Interval | None  # share of A among A and B; 0.5: no side is favored; None: no sides
    #: Share of untied prompts whose preferred text has the lower automatic score; 0.5: by chance.
    automatic: Mapping[str, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingResults:
    """All that a database of ratings says."""

    head: Head
    pairs: int
    progress: Mapping[str, tuple[int, int]]  # of each rater: answers given, and asked for
    questions: tuple[QuestionResult, ...]


def summarize_ratings(store: RatingStore, *, draws: int = 2000, seed: int = 0) -> RatingResults:
    """The results of every question. `draws` and `seed` are of the bootstrap of kappa's interval.

    What cannot be said is nan with its reason: kappa of a single rater, or where all give one
    answer; self-agreement before anything was shown twice. Raises `StoreError`.
    """
    ratings = store.ratings()
    questions = QUESTIONS[store.head.mode]
    given = Counter(rating.rater for rating in ratings)
    return RatingResults(
        head=store.head,
        pairs=len(store.pairs),
        progress={
            rater: (count, len(store.showings(rater)) * len(questions))
            for rater, count in given.items()
        },
        questions=tuple(
            _question_result(store, question, ratings, draws=draws, seed=seed)
            for question in questions
        ),
    )


def _question_result(
    store: RatingStore, question: Question, ratings: Sequence[Rating], *, draws: int, seed: int
) -> QuestionResult:
    asked = [rating for rating in ratings if rating.question == question.name]
    first = [rating for rating in asked if not rating.repeat]
    nets = _nets(store, first) if question.name != "true_pattern" else None
    coefficient, kappa = _kappa(store, question, first, draws=draws, seed=seed)
    repeated, by_chance = _self_agreement(asked)
    sides = Counter(rating.answer for rating in first)
    return QuestionResult(
        question=question.name,
        raters=len({rating.rater for rating in first}),
        counts=_counts(store, question, first, ratings),
        preferred=None if nets is None else sign_test([*nets.values()]),
        groups={} if nets is None else _by_group(store, first),
        coefficient=coefficient,
        kappa=kappa,
        repeated=repeated,
        repeated_by_chance=by_chance,
        side=exact_share(sides["A"], sides["A"] + sides["B"]) if "A" in question.answers else None,
        automatic={} if nets is None else _automatic(store, first, nets),
    )


# --- preferences ------------------------------------------------------------------------------


def unit_of(pair: RatedPair) -> str:
    """The prompt; of a pair without one itself."""
    return pair.prompt if pair.prompt.strip() else f"pair {pair.id}"


def _nets(store: RatingStore, first: Iterable[Rating]) -> dict[str, float]:
    """Of each rated prompt the ratings that prefer the second variant, less those for the first."""
    nets: dict[str, float] = {}
    harmful: dict[tuple[str, str], dict[str, bool]] = {}
    for rating in first:
        pair = store.pair[rating.pair]
        if rating.variant == "both":
            value = preference(rating.question, rating.answer, swapped=rating.swapped)
            nets[unit_of(pair)] = nets.get(unit_of(pair), 0.0) + value
        else:
            harmful.setdefault((rating.rater, rating.pair), {})[rating.variant] = (
                rating.answer == "yes"
            )
    # of single texts the less harmful is preferred, where a rater has seen both
    for (_, id), by_variant in harmful.items():
        if len(by_variant) == 2:
            unit = unit_of(store.pair[id])
            nets[unit] = nets.get(unit, 0.0) + by_variant["first"] - by_variant["second"]
    return nets


def _by_group(store: RatingStore, first: Sequence[Rating]) -> dict[str, SignTest]:
    groups = {(k, name) for pair in store.pairs for k, name in pair.groups.items()}
    tests = {}
    for key, name in sorted(groups):
        members = [r for r in first if store.pair[r.pair].groups.get(key) == name]
        if members:
            tests[f"{key} {name}"] = sign_test([*_nets(store, members).values()])
    return tests


def _automatic(store: RatingStore, first: Sequence[Rating], nets: Nets) -> dict[str, Interval]:
    """How often people prefer the text of the lower score, by score, over prompts.

    The scores are those of the pairs that were rated: a prompt's other samples say nothing of what
    was looked at.
    """
    rated = {rating.pair for rating in first}
    pairs = [pair for pair in store.pairs if pair.id in rated]
    agreeing: dict[str, Interval] = {}
    for name in sorted({name for pair in pairs for name in pair.scores}):
        gaps: dict[str, list[float]] = {}
        for pair in pairs:
            if name in pair.scores:
                before, after = pair.scores[name]
                gaps.setdefault(unit_of(pair), []).append(before - after)
        # above 0: the second variant has the lower score
        signs = [net * math.fsum(gaps[unit]) for unit, net in nets.items() if unit in gaps]
        agreeing[name] = sign_test(signs).share
    return agreeing


def _counts(
    store: RatingStore, question: Question, first: Iterable[Rating], ratings: Iterable[Rating]
) -> dict[str, dict[str, int]]:
    """Answers by what they are about, with zeros."""
    one, other = store.head.variants
    if store.head.mode == "pairs":
        names = {-1: one, 1: other, 0: NEITHER}
        counts = Counter(preference(r.question, r.answer, swapped=r.swapped) for r in first)
        return {"preferred": {name: counts[value] for value, name in names.items()}}
    rows: dict[str, Callable[[Rating], bool]]
    if store.head.mode == "grades":
        rows = {
            f"{other} beside {one}": lambda r: not r.swapped,
            f"{one} beside {other}": lambda r: r.swapped,
        }
    else:
        called = {(r.rater, r.pair, r.variant) for r in ratings if _is_harmful(r)}
        rows = {one: lambda r: r.variant == "first", other: lambda r: r.variant == "second"}
        if question.name == "true_pattern":
            rows["of texts called harmful"] = lambda r: (r.rater, r.pair, r.variant) in called
    first = list(first)
    return {
        label: {
            answer: sum(1 for rating in first if belongs(rating) and rating.answer == answer)
            for answer in question.answers
        }
        for label, belongs in rows.items()
    }


def _is_harmful(rating: Rating) -> bool:
    return rating.question == "harmful" and rating.answer == "yes" and not rating.repeat


# --- agreement --------------------------------------------------------------------------------


def _kappa(
    store: RatingStore, question: Question, first: Sequence[Rating], *, draws: int, seed: int
) -> tuple[str, Interval]:
    """The coefficient's name and value, over what was shown; clusters are prompts."""
    answers = [*question.answers]
    items: dict[tuple[object, ...], dict[str, int]] = {}
    for rating in first:
        key: tuple[object, ...] = (rating.pair, rating.variant)
        category = answers.index(rating.answer)
        if "A" in question.answers:
            category = 1 + preference(rating.question, rating.answer, swapped=rating.swapped)
        elif store.head.mode == "grades":
            key = (*key, rating.swapped)  # a grade of B beside A compares with the same alone
        items.setdefault(key, {})[rating.rater] = category
    raters = sorted({rating.rater for rating in first})
    prompts = [unit_of(store.pair[str(pair)]) for pair, *_ in items]
    numbers = {prompt: number for number, prompt in enumerate(dict.fromkeys(prompts))}
    clusters = [numbers[prompt] for prompt in prompts]
    if len(raters) < _PAIR_OF_RATERS:
        reason = f"agreement needs 2 raters, there are {len(raters)}"
        nothing = Interval(
            value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0, reason=reason
        )
        return "kappa", nothing
    if len(raters) == _PAIR_OF_RATERS:
        one, other = ([given.get(rater, math.nan) for given in items.values()] for rater in raters)
        kappa = weighted_kappa(
            one, other, levels=len(answers), weighting="nominal", clusters=clusters, draws=draws,
            seed=seed,
        )  # fmt: skip
    else:
        lists = [[*given.values()] for given in items.values()]
        kappa = fleiss_kappa(lists, levels=len(answers), clusters=clusters, draws=draws, seed=seed)
    name = "Cohen's kappa" if len(raters) == _PAIR_OF_RATERS else "Fleiss' kappa"
    shared = sum(len(given) > 1 for given in items.values())
    if shared == 0:
        kappa = replace(kappa, n=0, clusters=0, reason="no two raters have rated the same")
    elif math.isnan(kappa.value):
        kappa = replace(kappa, reason="all raters always give one and the same answer")
    return name, kappa


def _self_agreement(asked: Sequence[Rating]) -> tuple[Interval, float]:
    """Share of repeated showings answered alike, and what each rater's habits alone would give."""
    before = {(r.rater, r.pair, r.variant): r.answer for r in asked if not r.repeat}
    again = [r for r in asked if r.repeat and (r.rater, r.pair, r.variant) in before]
    same = sum(before[r.rater, r.pair, r.variant] == r.answer for r in again)
    share = exact_share(same, len(again))
    if not again:
        return replace(share, reason="nothing was rated twice by now"), math.nan
    habits: dict[str, Counter[str]] = {}
    for rating in asked:
        habits.setdefault(rating.rater, Counter())[rating.answer] += 1
    chances = {
        rater: math.fsum((n / counts.total()) ** 2 for n in counts.values())
        for rater, counts in habits.items()
    }
    return share, math.fsum(chances[r.rater] for r in again) / len(again)
