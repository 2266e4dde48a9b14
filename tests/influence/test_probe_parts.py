"""Probes dealt into parts, and scores of influence by part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from equipoise.attribute import influence
from equipoise.attribute.influence import Influence
from equipoise.attributions import Attribution
from equipoise.influence.probe_parts import ProbeParts, probe_parts
from equipoise.rows import Probe

from .conftest import Learnt


def probes(*axes: str) -> list[Probe]:
    groups = [{"axis": axis} if axis else {} for axis in axes]
    return [Probe(id=str(k), stereotype="x", groups=group) for k, group in enumerate(groups)]


def test_parts_are_of_a_single_type_each_and_dealt_out_in_turn() -> None:
    parts = probe_parts(probes("b", "a", "b", "b", "b", "b", "b"), 4)
    assert parts == ProbeParts(part=(1, 0, 2, 3, 1, 2, 3), axis=("a", "b", "b", "b"))
    assert parts.names == ("a", "b 1", "b 2", "b 3")
    assert parts.counts.tolist() == [1, 2, 2, 2]
    whole = probe_parts(probes("b", "", "b"), 0)
    assert (whole.part, whole.names) == ((1, 0, 1), ("all", "b"))
    single = probe_parts(probes("b", "b"), 40)
    assert single.part == (0, 1)


def test_means_are_those_over_probes() -> None:
    """Whatever the parts' sizes."""
    generator = np.random.default_rng(0)
    given = probes(*generator.choice(["a", "b", "c"], size=23))
    by_probe = generator.normal(size=(5, 23))
    axes = np.array([probe.groups["axis"] for probe in given])
    for most in (0, 1, 7, 100):
        parts = probe_parts(given, most)
        members = np.array(parts.part)
        columns = np.stack(
            [by_probe[:, members == k].mean(1) for k in range(len(parts.axis))], axis=1
        )
        np.testing.assert_allclose(parts.mean(columns), by_probe.mean(1))
        np.testing.assert_allclose(parts.shares(columns).mean(1), by_probe.mean(1))
        for axis, column in parts.by_axis(columns).items():
            np.testing.assert_allclose(column, by_probe[:, axes == axis].mean(1))


@pytest.mark.thorough
def test_influence_is_known_by_part_and_turns_with_the_sentences(
    learnt: Learnt, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attributed(exchanged: tuple[int, ...] = (), **options: Any) -> Attribution:
        given = [
            replace(probe, stereotype=probe.antistereotype or "", antistereotype=probe.stereotype)
            if k in exchanged
            else probe
            for k, probe in enumerate(learnt.probes)
        ]
        given_options = {"reduce": "mean"} | options
        method = Influence(training=learnt.training, **given_options)
        return method.attribute(learnt.model, learnt.rows, given, seed=0)

    known, unknown, turned = attributed(), attributed(parts=0), attributed((0, 2))
    table = known.by_probe  # parts are sorted by type: that of age (the last probe) is first
    np.testing.assert_allclose(table.mean(1), known.scores, atol=1e-6)
    np.testing.assert_allclose(known.scores, unknown.scores, atol=1e-5)
    assert unknown.by_probe is None
    assert known.contrastive
    np.testing.assert_allclose(turned.by_probe, table * [-1, -1, 1], atol=1e-5)
    plain, most = attributed(probe="stereotype"), attributed(reduce="max")
    assert not plain.contrastive
    assert most.by_probe is None
    np.testing.assert_allclose(most.scores, np.max([*known.by_group.values()], axis=0), atol=1e-5)
    monkeypatch.setattr(influence, "MOST_BY_PROBE", 3)
    assert attributed().by_probe is None
