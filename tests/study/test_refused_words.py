"""Words that the supply does not ask for are refused in the plan, before anything is done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.study.plan import plan
from equipoise.study.recipe import Recipe

RECIPE = """\
models: [{{name: {model}, as: tiny}}]
benchmarks: [{{name: genbias, axis: race}}]
%s
supply: {{name: genbias, axis: %s}}
data: planted:default
controls: false
draws: 0
limit: 2
"""


@pytest.mark.parametrize(
    ("what", "axis", "message"),
    [
        (
            'mitigations: [{{name: lftf, words: [" white", " black"]}}]',
            "gender",
            "lftf: words must",
        ),
        (
            "mitigations: [{{name: combined, second: cafie, first: "
            '{{name: full_finetune, words: [" he", " she"]}}}}]',
            "race",
            "full_finetune: words must",
        ),
        ('locators: [{{name: gender_contrast, words: [" he", " she"]}}]', "age", "line 3.*words"),
    ],
)
def test_a_plan_refuses_words_of_another_axis(
    written: Callable[..., Path], what: str, axis: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        plan(Recipe.from_yaml(written(RECIPE % (what, axis))))
