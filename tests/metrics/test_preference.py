import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.metrics import preference as pref
from tests.metrics.plain import plain

NAN = math.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


# Two terms of unequal size: term 0 has three examples, term 1 one; each in a domain of its own.
TERMS = column(0, 0, 0, 1)
DOMAINS = column(0, 0, 0, 1)
PREFERS = column(1, 1, 0, 0)  # SS: 200/3 and 0
RELATED = column(1, 0.5, 1, 0.5)  # LMS: 250/3 and 50


@pytest.mark.parametrize(
    ("first", "second", "anti", "half"),
    [(-1.0, -2.0, 1.0, 1.0), (-2.0, -1.0, 0.0, 0.0), (-1.0, -1.0, 0.0, 0.5)],
)
def test_preference_and_its_ties(first: float, second: float, anti: float, half: float) -> None:
    assert pref.preference(first, second, "anti") == anti
    assert pref.preference(first, second, "half") == half


def test_nan_scores_have_no_preference() -> None:
    assert math.isnan(pref.preference(NAN, 1.0, "anti"))
    assert math.isnan(pref.preference(1.0, NAN, "half"))
    assert math.isnan(pref.relatedness(1.0, 2.0, NAN, "anti"))


@pytest.mark.parametrize(
    ("scores", "ties", "want"),
    [
        ((2.0, 3.0, 1.0), "anti", 1.0),
        ((2.0, 0.0, 1.0), "anti", 0.5),
        ((0.0, 0.0, 1.0), "anti", 0.0),
        ((1.0, 1.0, 1.0), "anti", 0.0),
        ((1.0, 1.0, 1.0), "half", 0.5),
        ((1.0, 2.0, 1.0), "half", 0.75),
    ],
)
def test_relatedness(scores: tuple[float, float, float], ties: pref.Ties, want: float) -> None:
    assert pref.relatedness(*scores, ties) == want


def test_macro_micro_and_domain_means_by_hand() -> None:
    assert plain(pref.stereotype_score, PREFERS, terms=TERMS) == pytest.approx((200 / 3 + 0) / 2)
    lms = plain(pref.language_modelling_score, RELATED, terms=TERMS)
    assert lms == pytest.approx((250 / 3 + 50) / 2)
    assert plain(pref.rate, PREFERS) == 50.0
    assert plain(pref.rate, RELATED) == 75.0
    assert plain(pref.domain_mean, PREFERS, DOMAINS, terms=TERMS) == pytest.approx((2 / 3 + 0) / 2)
    # ICAT of domain 0: 250/3 * 100/3 / 50 = 500/9; of domain 1: 50 * 0 / 50 = 0
    both = plain(pref.domain_mean_icat, PREFERS, RELATED, DOMAINS, terms=TERMS)
    assert both == pytest.approx(500 / 9 / 2)


@pytest.mark.parametrize(
    ("lms", "ss", "want"),
    [(100, 50, 100), (100, 0, 0), (100, 100, 0), (0, 50, 0), (90, 60, 72), (90, 40, 72)],
)
def test_icat(lms: float, ss: float, want: float) -> None:
    assert pref.icat(lms, ss) == pytest.approx(want)


def test_near_zero_scores() -> None:
    assert plain(pref.near_zero, column(0.04, -0.04, 0.05, 1.0, NAN)) == 50.0


def test_nothing_measured_is_nan() -> None:
    for empty in (column(), column(NAN, NAN)):
        for score in (pref.stereotype_score, pref.language_modelling_score, pref.rate):
            assert math.isnan(plain(score, empty))
        assert math.isnan(plain(pref.near_zero, empty))
        assert math.isnan(plain(pref.domain_mean, empty, np.zeros(len(empty))))
        assert math.isnan(plain(pref.domain_mean_icat, empty, empty, np.zeros(len(empty))))
    assert math.isnan(pref.icat(NAN, 50.0))


rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)
    ),
    min_size=1,
)  # fmt: skip


def by_hand(values: np.ndarray, terms: np.ndarray) -> float:
    means = []
    for term in sorted(set(terms.tolist())):
        members = [value for value, code in zip(values, terms, strict=True) if code == term]
        means.append(sum(members) / len(members))
    return sum(means) / len(means)


@pytest.mark.thorough
@settings(max_examples=20)
@given(rows)
def test_properties_of_scores(examples: list[tuple[float, float, int]]) -> None:
    prefers, related, terms = np.array(examples, dtype=np.float64).T
    domains = terms % 2
    ss = plain(pref.stereotype_score, prefers, terms=terms)
    lms = plain(pref.language_modelling_score, related, terms=terms)
    icat = plain(pref.domain_mean_icat, prefers, related, domains, terms=terms)
    assert ss == pytest.approx(100 * by_hand(prefers, terms))
    assert 0 <= ss <= 100
    assert 0 <= pref.icat(lms, ss) <= 100 + 1e-9
    # swapping stereotype and anti-stereotype maps s to 100 - s and leaves ICAT
    swapped = plain(pref.stereotype_score, 1 - prefers, terms=terms)
    assert swapped == pytest.approx(100 - ss)
    assert pref.icat(lms, swapped) == pytest.approx(pref.icat(lms, ss))
    # neither order, nor doubling, nor the names of terms matter
    turned, doubled = slice(None, None, -1), np.tile(np.arange(len(terms)), 2)
    for pick in (turned, doubled):
        again = plain(pref.stereotype_score, prefers[pick], terms=terms[pick] * 3 + 1)
        assert again == pytest.approx(ss)
        again = plain(
            pref.domain_mean_icat, prefers[pick], related[pick], domains[pick], terms=terms[pick]
        )
        assert again == pytest.approx(icat)
    single = plain(pref.domain_mean_icat, prefers, related, np.zeros_like(terms), terms=terms)
    assert single == pytest.approx(pref.icat(lms, ss))
