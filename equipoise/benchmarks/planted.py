"""What a planted model says, beside what its world says: the truth to compare instruments with.

Own. A planted world (`equipoise.planted`) states the probability of a pronoun after every
profession and hint, of every stereotype, and which facts are true. This benchmark asks a model for
all of it and reports the measured value, the true value and the error, so that a metric, a model or
a mitigation can be compared with a known answer.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass as record
from dataclasses import field, replace
from itertools import product
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic.dataclasses import dataclass

from equipoise.benchmarks.base import Benchmark
from equipoise.metrics import ability, gap
from equipoise.metrics.preference import preference
from equipoise.metrics.weighted import Value, Weighted, Weights, mean_of
from equipoise.planted.folder import WORLD, folder_world
from equipoise.planted.world import World
from equipoise.records import (
    OPTIONS,
    Column,
    Columns,
    Continuation,
    Contrast,
    DataUse,
    Metric,
    NextToken,
    NextTokenScored,
    Outcome,
    Scored,
)

_PRONOUNS: Final = (" he", " she")
_AXES: Final = ("gender", "profession", "race", "religion")
_SOURCE: Final = "own: planted worlds"


@record(frozen=True, slots=True, kw_only=True)
class Probe:
    """A question with a known answer."""

    id: str
    kind: Literal["gap", "hint", "thing", "fact", "contrast", "pair"]
    text: str = ""  # what is continued; empty for a contrast or a pair
    choices: tuple[str, ...] = _PRONOUNS  # words that may come next, or whole texts to compare
    #: values that the world states, by the outcome's keys
    truth: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)


def _error(name: str, of: Value, unit: str, *, high: float = math.inf) -> Metric:
    """The distance from what the world states, 0 at best."""
    return Metric(
        name=name, of=Weighted(of), unit=unit, source=_SOURCE, ideal=0.0, higher_is_better=False,
        low=0.0, high=high,
    )  # fmt: skip


def _mean_error(key: str) -> Value:
    return lambda c, w: w.mean(np.abs(c[key] - c[f"true_{key}"]))


def _share(name: str, key: str, *, ideal: float | None = None, grid: float = 50.0) -> Metric:
    """Percent of the examples with that value, in which a tie counts half unless grid is 100."""
    better = True if ideal == 100.0 else None
    return replace(ability.share(name, key, source=_SOURCE, better=better, grid=grid), ideal=ideal)


def _preferences(name: str, key: str) -> tuple[Metric, Metric, Metric]:
    """How many percent prefer the stereotype, how many should, and the difference."""
    return (
        _share(name, key, ideal=50.0),
        _share(f"{name}_true", f"true_{key}"),
        _error(
            f"{name}_error",
            lambda c, w: np.abs(100.0 * w.mean(c[key]) - 100.0 * w.mean(c[f"true_{key}"])),
            "points",
            high=100.0,
        ),
    )


def _gap(name: str, he: str, she: str, *, ideal: float | None) -> Metric:
    return Metric(
        name=name, of=Weighted(lambda c, w: gap.absolute_gap(c[he], c[she], w)),
        unit="probability", source="LFTF, section 3 (AFGB)", ideal=ideal, low=0.0, high=1.0,
    )  # fmt: skip


def _gap_error(c: Columns, w: Weights) -> Column:
    measured = gap.absolute_gap(c["he"], c["she"], w)
    return np.abs(measured - gap.absolute_gap(c["true_he"], c["true_she"], w))


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Planted(Benchmark[Probe, "NextTokenScored | Scored"]):
    """Measured value, true value and error of everything a planted world states.

    Six kinds of examples, each filling its own values: pronouns after professions ("gap") and
    after hints ("hint"), prompts about things, after which no pronoun may come ("thing"), facts,
    StereoSet-like contrasts and CrowS-like pairs. A metric reads the kinds that have its values.
    Clusters are the profession, the relation of a fact, the target of a contrast, the group of a
    pair or the thing. Of the contrasts, those that nothing is learnt from (`World.contrasts`).
    The world is that whose data folder is read: the model's own, or a named world's.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own: planted worlds"
    metrics: ClassVar[tuple[Metric, ...]] = (
        _gap("afgb_measured", "he", "she", ideal=0.0),
        _gap("afgb_true", "true_he", "true_she", ideal=None),
        _error("afgb_error", _gap_error, "probability", high=1.0),
        _error("lo_error", _mean_error("lo"), "nats"),
        _error("mass_error", _mean_error("mass"), "probability"),
        Metric(
            name="thing_mass", of=mean_of("thing_mass"), unit="probability", ideal=0.0, low=0.0,
            high=1.0, higher_is_better=False,
            source="own: P(he) + P(she) where no person was spoken of",
        ),
        Metric(
            name="ub", unit="probability", source="LFTF, section 3 (UB)",
            of=Weighted(lambda c, w: gap.hinted_gap(c["hinted_he"], c["hinted_she"], c["hint"], w)),
            ideal=1.0, higher_is_better=True, low=-1.0, high=1.0,
        ),
        _share("hints_obeyed", "obeyed", ideal=100.0),
        _share("facts_recalled", "recalled", ideal=100.0, grid=100.0),
        *(metric for axis in _AXES for metric in _preferences(f"ss_{axis}", f"prefers_{axis}")),
        *_preferences("pairs_stereotyped", "prefers_pair"),
        _share("true_preferences_followed", "followed", ideal=100.0, grid=100.0),
    )  # fmt: skip
    cluster: ClassVar[str | None] = "target"
    faults: ClassVar[tuple[str, ...]] = (
        "each metric reads a single kind of examples: it has no value on the other kinds",
        "meaningful for a model of the same world alone; others have not seen its words",
    )

    def examples(self, split: str) -> Sequence[Probe]:
        """All questions with a known answer.

        Raises `RecipeError` for an unknown split, and where there is no world.
        """
        world = folder_world()
        return [
            *_pronouns(world),
            *_facts(world),
            *_compared(world, world.contrasts("test"), "contrast"),
            *_compared(world, world.pairs(), "pair"),
        ]

    def requests(self, example: Probe) -> Sequence[NextToken | Continuation]:
        """The next word of a prompt, or both texts whole."""
        if example.kind in ("contrast", "pair"):
            return [Continuation(context="", continuation=choice) for choice in example.choices]
        return [NextToken(context=example.text, words=example.choices)]

    def outcome(self, example: Probe, responses: Sequence[NextTokenScored | Scored]) -> Outcome:
        """What was measured, beside the truth."""
        logprobs: list[float] = []
        for response in responses:
            logprobs += [response.logprob] if isinstance(response, Scored) else response.logprobs
        values = _read_answers(example, logprobs) | dict(example.truth)
        return Outcome(example=example.id, values=_UNREAD | values, groups=example.groups)

    def files(self, split: str) -> tuple[DataUse, ...]:
        """The file that names the world."""
        return (WORLD.use(),)


# --- questions --------------------------------------------------------------------------------


def _pronouns(world: World) -> Iterator[Probe]:
    """Prompts after which a pronoun may come: of professions, with hints, and about things."""
    for profession, template in product(world.professions, world.templates):
        word = profession.word
        truth = gap.gap_values(*map(math.log, world.p_next(word, template)))
        yield Probe(
            id=f"gap:{word}:{template.action}",
            kind="gap",
            text=template.prompt(word),
            truth={f"true_{key}": value for key, value in truth.items()},
            groups={"kind": "gap", "target": word, "scale": template.scale},
        )
    hints = enumerate(world.hint_templates)
    signs = {"his": 1.0, "her": -1.0}
    for profession, (place, text), hint in product(world.professions, hints, signs):
        yield Probe(
            id=f"hint:{profession.word}:{place}:{hint}",
            kind="hint",
            text=text.format(profession=profession.word, possessive=hint),
            truth={"hint": signs[hint]},
            groups={"kind": "hint", "target": profession.word},
        )
    for prompt in world.neutral_prompts():
        groups = {"kind": "thing", "target": prompt.split()[1]}
        yield Probe(id=f"thing:{prompt}", kind="thing", text=prompt, groups=groups)


def _facts(world: World) -> Iterator[Probe]:
    """The right answer first, then those of all other facts."""
    answers = list(dict.fromkeys(f" {fact.answer}" for fact in world.facts))
    for fact in world.facts:
        others = (answer for answer in answers if answer != f" {fact.answer}")
        yield Probe(
            id=f"fact:{fact.id}",
            kind="fact",
            text=fact.prompt,
            choices=(f" {fact.answer}", *others),
            groups={"kind": "fact", "target": fact.relation},
        )


def _compared(
    world: World, items: Sequence[Contrast], kind: Literal["contrast", "pair"]
) -> Iterator[Probe]:
    for item in items:
        key = "prefers_pair" if kind == "pair" else f"prefers_{item.groups['axis']}"
        # The groups of a pair are those of CrowS-Pairs, which name nobody; its id does.
        target = item.id.split(":")[2] if kind == "pair" else item.groups["target"]
        share = world.true_preference(item.id)
        yield Probe(
            id=f"{kind}:{item.id}",
            kind=kind,
            choices=(item.stereotype, item.antistereotype),
            truth={f"true_{key}": preference(share, 0.5, "half")},
            groups={**item.groups, "kind": kind, "target": target},
        )


# --- answers ----------------------------------------------------------------------------------


def _read_answers(probe: Probe, logprobs: Sequence[float]) -> dict[str, float]:
    """The values of a probe's kind."""
    if probe.kind == "fact":
        right, *wrong = logprobs
        lost = any(map(math.isnan, logprobs))
        return {"recalled": math.nan if lost else float(right > max(wrong))}
    if probe.kind in ("contrast", "pair"):
        ((key, truth),) = probe.truth.items()
        prefers = preference(logprobs[0], logprobs[1], "half")
        followed = math.nan if truth == 0.5 or math.isnan(prefers) else float(prefers == truth)
        return {key.removeprefix("true_"): prefers, "followed": followed}
    values = gap.gap_values(logprobs[0], logprobs[1])
    if probe.kind == "thing":
        return {"thing_mass": values["mass"]}
    if probe.kind == "gap":
        return values
    return {
        "hinted_he": values["he"],
        "hinted_she": values["she"],
        "obeyed": preference(probe.truth["hint"] * values["lo"], 0.0, "half"),
    }


#: Every value, for an example whose kind does not fill it: a limit may leave out a whole kind.
_UNREAD: Final = dict.fromkeys(
    (
        *(key for name in gap.gap_values(-1.0, -1.0) for key in (name, f"true_{name}")),
        *("hint", "hinted_he", "hinted_she", "obeyed", "thing_mass", "recalled", "followed"),
        *(f"{true}prefers_{what}" for what in (*_AXES, "pair") for true in ("", "true_")),
    ),
    math.nan,
)
