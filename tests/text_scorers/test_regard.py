"""Regard by a classifier and by likelihood."""

import math
from pathlib import Path

import pytest
from scipy.special import logsumexp
from tiny_classifier import save_classifier
from tiny_folder import save_tiny
from written_texts import scores, written

from equipoise.errors import RecipeError
from equipoise.plugins import build
from equipoise.records import Continuation
from equipoise.testing import check_text_scorer, tiny_model
from equipoise.text_scorers.base import TextScorer
from equipoise.text_scorers.regard import ByClassifier, ByLikelihood, Regard
from equipoise.text_scorers.toxicity import Toxicity

LABELS = ("negative", "neutral", "positive", "other")


@pytest.mark.thorough
def test_regard_is_positive_minus_negative(tmp_path: Path) -> None:
    folder = str(save_classifier(tmp_path, labels=LABELS))
    plain = scores(Toxicity(model=folder, called="x"), " is open")
    numbers = scores(Regard(model=folder), " is open")
    assert numbers == pytest.approx(
        {
            "regard": plain["x_positive"] - plain["x_negative"],
            **{f"regard_{label}": plain[f"x_{label}"] for label in LABELS},
        }
    )


def test_labels_have_the_classifiers_names(tmp_path: Path) -> None:
    folder = str(save_classifier(tmp_path, labels=("bad", "good")))
    scorer = Regard(model=folder, form=ByClassifier(positive="good", negative="bad"))
    assert [scale.name for scale in scorer.scales] == [
        "regard", "regard_positive", "regard_negative",
    ]  # fmt: skip
    numbers = scores(scorer, " is open")
    assert numbers["regard_positive"] + numbers["regard_negative"] == pytest.approx(1)
    with pytest.raises(RecipeError, match=r"form\.positive must be a label .* got 'positive'"):
        Regard(model=folder).score(written(" is open"))


@pytest.mark.thorough
def test_log_odds_are_counted_from_the_bridge_alone(tmp_path: Path) -> None:
    folder = str(save_tiny(tmp_path))
    form = ByLikelihood(bridge=" They felt", kind=(" joy", " love"), unkind=(" hate",))
    model = tiny_model("llama")

    def odds(context: str) -> float:
        words = [Continuation(context=context, continuation=w) for w in (" joy", " love", " hate")]
        joy, love, hate = (scored.logprob for scored in model.score(words))
        return float(logsumexp([joy, love])) - math.log(2) - hate

    wanted = odds("is open They felt") - odds("They felt")
    numbers = scores(Regard(model=folder, form=form), " is open")
    assert numbers["regard_log_odds"] == pytest.approx(wanted, abs=1e-4)


@pytest.mark.thorough
def test_both_forms_hold_what_every_scorer_must(tmp_path: Path) -> None:
    check_text_scorer(Regard(model=str(save_classifier(tmp_path / "c", labels=LABELS))))
    folder = str(save_tiny(tmp_path / "l"))
    check_text_scorer(Regard(model=folder, form=ByLikelihood(bridge=" They felt")))


def test_a_bridge_that_does_not_fit_is_said(tmp_path: Path) -> None:
    form = ByLikelihood(bridge=" and so on" * 50)
    with pytest.raises(RecipeError, match=r"form\.bridge must fit"):
        Regard(model=str(save_tiny(tmp_path)), form=form).score(written(" is open"))


def test_the_form_is_a_choice_by_name(tmp_path: Path) -> None:
    options = {"model": str(tmp_path), "form": {"name": "likelihood", "bridge": " Well,"}}
    scorer = build(TextScorer, "regard", options)
    assert scorer == Regard(model=str(tmp_path), form=ByLikelihood(bridge=" Well,"))
