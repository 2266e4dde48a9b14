"""Words that ask for a text without bias, before each text."""

import pytest

from equipoise.errors import OptionError
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.prompt_debias import PromptDebias
from equipoise.plugins import build
from equipoise.records import Supply
from equipoise.testing import check_mitigation, tiny_model


def test_each_wording_stands_before_the_text() -> None:
    edit = PromptDebias(only=None).fit(tiny_model(), Supply(origin="none"), seed=0)
    assert edit.prompts == PromptDebias.wordings
    assert all(prompt.endswith(". ") and "{" not in prompt for prompt in edit.prompts)
    assert len(set(edit.prompts)) == 3


def test_it_takes_the_first_wording_or_the_users_own() -> None:
    model, supply = tiny_model(), Supply(origin="none")
    assert PromptDebias().fit(model, supply, seed=0).prompts == PromptDebias.wordings[:1]
    edit = PromptDebias(instruction="Be fair: {input}").fit(model, supply, seed=0)
    assert edit.prompts == ("Be fair: {input}",)
    assert edit.info.trained_on == frozenset()


def test_a_wording_that_is_not_there_is_refused() -> None:
    with pytest.raises(OptionError, match="only must be 0 to 2"):
        build(Mitigation, "prompt_debias", {"only": 3})


@pytest.mark.thorough
def test_it_holds_what_every_mitigation_must() -> None:
    check_mitigation(PromptDebias())
