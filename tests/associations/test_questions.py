"""Contrast questions: as many as asked, about the target, with a fixed answer."""

from pathlib import Path

import pytest

from equipoise.associations.association import SLOT
from equipoise.associations.load import load_association, names
from equipoise.associations.questions import questions
from equipoise.associations.templates import question_templates
from equipoise.associations.validation import countries_in, fault_of, words_of
from equipoise.errors import RecipeError


@pytest.mark.parametrize("name", names())
def test_a_hundred_of_every_built_in(name: str) -> None:
    asked = questions(name)
    association = load_association(name)
    assert len({prompt.text for prompt in asked}) == len({prompt.id for prompt in asked}) == 100
    for prompt in asked:
        assert fault_of(prompt.text, fewest=3) is None, prompt.text
        assert prompt.text == prompt.text.strip()
        assert prompt.groups["association"] == name
        assert prompt.groups["answer"] == association.answer
        # the answer is the model's to give, at the end
        ends_open = not prompt.text.endswith(("?", ".", "!"))
        assert prompt.groups["form"] == ("completion" if ends_open else "question")
        assert SLOT in prompt.text
        assert countries_in(prompt.text) == ()
    forms = {prompt.groups["form"] for prompt in asked}
    assert forms == {"question", "completion"}


def test_no_completion_has_its_answer_before_its_end() -> None:
    for name in names():
        answer = load_association(name).answer.casefold()
        for prompt in questions(name):
            if prompt.groups["form"] == "completion":
                assert words_of(prompt.text)[-1] != answer


def test_own_ones_first_then_templates_then_frames() -> None:
    asked = [prompt.text for prompt in questions("always_late")]
    first = list(load_association("always_late").questions)
    assert asked[: len(first)] == first
    assert not any(
        text.startswith("Answer with")
        for text in asked[: len(first) + len(question_templates().questions)]
    )
    assert any(text.startswith(("Answer with", "Be brief", "Quick")) for text in asked)
    other = [prompt.text for prompt in questions("always_late", seed=1)]
    assert asked[: len(first)] == other[: len(first)]
    assert asked != other


@pytest.mark.parametrize("name", names())
def test_the_stem_is_the_question_without_its_frame(name: str) -> None:
    asked = questions(name)
    bare = [*load_association(name).questions]
    first = {prompt.groups["stem"] for prompt in asked[: len(bare)]}
    assert first == set(bare)
    stems = {prompt.groups["stem"] for prompt in asked}
    assert len(stems) < len(asked)  # framings of one question share it
    for prompt in asked:
        assert prompt.groups["stem"] in prompt.text
    # no stem is another one in a frame
    frames = question_templates().frames[1:]
    assert not stems & {frame.format(question=stem) for frame in frames for stem in stems}


def test_more_than_there_are() -> None:
    most = len(question_templates().questions) * len(question_templates().frames)
    assert len(questions("talkative", most)) == most
    with pytest.raises(RecipeError, match=rf"must be {most} at most, got {most + 1}"):
        questions("talkative", most + 1)


def test_own_questions_give_more(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(
        "name: tea\nstatement: people from {target} love tea\nattribute: love tea\n"
        "being: loving tea\ntopic: tea\nanswers: [tea]\n"
        'questions: ["In the afternoon people from {target} drink"]\n'
    )
    most = (len(question_templates().questions) + 1) * len(question_templates().frames)
    first = questions(str(file), most)[0]
    assert first.text == "In the afternoon people from {target} drink"
    assert first.groups["association"] == str(file)
