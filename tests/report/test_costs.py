"""The table of costs: medians over seeds with their ends, and what is not known."""

import math
from dataclasses import replace

from equipoise.report.costs import cost_rows, peak_names
from equipoise.report.html import study_page
from equipoise.study.study import Cost

from .making import study

COST = Cost(
    model="gpt2", mitigation="lftf", seed=0, trained_parameters=1_000_000,
    changed_parameters=1_000_000, steps=60, seconds=12.0, peak_bytes=1.5e9, peak_of="process",
    passes_per_token=1,
)  # fmt: skip
NAN = replace(
    COST, mitigation="<i>cafie", trained_parameters=0, peak_bytes=math.nan, peak_of="",
    passes_per_token=6, reason="the log of the store has no memory for it",
)  # fmt: skip


def test_seeds_are_a_row_with_their_ends() -> None:
    seeds = [replace(COST, seed=seed, seconds=10.0 + seed, steps=60) for seed in (0, 1, 4)]
    (row,) = cost_rows(replace(study(), costs=tuple(seeds)))
    assert (row.seeds, row.trained, row.steps) == (3, "1,000,000", "60")
    assert (row.seconds, row.peak, row.passes) == ("11.0 (10.0 to 14.0)", "1.50", "1")
    assert row.reason == ""


def test_what_is_not_known_says_why() -> None:
    known = replace(study(), costs=(COST, NAN))
    _, row = cost_rows(known)
    assert (row.trained, row.peak, row.passes) == ("0", "n/a", "6")
    assert row.reason == "the log of the store has no memory for it"
    assert peak_names(known) == "memory of the process"
    page = study_page(known)
    assert 'id="costs"' in page
    assert "<i>cafie" not in page
    assert "the log of the store has no memory for it" in page


def test_a_study_without_edits_has_no_table() -> None:
    assert 'id="costs"' not in study_page(study())
