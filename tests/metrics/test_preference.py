import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from equipoise.metrics import preference as pref

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


def test_what_is_not_measured_prefers_nothing() -> None:
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


def test_macro_micro_and_domains_differ_as_by_hand() -> None:
    assert pref.stereotype_score(PREFERS, TERMS) == pytest.approx((200 / 3 + 0) / 2)
    assert pref.language_modelling_score(RELATED, TERMS) == pytest.approx((250 / 3 + 50) / 2)
    assert pref.micro(PREFERS) == 0.5
    assert pref.micro(RELATED) == 0.75
    domains = pref.domain_macros(PREFERS, TERMS, DOMAINS)
    assert domains == pytest.approx([2 / 3, 0])
    # ICAT of domain 0: 250/3 * 100/3 / 50 = 500/9; of domain 1: 50 * 0 / 50 = 0
    both = pref.domain_mean_icat(PREFERS, RELATED, TERMS, DOMAINS)
    assert both == pytest.approx(500 / 9 / 2)


def test_a_term_in_two_domains_counts_in_each() -> None:
    values, terms, domains = column(1, 0, 0), column(0, 0, 1), column(0, 1, 1)
    assert pref.domain_macros(values, terms, domains) == pytest.approx([1.0, 0.0])
    assert pref.macro(values, terms) == pytest.approx(0.25)  # pooled: term 0 has 1/2, term 1 has 0


def test_a_cluster_drawn_twice_counts_twice() -> None:
    assert pref.macro(column(1, 1, 0), column(0, 1, 2)) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("lms", "ss", "want"),
    [(100, 50, 100), (100, 0, 0), (100, 100, 0), (0, 50, 0), (90, 60, 72), (90, 40, 72)],
)
def test_icat(lms: float, ss: float, want: float) -> None:
    assert pref.icat(lms, ss) == pytest.approx(want)


def test_margins() -> None:
    margins = column(0.04, -0.04, 0.05, 1.0, NAN)
    assert pref.near_zero(margins) == 50.0
    assert pref.median(margins) == pytest.approx(0.045)
    assert pref.micro(margins) == pytest.approx(1.05 / 4)


def test_nothing_measured_is_nan() -> None:
    for empty in (column(), column(NAN, NAN)):
        codes = np.zeros(len(empty))
        for value in (
            pref.micro(empty), pref.macro(empty, codes), pref.stereotype_score(empty, codes),
            pref.language_modelling_score(empty, codes), pref.rate(empty), pref.median(empty),
            pref.near_zero(empty), pref.icat(pref.macro(empty, codes), 50.0),
            pref.domain_mean_icat(empty, empty, codes, codes),
        ):  # fmt: skip
            assert math.isnan(value)
        assert len(pref.domain_macros(empty, codes, codes)) == 0


def test_unmeasured_rows_and_rows_without_domain_are_left_out() -> None:
    values, terms = np.append(PREFERS, [NAN, 1.0]), np.append(TERMS, [7, 8])
    domains = np.append(DOMAINS, [0, -1])
    kept = pref.domain_macros(values, terms, domains)
    assert kept == pytest.approx(pref.domain_macros(PREFERS, TERMS, DOMAINS))
    assert pref.macro(values[:-1], terms[:-1]) == pref.macro(PREFERS, TERMS)


rows = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 5)
    ),
    min_size=1,
)  # fmt: skip


def by_hand(values: np.ndarray, terms: np.ndarray) -> float:
    means = []
    for term in sorted(set(terms.tolist())):
        own = [value for value, one in zip(values, terms, strict=True) if one == term]
        means.append(sum(own) / len(own))
    return sum(means) / len(means)


@given(rows)
def test_properties_of_scores(found: list[tuple[float, float, int]]) -> None:
    prefers, related, terms = (np.array(one, dtype=np.float64) for one in zip(*found, strict=True))
    domains = terms % 2
    ss = pref.stereotype_score(prefers, terms)
    lms = pref.language_modelling_score(related, terms)
    assert ss == pytest.approx(100 * by_hand(prefers, terms))
    assert 0 <= ss <= 100
    assert 0 <= pref.icat(lms, ss) <= 100 + 1e-9
    # swapping stereotype and anti-stereotype maps s to 100 - s and leaves ICAT
    swapped = pref.stereotype_score(1 - prefers, terms)
    assert swapped == pytest.approx(100 - ss)
    assert pref.icat(lms, swapped) == pytest.approx(pref.icat(lms, ss))
    # neither order, nor doubling, nor the names of terms matter
    turned, doubled = slice(None, None, -1), np.tile(np.arange(len(terms)), 2)
    for pick in (turned, doubled):
        assert pref.stereotype_score(prefers[pick], terms[pick] * 3 + 1) == pytest.approx(ss)
        assert pref.domain_mean_icat(
            prefers[pick], related[pick], terms[pick], domains[pick]
        ) == pytest.approx(pref.domain_mean_icat(prefers, related, terms, domains))
    one_domain = np.zeros_like(terms)
    assert pref.domain_mean_icat(prefers, related, terms, one_domain) == pytest.approx(
        pref.icat(lms, ss)
    )
