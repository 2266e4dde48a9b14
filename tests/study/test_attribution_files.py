"""Attributions survive their files, and what a reader is shown of them is right."""

import math
from pathlib import Path

import numpy as np
import pytest

from equipoise.attributions import Attribution
from equipoise.errors import StoreError
from equipoise.files.json_records import write_record
from equipoise.rows import TrainingRow
from equipoise.study.attribution_files import (
    SCORES,
    read_attribution,
    read_summary,
    summarize_attribution,
    write_attribution,
)

SCORED = np.array([0.9, 0.1, math.nan, 0.8, 0.5, 0.5])
LABELS = ("biased", "neutral", "biased", "neutral", "biased", "neutral")
ROWS = tuple(
    TrainingRow(
        id=f"r{n}", text=f"text {n}", groups={"label": label} | ({"axis": "age"} if n == 0 else {})
    )
    for n, label in enumerate(LABELS)
)
ATTRIBUTION = Attribution(
    attributor="mine", ids=tuple(row.id for row in ROWS), scores=SCORED, unit="cosine", probes=2,
    by_group={"age": SCORED * 2}, by_probe=np.arange(12.0).reshape(6, 2), contrastive=True,
    skipped={"r2": "too long"}, notes=("a note",), facts={"terms": 3.0, "gap": math.nan},
)  # fmt: skip


def test_files_hold_all_of_it(tmp_path: Path) -> None:
    write_attribution(tmp_path / "a", ATTRIBUTION)
    again = read_attribution(tmp_path / "a", by_probe=True)
    for name in ("attributor", "ids", "unit", "probes", "contrastive", "skipped", "notes"):
        assert getattr(again, name) == getattr(ATTRIBUTION, name)
    np.testing.assert_array_equal(again.scores, SCORED)
    np.testing.assert_array_equal(again.by_group["age"], SCORED * 2)
    assert again.by_probe is not None
    np.testing.assert_array_equal(again.by_probe, ATTRIBUTION.by_probe)
    assert again.facts["terms"] == 3.0
    assert math.isnan(again.facts["gap"])
    assert read_attribution(tmp_path / "a").by_probe is None
    write_attribution(tmp_path / "b", ATTRIBUTION)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_a_cut_file_is_one_sentence(tmp_path: Path) -> None:
    write_attribution(tmp_path, ATTRIBUTION)
    (tmp_path / SCORES).write_bytes(b"cut")
    with pytest.raises(StoreError, match=r"must hold an attribution, got: .*; run again"):
        read_attribution(tmp_path)
    with pytest.raises(StoreError, match="is missing"):
        read_attribution(tmp_path / "none")


def test_summary_names_the_rows_of_both_ends(tmp_path: Path) -> None:
    summary = summarize_attribution(ATTRIBUTION, ROWS, count=2)
    assert [(row.id, row.rank) for row in summary.most] == [("r0", 1), ("r3", 2)]
    assert [(row.id, row.rank) for row in summary.least] == [("r1", 5), ("r5", 4)]
    assert summary.most[0].texts == ("text 0",)
    assert (summary.rows, summary.scored, summary.labelled, summary.biased) == (6, 5, 6, 3)
    # of the 3 highest one is neutral, as a perfect attributor would not have it
    assert (summary.neutral_selected, [row.id for row in summary.neutral]) == (1, ["r3"])
    write_record(tmp_path / "summary.json", summary)
    assert repr(read_summary(tmp_path / "summary.json")) == repr(summary)


def test_curve_by_hand() -> None:
    # thresholds .9, .8, .5 (two tie), .1; r2 has no score and is never above one
    summary = summarize_attribution(ATTRIBUTION, ROWS, count=0)
    assert summary.curve == ((1 / 3, 1.0), (2 / 3, 0.5))
    assert summary.most == summary.least == ()
    unlabelled = tuple(TrainingRow(id=row.id, text=row.text) for row in ROWS)
    assert summarize_attribution(ATTRIBUTION, unlabelled, count=1).curve == ()


def test_profile_is_the_mean_of_each_kind_of_row() -> None:
    profile = summarize_attribution(ATTRIBUTION, ROWS, count=0).profile
    by_group = {tuple(each.group.values()): each for each in profile}
    assert set(by_group) == {("biased", "age"), ("biased",), ("neutral",)}
    assert by_group["neutral",].value == pytest.approx((0.1 + 0.8 + 0.5) / 3)
    assert by_group["neutral",].low < by_group["neutral",].value
    assert by_group["biased",].n == 1  # the row without a score is not counted
    assert math.isnan(by_group["biased",].low)
    assert by_group["biased",].reason == "a single row has no interval"
