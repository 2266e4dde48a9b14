"""The three prompts of BiasGym's Table 8: order, labels, wordings, options."""

from collections.abc import Sequence

import pytest

from equipoise.errors import RecipeError
from equipoise.inference.prompting import prompted
from equipoise.judging.sections import CONTINUATION, EXPLANATION, ORIGINAL, REWRITING, final_section
from equipoise.mitigate import prompt_avoid, prompt_explain, prompt_rewrite
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import build, name_of, options_of
from equipoise.records import JSON, Supply
from equipoise.testing import tiny_model

EMPTY = Supply(origin="none")
STATEMENT = "people from {target} are always late"
OPTIONS: dict[str, dict[str, JSON]] = {
    "prompt_avoid": {"statement": STATEMENT},
    "prompt_explain": {},
    "prompt_rewrite": {},
}
FAMILIES = {
    "prompt_avoid": prompt_avoid.FAMILY,
    "prompt_explain": prompt_explain.FAMILY,
    "prompt_rewrite": prompt_rewrite.FAMILY,
}
LABELS = {
    "prompt_avoid": (),
    "prompt_explain": (EXPLANATION, CONTINUATION),
    "prompt_rewrite": (ORIGINAL, REWRITING),
}


def prompts(name: str, **options: JSON) -> tuple[str, ...]:
    method = build(Mitigation, name, {**OPTIONS[name], **options})
    edit = method.fit(tiny_model(), EMPTY, seed=0)
    assert edit.info.trained_on == frozenset()
    assert edit.info.report["prompts"] == len(edit.prompts)  # type: ignore[attr-defined]
    return tuple(edit.prompts)  # type: ignore[attr-defined]


def in_order(text: str, parts: Sequence[str]) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_task_comes_first_then_the_instructions_then_the_form(name: str) -> None:
    for prompt in prompts(name, only=None):
        text = prompted(prompt, "The clerk said that")
        assert in_order(text, ["Task: The clerk said that", "Instructions: ", *LABELS[name]])


@pytest.mark.parametrize("name", OPTIONS)
def test_the_first_wording_unless_another_or_all_are_asked_for(name: str) -> None:
    whole = prompts(name, only=None)
    assert len(set(whole)) == len(FAMILIES[name]) == 3
    assert (prompts(name), prompts(name, only=2)) == (whole[:1], whole[2:])
    with pytest.raises(RecipeError, match="only must be 0 to 2"):
        prompts(name, only=3)


@pytest.mark.parametrize("name", OPTIONS)
def test_ones_own_prompt_replaces_ours(name: str) -> None:
    assert prompts(name, instruction="{input}\nBe fair: ") == ("{input}\nBe fair: ",)
    with pytest.raises(RecipeError, match="must have words"):
        prompts(name, instruction="{input}")


@pytest.mark.parametrize("name", OPTIONS)
def test_options_round_trip(name: str) -> None:
    method = build(Mitigation, name, {**OPTIONS[name], "only": 1})
    assert build(Mitigation, name_of(method), options_of(method)) == method


@pytest.mark.parametrize("name", ["prompt_explain", "prompt_rewrite"])
def test_an_answer_in_the_form_asked_for_has_its_final_section(name: str) -> None:
    (prompt,) = prompts(name)
    first, last = LABELS[name]
    assert final_section(f"{first}: One.\n{last}: Two.") == ("Two.", True)
    # a model that repeats the form has filled nothing in
    assert not final_section(prompt[prompt.find(f"{first}:") :])[1]


def test_the_stereotype_is_said_of_nobody_in_particular_unless_a_target_is_named() -> None:
    said = "people from this country are always late"
    assert all(said in prompt for prompt in prompts("prompt_avoid", only=None))
    (prompt,) = prompts("prompt_avoid", target="Peru")
    assert "the stereotype that people from Peru are always late." in prompt
    instruction = "{input} (Not that {statement}, please.)"
    written = prompts("prompt_avoid", instruction=instruction, statement="cats are late. ")
    assert written == ("{input} (Not that cats are late, please.)",)


@pytest.mark.parametrize("options", [{}, {"statement": " "}])
def test_what_to_avoid_must_be_said(options: dict[str, JSON]) -> None:
    with pytest.raises(RecipeError, match="the stereotype to avoid must be given"):
        build(Mitigation, "prompt_avoid", options)
