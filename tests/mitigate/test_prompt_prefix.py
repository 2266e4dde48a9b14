"""PB: a family of prefixes; each is one variant of the model."""

import pytest

from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.prompt_prefix import FAMILY, NEUTRAL, PromptPrefix
from equipoise.plugins import build, name_of, options_of
from equipoise.records import Supply
from equipoise.testing import tiny_model

EMPTY = Supply(origin="none")


def test_the_family_is_at_least_six_different_sentences() -> None:
    assert len(set(FAMILY)) == len(FAMILY) >= 6
    assert all(prompt.endswith(". ") for prompt in (*FAMILY, *NEUTRAL))


def test_each_member_goes_before_every_context() -> None:
    model = tiny_model()
    edit = PromptPrefix().fit(model, EMPTY, seed=0)
    assert edit.info.trained_on == frozenset()
    with edit.attached(model) as edited:
        assert edited.prompts == FAMILY
    assert model.prompts == ("",)


def test_one_member_alone() -> None:
    assert PromptPrefix(only=2).fit(tiny_model(), EMPTY, seed=0).prompts == (FAMILY[2],)


def test_controls_are_as_long_and_say_nothing_of_gender() -> None:
    assert PromptPrefix(family="neutral").fit(tiny_model(), EMPTY, seed=0).prompts == NEUTRAL
    words = {word.strip(".,") for prompt in NEUTRAL for word in prompt.lower().split()}
    assert not words & {"he", "she", "his", "her", "man", "men", "woman", "women", "gender"}
    mean = sum(map(len, FAMILY)) / len(FAMILY)
    assert all(0.75 * mean < len(prompt) < 1.25 * mean for prompt in NEUTRAL)


@pytest.mark.parametrize("only", [-1, 99])
def test_unknown_member(only: int) -> None:
    with pytest.raises(RecipeError, match="only must be 0 to 7"):
        build(Mitigation, "prompt_prefix", {"only": only})


def test_options_round_trip() -> None:
    method = PromptPrefix(family="neutral", only=1)
    assert build(Mitigation, name_of(method), options_of(method)) == method
