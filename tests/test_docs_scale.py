"""docs/scale.md says what its formulas give, and the formulas behave as costs do."""

import runpy
from itertools import pairwise
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
SCALE = runpy.run_path(str(DOCS / "scale_table.py"))
RUN, SIZES, GPUS = SCALE["Run"], SCALE["SIZES"], SCALE["GPUS"]


def test_the_tables_are_those_of_the_formulas() -> None:
    """`python docs/scale_table.py` writes them."""
    page = (DOCS / "scale.md").read_text()
    assert SCALE["with_tables"](page) == page
    assert all(f"<!-- scale: {name} -->" in page for name in SCALE["TABLES"])


@pytest.mark.parametrize("model", SIZES, ids=lambda model: model.name)
def test_more_gpus_are_less_work_each_and_never_better_used(model) -> None:  # type: ignore[no-untyped-def]
    runs = [RUN(model=model, gpus=gpus) for gpus in GPUS if gpus >= model.gpus]
    for fewer, more in pairwise(runs):
        assert more.work / more.workers < fewer.work / fewer.workers
        assert more.used < fewer.used
        assert more.begin >= fewer.begin
    first = runs[0]
    assert first.computing == pytest.approx(first.work)  # of one worker: no chain, nobody waits
    assert first.seconds > first.work


def test_what_every_process_does_bounds_a_training() -> None:
    blocks, head = SCALE["step_parts"](SIZES[1])
    rows = [row for row in SCALE["inside_table"]().splitlines() if row.startswith("| 8B")]
    speedups = [float(cell) for cell in rows[0].split("|")[3:-1]]
    assert speedups == sorted(speedups)
    assert speedups[0] == 1.0
    assert speedups[-1] == pytest.approx((blocks + head) / head, abs=0.05)


def test_the_study_has_the_steps_that_the_page_names() -> None:
    page = (DOCS / "scale.md").read_text()
    run = RUN(model=SIZES[1], gpus=1)
    assert f"{run.fits} trainings and {run.steps - run.fits:,} measurements" in page
