"""Tables of attributions: a row per statistic, and a row per training row."""

import numpy as np
import pytest
from report.attributed import study

from equipoise.export import tables
from equipoise.export.export import export
from equipoise.study.study import Study


@pytest.fixture(scope="module")
def results() -> Study:
    return study()


def test_a_row_per_statistic(results: Study) -> None:
    frame = tables.attributions(results)
    influence = frame[frame.attributor == "influence"].set_index(["statistic", "group"])
    assert influence.loc[("coverage", "share=0.35"), "most"] == 1.0
    assert influence.loc[("lds", ""), "value"] == 0.42
    assert influence.loc[("bias_left", "share=0.35"), "value"] == pytest.approx(0.2)
    assert influence.loc[("bias_left", ""), "value"] == pytest.approx(0.1)  # before training
    assert ("mean_score", "label=biased; axis=age") in influence.index
    assert set(frame.attributor) == {"influence", "bm25", "random"}


def test_a_row_per_training_row(results: Study) -> None:
    frame = tables.attribution_scores(results)
    influence = frame[frame.attributor == "influence"]
    assert len(influence) == 60
    first = influence[influence["rank"] == 1].iloc[0]
    assert first.score == np.nanmax(influence.score)
    last = influence[influence.id == "r59"].iloc[0]
    assert np.isnan(last["rank"])
    assert "300 tokens" in last.reason


def test_readers_get_intervals_in_the_cells(results: Study) -> None:
    text = export(results, "attributions", "markdown")
    assert "0.420 [0.320, 0.520]" in text
    assert tables.attributions(Study(title="none", recipe={})).empty
