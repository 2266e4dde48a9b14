"""What locators of heads share: units of the tests are stems, shares need a whole that is shown."""

import math

import numpy as np
import pytest

from equipoise.conclusions import Ranking
from equipoise.locate.head_attribution import HeadAttribution


def ranked(
    effects: np.ndarray, whole: np.ndarray, stems: list[str], tested: np.ndarray | None = None
) -> Ranking:
    return HeadAttribution(target="Peru", draws=400, permutations=400).rank(
        effects, whole, stems=stems, labels=("0.0", "0.1"), unit="nats", seed=0, more={}, facts={},
        notes=(), tested=tested,
    )  # fmt: skip


def test_a_question_in_many_frames_is_one_question() -> None:
    values = np.random.default_rng(0).normal(0.6, 1.0, size=(8, 2))
    once = ranked(values, values.sum(1), [f"s{k}" for k in range(8)])
    often = ranked(
        np.repeat(values, 4, axis=0),
        np.repeat(values.sum(1), 4),
        [f"s{k}" for k in range(8) for _ in range(4)],
    )
    assert often.scores == pytest.approx(once.scores)
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))
    assert often.p == pytest.approx(once.p)
    assert (often.facts["questions"], often.facts["stems"], often.prompts) == (32, 8, 32)
    assert any("over 8 stems" in note for note in often.notes)
    assert not any("stems" in note for note in once.notes)
    apart = ranked(
        np.repeat(values, 4, axis=0), np.repeat(values.sum(1), 4), list(map(str, range(32)))
    )
    assert max(apart.p) < max(often.p)


def test_the_mean_is_over_questions_where_stems_differ_in_number() -> None:
    effects = np.array([[1.0, 0.0], [1.0, 0.0], [4.0, 3.0]])
    ranking = ranked(effects, effects.sum(1), ["a", "a", "b"])
    assert ranking.scores == pytest.approx((2.0, 1.0))


def test_shares_need_a_whole_that_is_shown() -> None:
    effects = np.tile([1.0, -0.5], (12, 1))
    noisy = np.array([30.0, *[-1.0] * 10, 1.0])
    stems = [str(k) for k in range(12)]
    ranking = ranked(effects, noisy, stems)
    assert ranking.facts["whole"] > 0 > ranking.facts["whole_low"]
    assert max(ranking.p) < 0.05
    assert all(map(math.isnan, ranking.share))
    assert ranking.chosen == ()
    assert any("not shown to be above 0" in note for note in ranking.notes)
    assert ranked(effects, noisy + 30, stems).chosen == ()  # a share of 1 / 31
    assert ranked(effects, effects.sum(1), stems).chosen == (0,)
    single = ranked(effects, effects.sum(1), ["a"] * 12)
    assert all(map(math.isnan, single.share))


def test_heads_that_were_not_tested_have_no_p_and_are_not_chosen() -> None:
    effects = np.random.default_rng(1).normal(2.0, 0.1, size=(12, 2))
    stems = [str(k) for k in range(12)]
    assert set(ranked(effects, effects.sum(1), stems).chosen or ()) == {0, 1}
    part = ranked(effects, effects.sum(1), stems, np.array([False, True]))
    assert math.isnan(part.p[0])
    assert part.chosen == (1,)
