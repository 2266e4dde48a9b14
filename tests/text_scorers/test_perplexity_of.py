"""Perplexity under an independent model: the model's own log-probabilities."""

import math
from pathlib import Path

import pytest
from tiny_folder import save_tiny
from written_texts import scores, written

from equipoise.errors import ModelError
from equipoise.records import Continuation
from equipoise.testing import check_text_scorer, tiny_model
from equipoise.text_scorers.base import WrittenText
from equipoise.text_scorers.perplexity_of import PerplexityOf


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(save_tiny(tmp_path / "llm"))


@pytest.mark.thorough
def test_nats_are_those_of_the_text_after_its_prompt(folder: str) -> None:
    request = Continuation(context="The door", continuation=" is open")
    (wanted,) = tiny_model("llama").score([request])
    scorer = PerplexityOf(model=folder, called="judge")
    assert scores(scorer, " is open")["judge_nats"] == pytest.approx(-wanted.mean, rel=1e-5)
    other = scorer.score([WrittenText(prompt="The lamp", text=" is open")])
    assert other[0]["judge_nats"] != pytest.approx(-wanted.mean, rel=1e-5)


@pytest.mark.thorough
def test_it_holds_what_every_scorer_must(folder: str) -> None:
    check_text_scorer(PerplexityOf(model=folder))


@pytest.mark.parametrize("text", ["", " ", "a" * 2000])
def test_a_text_that_cannot_be_scored_has_none(folder: str, text: str) -> None:
    long, short = PerplexityOf(model=folder).score(written(text, " is open"))
    assert math.isnan(long["perplexity_nats"])
    assert short["perplexity_nats"] > 0


def test_what_it_was_is_recorded(folder: str) -> None:
    scorer = PerplexityOf(model=folder)
    info = scorer.info()
    assert info["fingerprint"] == scorer.files()["model 0"]
    assert info["model"] == f"llm@{str(info['fingerprint'])[:8]}"


def test_a_model_that_writes_nothing_is_refused(tmp_path: Path) -> None:
    model = tiny_model("bert")
    model.module.save_pretrained(tmp_path)
    model.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"must be causal, .* is masked"):
        PerplexityOf(model=str(tmp_path)).info()
