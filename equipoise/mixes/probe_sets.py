"""Probes of published sets, for a mix that is measured on another of them (BiasDiff, table 9)."""

from collections.abc import Callable, Mapping
from typing import Final

from equipoise.data import crows_pairs, seat
from equipoise.data.biased_corpora import OCCUPATIONS, WINOGENDER, read_winogender
from equipoise.records import DataUse
from equipoise.rows import Probe


def crows_pairs_probes() -> tuple[Probe, ...]:
    """The pairs of CrowS-Pairs; the types of bias are its own."""
    return tuple(
        Probe(
            id=f"crows_pairs:{pair.id}",
            stereotype=pair.stereotype,
            antistereotype=pair.antistereotype,
            groups={"axis": pair.groups["bias_type"], "direction": pair.groups["direction"]},
        )
        for pair in crows_pairs.read_pairs()
    )


def seat_probes() -> tuple[Probe, ...]:
    """The sentences of SEAT's published tests about people, each alone: none says a stereotype.

    The paper does not say which of SEAT's sentences it takes. They name a person or a group
    ("This is …"), and so there is no anti-stereotype: a contrastive score has nothing to contrast.
    """
    tests = [test for group in seat.PUBLISHED for test in seat.read_tests(group)]
    texts = {
        text: test.axis for test in reversed(tests) for text in (*test.first, *test.second)
    }  # the first test of a text gives its axis
    return tuple(
        Probe(id=f"seat:{number}", stereotype=text, groups={"axis": axis})
        for number, (text, axis) in enumerate(texts.items())
    )


def _seat_files() -> tuple[DataUse, ...]:
    tests = [test for group in seat.PUBLISHED for test in seat.read_tests(group)]
    return tuple(test.source.use() for test in tests)


#: Name to its probes and its files.
PROBE_SETS: Final[
    Mapping[str, tuple[Callable[[], tuple[Probe, ...]], Callable[[], tuple[DataUse, ...]]]]
] = {
    "crows_pairs": (crows_pairs_probes, lambda: (crows_pairs.CROWS_PAIRS.use(),)),
    "seat": (seat_probes, _seat_files),
    "winogender": (read_winogender, lambda: (WINOGENDER.use(), OCCUPATIONS.use())),
}
