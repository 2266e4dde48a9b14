"""The three prompts of BiasGym's Table 8: order, labels, wordings, options."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from equipoise.associations.load import load_association
from equipoise.errors import RecipeError
from equipoise.inference.prompting import prompted
from equipoise.judging.sections import CONTINUATION, EXPLANATION, ORIGINAL, REWRITING, final_section
from equipoise.mitigate import prompt_avoid, prompt_explain, prompt_rewrite
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.prompt_avoid import PromptAvoid
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


def test_the_stereotype_may_be_an_association(tmp_path: Path) -> None:
    (prompt,) = prompts("prompt_avoid", statement=None, association="always_late")
    assert prompt == prompts("prompt_avoid", statement=load_association("always_late").statement)[0]
    file = tmp_path / "late.yaml"
    text = (
        "name: late\nplace: false\nstatement: '{target} are always late'\n"
        "attribute: are always late\n"
        "being: being late\ntopic: punctuality\nanswers: [late]\n"
    )
    file.write_text(text)
    options: dict[str, JSON] = {"association": str(file), "target": "nurses"}
    method = build(Mitigation, "prompt_avoid", options)
    assert isinstance(method, PromptAvoid)
    assert "that nurses are always late." in method.fit(tiny_model(), EMPTY, seed=0).prompts[0]
    with pytest.raises(RecipeError, match="must say whom 'late' is about"):
        prompts("prompt_avoid", statement=None, association=str(file))
    before = method.files()
    file.write_text(text.replace("are always late'", "are often late'"))
    assert method.files().keys() == before.keys() == {str(file)}
    assert method.files() != before
    with pytest.raises(RecipeError, match="always_late"):
        prompts("prompt_avoid", statement=None, association="always_lat")


@pytest.mark.parametrize("blank", ["", " "])
def test_a_blank_one_is_none(blank: str) -> None:
    named = prompts("prompt_avoid", statement=blank, association="always_late")
    assert named == prompts("prompt_avoid", statement=None, association="always_late")
    options: dict[str, JSON] = {"statement": "cats are late", "association": blank}
    method = build(Mitigation, "prompt_avoid", options)
    assert isinstance(method, PromptAvoid)
    assert method.files() == {}


@pytest.mark.parametrize(
    "options",
    [{}, {"statement": " "}, {"statement": "cats are late", "association": "always_late"}],
)
def test_what_to_avoid_must_be_said(options: dict[str, JSON]) -> None:
    with pytest.raises(RecipeError, match="the stereotype to avoid must be given"):
        build(Mitigation, "prompt_avoid", options)
