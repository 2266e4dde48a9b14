"""Orders, sides and repeats: everything once, a tenth again, alike at each reading."""

from collections import Counter

import numpy as np
import pytest

from equipoise.rating.questions import Mode
from equipoise.rating.showings import plan_showings

IDS = [str(k) for k in range(40)]


def planned(rater: str = "ann", mode: Mode = "pairs", seed: int = 0, count: int = 40):  # type: ignore[no-untyped-def]
    return plan_showings(IDS[:count], mode=mode, rater=rater, seed=seed)


@pytest.mark.parametrize(("mode", "per_pair"), [("pairs", 1), ("grades", 1), ("texts", 2)])
def test_everything_once_and_a_tenth_again(mode: Mode, per_pair: int) -> None:
    showings = planned(mode=mode)
    first = [(s.pair, s.variant) for s in showings if not s.repeat]
    again = [s for s in showings if s.repeat]
    assert len(first) == len({*first}) == 40 * per_pair
    assert len(again) == 4 * per_pair
    for showing in again:
        places = [k for k, s in enumerate(showings) if (s.pair, s.variant) ==
                  (showing.pair, showing.variant)]  # fmt: skip
        earlier, later = places
        assert showings[earlier].swapped == showing.swapped
        assert later - earlier > len(first) / 8


def test_an_order_is_the_raters_own_and_stays() -> None:
    assert planned() == planned()
    orders = [[s.pair for s in planned(rater)] for rater in ("ann", "bob")]
    assert orders[0] != orders[1]
    assert planned(seed=1) != planned()


@pytest.mark.thorough
def test_sides_are_by_lot() -> None:
    swapped = [s.swapped for k in range(50) for s in planned(f"rater {k}") if not s.repeat]
    assert np.mean(swapped) == pytest.approx(0.5, abs=0.04)
    by_pair = Counter(s.pair for k in range(50) for s in planned(f"rater {k}") if s.swapped)
    assert min(by_pair.values()) > 8
    assert not any(s.swapped for s in planned(mode="texts"))


def test_few_pairs() -> None:
    assert [s.repeat for s in planned(count=1)] == [False]
    assert sum(s.repeat for s in planned(count=2)) == 1
    assert len(planned(count=10)) == 11
    assert planned(count=0) == ()
