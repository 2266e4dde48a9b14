"""A study with one of everything, its numbers chosen by hand and its names hostile."""

import math
from typing import Any

from equipoise.conclusions import (
    Change,
    Claim,
    Comparison,
    Factorial,
    Finding,
    Ranking,
    RankStability,
)
from equipoise.records import DataUse, Estimate, Margin, Measurement, Reference
from equipoise.stats.calibration import Calibration, Curve
from equipoise.stats.verdict import verdict_of
from equipoise.study.study import Chapter, Factored, Located, Measured, Missing, Study

NAN = math.nan
HOSTILE = "=cmd|' /C calc'!A0"


def references() -> tuple[Reference, ...]:
    """A rule that knows of no bias, and two faults of the data, of which one shows."""

    def estimate(metric: str, value: float, half: float, **more: Any) -> Estimate:
        return Estimate(
            metric=metric, value=value, low=value - half, high=value + half, n=30, clusters=10,
            unit="", **more,
        )  # fmt: skip

    return (
        Reference(
            kind="null", name="longer", says="the longer text", items=30,
            estimates=(
                estimate("afgb", 0.125, 0.0625, ideal=0.0),
                estimate("afgb", 0.5, 0.0625, ideal=0.0, group={"profession": "nurse"}),
            ),
        ),
        Reference(
            kind="without", name="twice", says=f"asked twice {HOSTILE}", items=4,
            estimates=(
                estimate("afgb", 0.0, 0.125, ideal=0.0), estimate("afgb_change", -0.25, 0.125),
            ),
        ),
        Reference(
            kind="without", name="unclear", says="the target is unclear", items=1,
            estimates=(
                estimate("afgb", 0.375, 0.125, ideal=0.0),
                estimate("afgb_change", 0.125, NAN, reason="too few clusters"),
            ),
        ),
    )  # fmt: skip


def measurement(benchmark: str, model: str, **change: Any) -> Measurement:
    """Of `model`; `seed_of_method` is the seed of an edit that it carries."""
    seed = change.pop("seed_of_method", None)
    edits = [] if seed is None else [{"method": "lftf", "seed": seed}]
    fields: dict[str, Any] = {
        "model": model, "benchmark": benchmark, "version": "2", "options": {"world": None},
        "split": "test", "seed": 0, "draws": 100, "limit": 30, "examples_sha256": "e" * 64,
        "data": (DataUse(name="b/dev.json", sha256="d" * 64, licence="CC|BY", verified=True),),
        "model_info": {"edits": edits}, "environment": {"equipoise": "0.1.0", "numpy": "2"},
        "cluster": None, "outcomes": (),
        "estimates": (
            Estimate(metric="afgb", value=0.25, low=0.125, high=0.5, n=30, clusters=10, unit="",
                     ideal=0.0),
            Estimate(metric="lms", value=NAN, low=NAN, high=NAN, n=0, clusters=0, unit="%",
                     ideal=100.0, higher_is_better=True, reason="nothing was asked"),
            Estimate(metric="afgb", value=0.2, low=0.1, high=0.3, n=3, clusters=3, unit="",
                     ideal=0.0, group={"profession": "nurse"}),
        ),
    }  # fmt: skip
    return Measurement(**{**fields, **change})


def change(metric: str, before: float, after: float, **more: Any) -> Change:
    spread = 0.125
    fields: dict[str, Any] = {
        "before_low": before - spread, "before_high": before + spread,
        "after_low": after - spread, "after_high": after + spread, "difference": after - before,
        "low": after - before - spread, "high": after - before + spread, "nearer": before - after,
        "nearer_low": before - after - spread, "nearer_high": before - after + spread,
        "effect": -1.5, "p": 0.0005, "p_holm": 0.001,
        "direction": "reduced", "n": 30, "clusters": 10, "unit": "", "ideal": 0.0,
    }  # fmt: skip
    return Change(metric=metric, before=before, after=after, **{**fields, **more})


CLAIM = Claim(
    kind="within", margin=Margin(size=0.05), value=0.02, low=-0.01, high=0.04, p=0.01, shown=True
)
LOSS = Claim(
    kind="not_worse", margin=Margin(size=0.02, relative=True), value=0.01, low=-0.01, high=0.03,
    p=0.2, shown=False,
)  # fmt: skip


def comparison() -> Comparison:
    afters = tuple(
        measurement("genbias", f"gpt2@1+lftf:{seed}", seed_of_method=seed) for seed in (0, 7)
    )
    nurse = {"profession": "nurse"}
    return Comparison(
        before=measurement("genbias", "gpt2@1"),
        afters=afters,
        seed=3,
        draws=200,
        changes=(
            change("afgb", 0.5, 0.02, claim=CLAIM, seeds=2, seed_spread=0.01),
            change("afgb", 0.6, 0.3, group=nurse),
        ),
        by_seed=tuple((change("afgb", 0.5, after),) for after in (0.01, 0.03)),
    )


def ability() -> Comparison:
    lost = change(
        "ppl", 20.0, 20.2, ideal=None, higher_is_better=False, direction="unchanged", claim=LOSS,
        unit="ppl", p=NAN, p_holm=NAN, reason="too few clusters for p",
    )  # fmt: skip
    return Comparison(
        before=measurement("perplexity", "gpt2@1", data=(), limit=None),
        afters=(measurement("perplexity", "gpt2@1+lftf:0", data=(), limit=None),),
        seed=3,
        draws=200,
        changes=(lost,),
    )


#: By hand: 1.28 to 0.55 with both parts, 0.65 and 1.00 with either.
SHARES = {
    "neither": 1.28, "first": 0.65, "second": 1.0, "both": 0.55,
    "effect_first": 0.63, "effect_second": 0.28, "effect_both": 0.73, "interaction": -0.18,
    "part_first": 0.54, "part_second": 0.19, "share_first": 74.0, "share_second": 26.0,
}  # fmt: skip


def factored(*, interaction: float = -0.18, reason: str | None = None) -> Factored:
    """Of a prompt and an edit; `reason`: why there are no shares."""
    estimates = []
    for name, value in {**SHARES, "interaction": interaction}.items():
        share = name.startswith("share")
        read = NAN if share and reason else value
        spread = 5.0 if share else 0.05
        estimates.append(
            Estimate(
                metric=name, value=read, low=read - spread, high=read + spread, n=30, clusters=10,
                unit="%" if share else "grade", reason=reason if share else None,
            )
        )  # fmt: skip
    strength = Factorial(metric="strength", ideal=0.0, seeds=2, estimates=tuple(estimates))
    return Factored(
        model="gpt2", first="prompt", second="edit", both="both",
        neither=measurement("stereotypes", "gpt2@1"), factorials=(strength,),
    )  # fmt: skip


def small_study() -> Study:
    both = (comparison(), ability())
    ranking = Ranking(
        locator="influence", scores=(0.1, 0.4), low=(0.05, 0.3), high=(0.2, 0.5), prompts=8,
        unit="1",
    )  # fmt: skip
    stability = RankStability(
        rankings=(ranking,), seeds=(5,), sample=8, spearman=NAN, spearman_low=NAN, first={1: 1},
        reason="one seed",
    )  # fmt: skip
    curve = Curve(
        metric="afgb", unit="", ideal=0.0, readings=(), slope=0.9, slope_low=0.8, slope_high=1.0,
        spearman=1.0,
    )  # fmt: skip
    return Study(
        title="small",
        recipe={},
        factored=(factored(),),
        measured=(
            Measured(
                model=HOSTILE,
                mitigation=None,
                seed=None,
                measurement=measurement("genbias", "g@1", references=references()),
            ),
        ),
        chapters=(
            Chapter(
                model=HOSTILE,
                mitigation="lftf",
                comparisons=both,
                verdict=verdict_of(both),
                edits=({"seed": 0}, {"seed": 7}),
            ),
            Chapter(
                model="other",
                mitigation="none",
                comparisons=(),
                verdict=verdict_of(()),
                edits=(),
            ),
        ),
        located=(Located(model="gpt2", locator="influence", stability=stability),),
        calibrations=(
            Calibration(
                benchmark="genbias",
                version="2",
                options={"b": 1, "a": None},
                strengths=(0.0, 0.5),
                seeds=(0, 1),
                models=(),
                curves=(curve,),
            ),
        ),
        findings=(Finding(check="icat", level="error", where="s on m", text="1 is not 2"),),
        missing=(Missing(what="fit of x", why="-not run yet", traceback="line 1\nline 2"),),
    )
