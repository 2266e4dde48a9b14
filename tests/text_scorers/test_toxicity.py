"""Toxicity by a classifier: transformers' own numbers, whoever is asked beside whom."""

import json
import math
from pathlib import Path

import pytest
import torch
from tiny_classifier import save_classifier
from tiny_folder import save_tiny
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from written_texts import column, scores, written

from equipoise.errors import ModelError, RecipeError
from equipoise.plugins import build
from equipoise.testing import check_text_scorer
from equipoise.text_scorers.base import TextScorer
from equipoise.text_scorers.toxicity import Toxicity

TEXTS = (" a door", " is open and painted green", "!", " the lamp", " he said so, and she did too")
SIX = ("toxic", "severe toxic", "obscene", "threat", "insult", "identity hate")


def alone(folder: Path, text: str) -> torch.Tensor:
    """Logits of a text by itself, as transformers' documentation has it."""
    module = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits: torch.Tensor = module(**tokenizer(text, return_tensors="pt")).logits[0]
    return logits


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama"])
def test_numbers_are_those_of_each_text_by_itself(family: str, tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, family=family)
    rated = column(Toxicity(model=str(folder), labels=("toxic",)), TEXTS, "toxicity_toxic")
    wanted = [alone(folder, text).softmax(-1)[0].item() for text in TEXTS]
    assert rated == pytest.approx(wanted, abs=1e-5)
    assert len(set(rated)) == len(TEXTS)


@pytest.mark.thorough
def test_several_labels_are_rated_each_by_itself(tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, labels=SIX, problem_type="multi_label_classification")
    scorer = Toxicity(model=str(folder), called="six")
    assert [scale.name for scale in scorer.scales] == [
        "six_toxic", "six_severe_toxic", "six_obscene", "six_threat", "six_insult",
        "six_identity_hate",
    ]  # fmt: skip
    numbers = scores(scorer, TEXTS[0])
    assert [*numbers.values()] == pytest.approx(
        alone(folder, TEXTS[0]).sigmoid().tolist(), abs=1e-5
    )
    chosen = Toxicity(model=str(folder), labels=("threat",), activation="softmax")
    assert scores(chosen, TEXTS[0])["toxicity_threat"] == pytest.approx(
        alone(folder, TEXTS[0]).softmax(-1)[3].item(), abs=1e-5
    )


def test_only_a_named_label_is_harmful(tmp_path: Path) -> None:
    folder = str(save_classifier(tmp_path))
    limits = [scale.harmful_from for scale in Toxicity(model=folder).scales]
    assert limits == [None, None]
    (toxic,) = Toxicity(model=folder, labels=("toxic",)).scales
    assert toxic.harmful_from == 0.5


@pytest.mark.thorough
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_it_holds_what_every_scorer_must(family: str, tmp_path: Path) -> None:
    folder = save_classifier(tmp_path, family=family)
    check_text_scorer(Toxicity(model=str(folder), long_texts="cut"))
    check_text_scorer(Toxicity(model=str(folder)))


@pytest.mark.thorough
def test_a_text_that_is_too_long_has_no_number_unless_it_is_cut(tmp_path: Path) -> None:
    folder = str(save_classifier(tmp_path))
    long = " a door" * 60
    assert math.isnan(scores(Toxicity(model=folder), long)["toxicity_toxic"])
    cut = Toxicity(model=folder, long_texts="cut")
    # what is cut off settles nothing: of 128 tokens two are special, and a token is a byte
    same = scores(cut, long[:126] + " and the rest")
    assert scores(cut, long) == pytest.approx(same, abs=1e-6)
    inputs = AutoTokenizer.from_pretrained(folder)(long, truncation=True, return_tensors="pt")
    module = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        wanted = module(**inputs).logits.softmax(-1)[0, 0].item()
    assert scores(cut, long)["toxicity_toxic"] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.thorough
def test_a_word_without_an_end_is_cut(tmp_path: Path) -> None:
    cut = Toxicity(model=str(save_classifier(tmp_path)), long_texts="cut")
    assert scores(cut, "a" * 2**17)["toxicity_toxic"] == pytest.approx(
        scores(cut, "a" * 126)["toxicity_toxic"], abs=1e-6
    )


def test_what_it_was_is_recorded(tmp_path: Path) -> None:
    scorer = Toxicity(model=str(save_classifier(tmp_path)))
    about = scorer.info()["classifier"]
    assert (about["labels"], about["activation"]) == (["toxic", "neutral"], "softmax")
    assert about["fingerprint"] == scorer.files()["classifier"]


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    scorer = Toxicity(model=str(save_classifier(tmp_path, pickled=True)))
    with pytest.raises(ModelError, match=r"must have safetensors weights, got pytorch_model\.bin"):
        scorer.score(written(*TEXTS))


@pytest.mark.thorough
def test_a_label_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    scorer = Toxicity(model=str(save_classifier(tmp_path)), labels=("toxicc",))
    with pytest.raises(RecipeError, match=r"got 'toxicc'; did you mean 'toxic'\?"):
        scorer.score(written(*TEXTS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"problem_type": "regression"}, "must say whether its labels exclude each other"),
        ({"architectures": ["BertForMaskedLM"]}, "must be a classifier of whole texts"),
        ({"auto_map": {"AutoModel": "mine.Mine"}}, "must need no code of its own"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    settings: dict[str, object], message: str, tmp_path: Path
) -> None:
    config = save_classifier(tmp_path) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    with pytest.raises(ModelError, match=message):
        Toxicity(model=str(tmp_path)).score(written(*TEXTS))


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    save_tiny(tmp_path / "llm")
    with pytest.raises(ModelError, match="must be a classifier of whole texts"):
        Toxicity(model=str(tmp_path / "llm")).score(written(*TEXTS))
    with pytest.raises(ModelError, match="must exist"):
        Toxicity(model=str(tmp_path / "nothing")).files()
    for name in ("owner/name", "owner/name@main", "name"):
        with pytest.raises(ModelError, match=r"must be pinned by its commit.*@COMMIT"):
            Toxicity(model=name).files()
    with pytest.raises(ModelError, match=r"in the Hub's local cache or on the Hub"):
        Toxicity(model="owner/name@0123abc").files()


@pytest.mark.thorough
def test_a_head_that_is_not_there_is_refused(tmp_path: Path) -> None:
    save_classifier(tmp_path)
    bare = AutoModelForSequenceClassification.from_pretrained(tmp_path).base_model
    bare.save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    document = json.loads(config.read_text()) | {"architectures": ["BertForSequenceClassification"]}
    config.write_text(json.dumps(document))
    with pytest.raises(ModelError, match=r"it lacks .* which would be random"):
        Toxicity(model=str(tmp_path)).score(written(*TEXTS))


def test_a_relative_folder_is_meant_wherever_the_option_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_classifier(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    scorer = build(TextScorer, "toxicity", {"model": "mine"})
    assert scorer.model == str(tmp_path / "mine")  # type: ignore[attr-defined]
