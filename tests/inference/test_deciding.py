"""Typed questions to a model in memory: what transformers' pipeline answers, but in batches."""

import copy
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from decision_folder import FORMS, save_deciding
from transformers import pipeline

import equipoise as eq
from equipoise.errors import ModelError
from equipoise.inference.deciding import read_settings, typed_question
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Decision

TREES = ("the oak", "the elm", "not known")
ASKED = [
    Decision(text="An oak stood by an elm.", question="Which fell?", options=TREES),
    Decision(text="An oak stood by an elm.", question="Which fell?", options=TREES[1:] + TREES[:1]),
    Decision(text='<eos> An elm "fell".\n<|mark|>', question="Is it true?"),
    Decision(text="Wood", question="Is this statement true?"),
    Decision(text="Wood", question="Of what?", options=("oak", "elm", "fir", "yew")),
]


@pytest.fixture
def deciding(tmp_path: Path) -> LanguageModel:
    return eq.load(f"decision:{save_deciding(tmp_path / 'asked')}")


def piped(model: LanguageModel, folder: Path) -> list[list[float]]:
    """What transformers answers, a question at a time."""
    ask: Any = pipeline(
        "decision",
        model=model.module,
        tokenizer=copy.deepcopy(model.tokenizer),
        decision_config=str(folder),
    )
    answers = []
    for request in ASKED:
        body = {"state": request.text, "questions": typed_question(0, request)}
        (answer,) = ask(body).values()
        if request.options:
            answers.append([answer["probabilities"][option] for option in request.options])
        else:
            answers.append([answer["noul"], 1 - answer["noul"]])
    return answers


@pytest.mark.thorough
@pytest.mark.parametrize("form", FORMS)
def test_answers_are_those_of_the_pipeline(form: str, tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked", form)
    model = eq.load(f"decision:{folder}")
    before = len(model.tokenizer)
    together = model.decide(ASKED)
    expected = piped(model, folder)
    for answer, probabilities in zip(together, expected, strict=True):
        assert answer.probabilities == pytest.approx(probabilities, abs=1e-5)
        assert 0 < answer.label_mass < 1
    assert len({round(answer.probabilities[0], 4) for answer in together}) == len(ASKED)
    alone = [model.decide([request])[0] for request in ASKED]
    for first, second in zip(together, alone, strict=True):
        assert first.probabilities == pytest.approx(second.probabilities, abs=1e-5)
    assert len(model.tokenizer) == before  # the pipeline adds two tokens to the one it is given


@pytest.mark.thorough
def test_label_mass_is_what_the_labels_have_of_the_next_token(deciding: LanguageModel) -> None:
    (answer,) = deciding.decide(ASKED[:1])
    listed = "A. the oak\nB. the elm\nC. not known\n"
    closing = "Answer with the letter of the option that fits best (A to C) only."
    prompt = f"<bos>[user]An oak stood by an elm.\n\nWhich fell?\n{listed}{closing}[a]"
    ids = deciding.tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
    with torch.no_grad():
        next_token = deciding.module(ids).logits[0, -1].softmax(-1)
    masses = next_token[deciding.tokenizer.convert_tokens_to_ids(["A", "B", "C"])].double()
    assert answer.label_mass == pytest.approx(float(masses.sum()), abs=1e-6)
    assert answer.probabilities == pytest.approx((masses / masses.sum()).tolist(), abs=1e-6)
    assert math.fsum(answer.probabilities) == pytest.approx(1, abs=1e-12)


@pytest.mark.thorough
def test_what_is_recorded(deciding: LanguageModel, tmp_path: Path) -> None:
    info: Any = deciding.info
    assert deciding.identity.startswith("decision:asked@")
    assert info["kind"] == "decision"
    assert info["decision"]["config"]["labels"] == {"noul": ["Y", "N"]}
    assert info["decision"]["template"] == "chat template"
    other: Any = eq.load(f"decision:{save_deciding(tmp_path / 'other', 'false first')}").info
    assert other["decision"]["template"] == "decision_template.jinja"
    for key in ("config_sha256", "template_sha256"):
        assert other["decision"][key] != info["decision"][key]
    assert Path(deciding.load_name).name == "asked"  # what an edit of it can be put on again


@pytest.mark.thorough
def test_a_model_in_no_folder_has_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deciding: LanguageModel
) -> None:
    monkeypatch.chdir(save_deciding(tmp_path / "here", "false first"))
    settings: Any = read_settings(None, deciding.tokenizer)
    assert (settings["config"]["labels"], settings["template"]) == ({}, "chat template")


@pytest.mark.thorough
def test_another_decision_config_is_another_model(tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked")
    first = eq.load(f"decision:{folder}").identity
    (folder / "decision.json").write_text(json.dumps({"labels": {"noul": ["T", "F"]}}))
    assert eq.load(f"decision:{folder}").identity != first


def test_a_model_that_was_not_opened_for_it_is_told_how(tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked")
    with pytest.raises(ModelError, match="write decision: before its name"):
        eq.load(str(folder)).decide(ASKED)


def spoil(folder: Path, fault: str) -> None:
    """Make a folder unfit to be asked."""
    match fault:
        case "no template":
            (folder / "chat_template.jinja").unlink()
        case "adapter":
            (folder / "decision.json").write_text(json.dumps({"adapter": "lora"}))
        case "head":
            (folder / "judge_config.json").write_text("{}")
        case "not json":
            (folder / "decision.json").write_text("{")
        case "wrong order":
            (folder / "decision.json").write_text(json.dumps({"noul_options": ["yes", "no"]}))


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        ("no template", "decision_template.jinja"),
        ("adapter", "merge it"),
        ("head", "transformers serve"),
        ("not json", "correct them"),
        ("wrong order", "correct them"),
    ],
)
def test_what_cannot_be_asked_is_refused(fault: str, remedy: str, tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked")
    spoil(folder, fault)
    with pytest.raises(ModelError, match=remedy):
        eq.load(f"decision:{folder}")


@pytest.mark.thorough
def test_the_remedy_for_a_missing_chat_template(tmp_path: Path) -> None:
    """The plain-text form of the page, beside a model without a chat template."""
    page = Path(__file__).parents[2] / "docs" / "decision-models.md"
    template = page.read_text().split("```jinja\n")[1].split("```")[0]
    folder = save_deciding(tmp_path / "asked")
    (folder / "chat_template.jinja").unlink()
    (folder / "decision_template.jinja").write_text(template)
    (choice, *_, truth, _) = eq.load(f"decision:{folder}").decide(ASKED)
    assert (len(choice.probabilities), len(truth.probabilities)) == (3, 2)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Decision(text="a", question="b", options=("c", "c")), "must have options that differ"),
        (Decision(text="a", question="b", options=tuple(map(str, range(27)))), "26"),
        (Decision(text="long " * 300, question="b"), "must fit the context"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named(
    request_: Decision, named: str, deciding: LanguageModel
) -> None:
    with pytest.raises(ModelError, match=named) as caught:
        deciding.decide([ASKED[0], request_])
    assert "request 1" in str(caught.value)


@pytest.mark.thorough
def test_labels_of_several_tokens_are_refused(tmp_path: Path) -> None:
    folder = save_deciding(tmp_path / "asked")
    (folder / "decision.json").unlink()  # "Yes" has three bytes
    with pytest.raises(ModelError, match="not distinct single tokens"):
        eq.load(f"decision:{folder}").decide(ASKED[2:3])


@pytest.mark.thorough
def test_what_a_result_records_of_the_first_token_is_the_templates(deciding: LanguageModel) -> None:
    for model in (deciding, replace(deciding, start="none")):
        assert {model.info[key] for key in ("start_token", "start_token_id")} == {None}
        assert {model.info[key] for key in ("start", "prefix")} == {"none"}
        assert model.info["start_reason"] == "the template of decisions writes what stands first"
