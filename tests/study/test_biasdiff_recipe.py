"""The recipe of BiasDiff is planned as it is printed."""

from collections import Counter
from pathlib import Path

import pytest

from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe

FILE = Path(__file__).parents[2] / "examples" / "biasdiff.yaml"


@pytest.mark.thorough
def test_every_step_of_the_example_is_planned() -> None:
    planned = plan(Recipe.from_yaml(FILE))
    kinds = Counter(step.kind for step in planned.steps)
    assert kinds["attribute"] == 4
    assert kinds["quality"] == kinds["lds"] == kinds["removal"] == 1
    assert kinds["fit"] == 7
    assert kinds["compare"] == 7 * 3
    assert kinds["reduction"] == 5  # benchmarks of ability have no share
