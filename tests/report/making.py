"""Small objects for the tests of the page, each with everything but what a test is about."""

import math
from dataclasses import replace
from typing import Any

from equipoise.conclusions import (
    Change,
    ChangedExample,
    Claim,
    Comparison,
    Finding,
    Headline,
    Ranking,
    RankStability,
    Verdict,
)
from equipoise.records import DataUse, Estimate, Margin, Measurement, Outcome
from equipoise.stats.calibration import Calibration, Reading, curve
from equipoise.study.study import Chapter, Located, Measured, Missing, Study

HOSTILE = "<script>alert(1)</script>\u202e & \x07 \ud800"

CHANGE = Change(
    metric="ss", unit="%", ideal=50.0, n=600, clusters=80, direction="reduced",
    before=65.64, before_low=62.0, before_high=69.0, after=52.4, after_low=49.0, after_high=55.9,
    difference=-13.2, low=-17.0, high=-9.5, nearer=13.2, nearer_low=9.5, nearer_high=17.0,
    effect=-0.8, p=0.0004, p_holm=0.0004,
)  # fmt: skip
ABILITY = replace(
    CHANGE, metric="perplexity", unit="per token", ideal=None, higher_is_better=False,
    before=3.80, before_low=3.70, before_high=3.90, after=3.82, after_low=3.79, after_high=3.85,
    difference=0.02, low=-0.01, high=0.05, nearer=math.nan, nearer_low=math.nan,
    nearer_high=math.nan, direction="unchanged", p=0.3, p_holm=0.3,
)  # fmt: skip
_PROFESSIONS = (("nurse", -0.9), ("clerk", -0.2), ("writer", 0.0), ("pilot", 0.6), ("miner", 1.0))
_INFO = {"kind": "causal", "prefix": "eos", "start_token_id": 50256, "start_token": "<|end|>"}


def within(value: float, low: float, high: float, *, shown: bool = False) -> Claim:
    """A claim to lie within 3 of the ideal."""
    return Claim(
        kind="within", margin=Margin(size=3.0), value=value, low=low, high=high, p=0.2, shown=shown
    )


def not_worse(value: float, low: float, high: float, *, shown: bool = True) -> Claim:
    """A claim to have lost less than 2 %; values are shares."""
    return Claim(
        kind="not_worse", margin=Margin(size=0.02, relative=True),
        value=value, low=low, high=high, p=0.01, shown=shown,
    )  # fmt: skip


def verdict(*bias: Change, ability: tuple[Change, ...] = (), **changes: Any) -> Verdict:
    """A verdict over these headlines, all of the benchmark stereoset but for perplexity's own."""
    conclusion = {"direction": "reduced", "kept": True, "over_corrected": False} | changes
    return Verdict(
        bias=tuple(Headline(benchmark="stereoset", change=bia) for bia in bias),
        ability=tuple(Headline(benchmark=change.metric, change=change) for change in ability),
        **conclusion,
    )


def outcomes(factor: float) -> tuple[Outcome, ...]:
    """Two prompts a profession, whose log-odds are `factor` times the score, and 0.1 apart."""
    return tuple(
        Outcome(
            example=f"{word} {k}",
            values={"lo": factor * score + 0.1 * k - 0.05, "s": score},
            groups={"profession": word},
        )
        for word, score in _PROFESSIONS
        for k in (0, 1)
    )


def measurement(model: str = "gpt2@1", *, factor: float = 2.0, **over: Any) -> Measurement:
    """A measurement of stereoset, with outcomes as genbias has them."""
    estimates = (
        Estimate(metric="ss", value=65.6, low=62.0, high=69.0, n=600, clusters=80, unit="%",
                 ideal=50.0),
        Estimate(metric="ss", value=70.0, low=60.0, high=80.0, n=60, clusters=9, unit="%",
                 ideal=50.0, group={"axis": "race"}),
        Estimate(metric="silent", value=math.nan, low=math.nan, high=math.nan, n=0, clusters=0,
                 unit="", reason="nothing was said"),
    )  # fmt: skip
    fields: dict[str, Any] = {
        "benchmark": "stereoset", "version": "1", "options": {"axis": "all"}, "split": "dev",
        "seed": 0, "draws": 1000, "limit": None, "examples_sha256": "e" * 64,
        "data": (DataUse(name="stereoset/dev.json", sha256="d" * 64, licence="CC BY-SA 4.0",
                         verified=True, revision="abc"),),
        "model_info": _INFO, "environment": {"numpy": "2.4", "python": "3.11"},
        "cluster": "target", "estimates": estimates, "outcomes": outcomes(factor),
    }  # fmt: skip
    return Measurement(model=model, **(fields | over))


def comparison(*changes: Change, seeds: int = 1, **over: Any) -> Comparison:
    """A comparison with these changes, by default one overall and two groups."""
    changes = changes or default_changes()
    overall = [change for change in changes if not change.group]
    fields: dict[str, Any] = {
        "before": measurement(), "seed": 0, "draws": 2000, "changes": changes,
        "afters": tuple(measurement(f"gpt2@1+lftf:{k}", factor=0.2) for k in range(seeds)),
        "by_seed": (tuple(overall),) * seeds if seeds > 1 else (),
    }  # fmt: skip
    return Comparison(**(fields | over))


def default_changes() -> tuple[Change, ...]:
    """The overall change, and those of two axes, one of them reversed."""
    return (
        CHANGE,
        replace(CHANGE, group={"axis": "gender"}, p_holm=0.01),
        replace(CHANGE, group={"axis": "race"}, direction="reversed", after=40.0, p_holm=0.02),
        replace(CHANGE, metric="lms", ideal=100.0, higher_is_better=True, direction="worse"),
        replace(CHANGE, metric="lms", ideal=100.0, higher_is_better=True, group={"axis": "race"}),
    )


def example(**over: Any) -> ChangedExample:
    """An example that changed."""
    fields: dict[str, Any] = {
        "example": "pilot 0", "groups": {"profession": "pilot"}, "metric": "lo",
        "texts": ("The pilot went home because",), "before": 1.15, "after": 0.07,
        "wrote_before": " he was tired.", "wrote_after": " they were tired.",
    }  # fmt: skip
    return ChangedExample(**(fields | over))


def located(locator: str = "block_influence", *, seeds: int = 2) -> Located:
    """A locator that finds block 2 first with every seed."""
    rankings = tuple(
        Ranking(locator=locator, scores=(0.1, 0.2, 0.5 + 0.1 * k), low=(0.0, 0.1, 0.4),
                high=(0.2, 0.3, 0.7), prompts=64, unit="nats", notes=("the first token is out",))
        for k in range(seeds)
    )  # fmt: skip
    stability = RankStability(
        rankings=rankings, seeds=tuple(range(seeds)), sample=64, spearman=0.93, spearman_low=0.88,
        first={2: seeds},
    )  # fmt: skip
    return Located(model="gpt2", locator=locator, stability=stability)


def calibration() -> Calibration:
    """A metric that rises by 0.4 from 0.02, and one without a finite reading."""

    def reading(metric: str, strength: float, value: float) -> Reading:
        estimate = Estimate(
            metric=metric, value=value, low=value - 0.01, high=value + 0.01, n=9, clusters=3,
            unit="probability", ideal=0.0,
        )  # fmt: skip
        return Reading(strength=strength, seed=0, estimate=estimate)

    strengths = (0.0, 0.5, 1.0)
    return Calibration(
        benchmark="genbias", version="1", options={}, strengths=strengths, seeds=(0,),
        models=("a", "b", "c"),
        curves=(
            curve([reading("afgb", x, 0.02 + 0.4 * x) for x in strengths]),
            curve([reading("lost", x, math.nan) for x in strengths]),
        ),
    )  # fmt: skip


def edit(seed: int = 0) -> dict[str, Any]:
    """What a chapter says of an edit."""
    return {
        "method": "lftf", "options": {"objective": "ce_both"}, "origin": "genbias():train",
        "seed": seed, "report": {"loss": [1.0, 0.5]},
    }  # fmt: skip


def study(**over: Any) -> Study:
    """One model, one method with two seeds, and one chapter without a comparison."""
    apply_verdict = verdict(
        replace(CHANGE, claim=within(2.4, -1.0, 5.9)),
        ability=(replace(ABILITY, claim=not_worse(0.004, -0.002, 0.010)),),
    )
    compared = comparison(seeds=2, examples=(example(),), notes=("a note",))
    base = Measured(model="gpt2", mitigation=None, seed=None, measurement=compared.before)
    edited = tuple(
        Measured(model="gpt2", mitigation="lftf", seed=k + 7, measurement=after)
        for k, after in enumerate(compared.afters)
    )
    fields: dict[str, Any] = {
        "title": "A study",
        "recipe": {"seeds": [7, 8], "models": {"gpt2": {}}},
        "measured": (base, *edited),
        "chapters": (
            Chapter(model="gpt2", mitigation="lftf", comparisons=(compared,), verdict=apply_verdict,
                    edits=(edit(7), edit(8))),
            Chapter(model="gpt2", mitigation="parity", comparisons=(),
                    verdict=verdict(direction="unknown", kept=None), edits=()),
        ),
        "located": (located(), located("gender_contrast")),
        "calibrations": (calibration(),),
        "findings": (
            Finding(check="icat", level="ok", where="stereoset on gpt2", text="59.3 is 59.3."),
            Finding(check="values", level="error", where="genbias on gpt2", text="lo is nan."),
            Finding(check="grid", level="warning", where="genbias on gpt2", text="3 of 5."),
        ),
        "missing": (
            Missing(what="fit of parity on gpt2", why="the loss is nan", traceback="Traceback: x"),
            Missing(what="genbias after parity on gpt2", why="waits for the fit"),
        ),
        "planned": 7,
    }  # fmt: skip
    return Study(**(fields | over))


def hostile() -> Study:
    """The same study with hostile text in every place that can hold text."""
    text = "x" * 1_000_000
    changes = tuple(
        replace(default_change, metric=default_change.metric + HOSTILE, reason=HOSTILE,
                group={key + HOSTILE: name + HOSTILE for key, name in default_change.group.items()})
        for default_change in default_changes()
    )  # fmt: skip
    nasty = measurement(
        "gpt2" + HOSTILE, options={HOSTILE: HOSTILE}, notes=(HOSTILE,), split=HOSTILE,
        model_info={HOSTILE: HOSTILE, "chat_template": HOSTILE * 9, "prefix": HOSTILE},
        environment={HOSTILE: HOSTILE}, cluster=HOSTILE, examples_sha256=HOSTILE,
        data=(DataUse(name=HOSTILE, sha256=HOSTILE, licence=HOSTILE, verified=False),),
        outcomes=tuple(
            replace(outcome, groups={"profession": outcome.groups["profession"] + HOSTILE})
            for outcome in outcomes(1.0)
        ),
    )  # fmt: skip
    shown = example(
        example=HOSTILE, groups={HOSTILE: HOSTILE}, metric=HOSTILE,
        texts=(HOSTILE, text, "\u05d2\u05d1\u05e8", "Z\u0335\u0321" * 50),
        wrote_before="<img src=x onerror=alert(1)>", wrote_after=text,
    )  # fmt: skip
    compared = comparison(
        *changes, before=nasty, afters=(nasty,), examples=(shown,), notes=(HOSTILE, text)
    )
    where = located(HOSTILE)
    return study(
        title=HOSTILE, recipe={HOSTILE: HOSTILE},
        measured=(Measured(model=HOSTILE, mitigation=HOSTILE, seed=1, measurement=nasty),
                  Measured(model=text, mitigation=text, seed=1,
                           measurement=replace(nasty, model=text))),
        chapters=(Chapter(model=HOSTILE, mitigation=HOSTILE, comparisons=(compared,),
                          verdict=verdict(changes[0]), edits=({HOSTILE: HOSTILE},)),),
        located=(replace(where, model=HOSTILE),),
        findings=(Finding(check=HOSTILE, level="error", where=HOSTILE, text=HOSTILE),),
        missing=(Missing(what=HOSTILE, why=HOSTILE, traceback=HOSTILE + text),),
    )  # fmt: skip
