"""The trajectory: what benchmarks would say of the same prompts, and null where there are none."""

import math
from dataclasses import replace

import pytest
from plain_editing import SUPPLY

from equipoise.model_editing.trajectory import MEANINGS, Trajectory
from equipoise.records import NextToken, Supply
from equipoise.testing import tiny_model

WORDS = (" he", " she")


def test_a_row_is_what_the_model_says_now() -> None:
    model = tiny_model(context=64)
    trajectory = Trajectory(model, SUPPLY, SUPPLY.texts, WORDS)
    for edits in (0, 0, 5):
        trajectory.look(edits)
    report = trajectory.report()
    table = report["trajectory"]
    assert isinstance(table, dict)
    assert table["edits"] == [0, 5]
    assert list(table) == ["edits", *MEANINGS]
    answers = model.next_token([NextToken(context=p.text, words=WORDS) for p in SUPPLY.dev])
    he, she = zip(*(map(math.exp, answer.logprobs) for answer in answers), strict=True)
    gap = sum(abs(a - b) for a, b in zip(he, she, strict=True)) / len(he)
    assert table["afgb"][0] == pytest.approx(gap)  # type: ignore[index]
    assert table["mass"][0] == pytest.approx((sum(he) + sum(she)) / len(he))  # type: ignore[index]
    hinted = model.next_token([NextToken(context=p.text, words=WORDS) for p in SUPPLY.hinted])
    signs = [1 if prompt.groups["hint"] == "male" else -1 for prompt in SUPPLY.hinted]
    gaps = [math.exp(a.logprobs[0]) - math.exp(a.logprobs[1]) for a in hinted]
    ub = sum(sign * value for sign, value in zip(signs, gaps, strict=True)) / len(gaps)
    assert table["ub"][0] == pytest.approx(ub)  # type: ignore[index]
    assert table["afgb_low"][0] <= table["afgb"][0] <= table["afgb_high"][0]  # type: ignore[index,operator]
    assert 100 < table["perplexity"][0] < 2000  # type: ignore[index,operator]
    assert report["trajectory_n"] == {"dev": 2, "hinted": 8, "texts": 12}


def test_what_cannot_be_measured_is_null() -> None:
    trajectory = Trajectory(tiny_model(context=64), Supply(origin="none"), (), WORDS)
    trajectory.look(0)
    table = trajectory.report()["trajectory"]
    assert table == {"edits": [0], **{name: [None] for name in MEANINGS}}


def test_prompts_are_spread_over_all_of_them() -> None:
    many = replace(SUPPLY, dev=tuple(replace(SUPPLY.dev[0], id=str(n)) for n in range(250)))
    trajectory = Trajectory(tiny_model(context=64), many, (), WORDS)
    assert len(trajectory.dev) == 100
    assert (trajectory.dev[0].id, trajectory.dev[-1].id) == ("0", "247")
