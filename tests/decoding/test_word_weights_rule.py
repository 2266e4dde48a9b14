"""Word weights: by how much a word's probability moves, where it begins, and what is saved."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plain_scoring import next_distributions
from toy_tokenizers import KINDS, toy_model

from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.edit import EditInfo
from equipoise.edits.registry import load_edit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Continuation, Generation

RULE = WordWeights(weights=(("nurse", 1.0), ("tall", -0.5)), strength=0.8)
CONTEXT = "The man saw the"


def double(model: LanguageModel) -> LanguageModel:
    """In float64, so that only mistakes differ."""
    return replace(model, module=model.module.double())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("word", "weight"), [("nurse", 1.0), ("Nurse", 1.0), ("tall", -0.5)])
def test_a_word_is_lowered_at_the_token_that_completes_it(
    kind: str, word: str, weight: float
) -> None:
    if kind == "bytes" or word != "Nurse":  # the other two have no N
        plain = double(toy_model(kind))
        weighted = replace(plain, decoding_rule=RULE)
        (before, after) = (
            model.score([Continuation(context=CONTEXT, continuation=f" {word}")])[0]
            for model in (plain, weighted)
        )
        moved = [b - a for b, a in zip(before.token_logprobs, after.token_logprobs, strict=True)]
        p = math.exp(before.token_logprobs[-1])
        lowered = 0.8 * weight
        if len(moved) > 1:  # where no other word of the table may end, the rest is as it was
            assert moved[-2] == pytest.approx(0.0, abs=1e-5)
            normalizer = math.log(1 - p + p * math.exp(-lowered))
            assert moved[-1] == pytest.approx(lowered + normalizer, abs=1e-5)
        else:
            assert math.copysign(1.0, moved[-1]) == math.copysign(1.0, weight)


def test_words_of_a_single_token_move_by_the_weights_relative_to_all_others() -> None:
    plain = double(toy_model("words"))
    weighted = replace(plain, decoding_rule=RULE)
    before, after = (next_distributions(model, [CONTEXT])[0] for model in (plain, weighted))
    vocabulary = plain.tokenizer.get_vocab()
    moved = before - after
    others = [moved[id] for word, id in vocabulary.items() if word not in ("nurse", "tall")]
    assert torch.allclose(torch.stack(others), others[0].expand(len(others)), atol=1e-5)
    for word, weight in RULE.weights:
        assert float(moved[vocabulary[word]] - others[0]) == pytest.approx(0.8 * weight, abs=1e-5)


def test_a_longer_word_of_the_table_is_lowered_by_its_own_weight() -> None:
    rule = WordWeights(weights=(("he", 1.0), ("her", 0.25)))
    plain = double(toy_model("bytes"))
    weighted = replace(plain, decoding_rule=rule)
    tokens = [
        model.score([Continuation(context="So", continuation=" her")])[0].token_logprobs
        for model in (plain, weighted)
    ]
    # less what the two normalizers give back
    given = sum(
        math.log(1 - math.exp(p) + math.exp(p - weight))
        for p, weight in zip(tokens[0][-2:], (1.0, 0.25 - 1.0), strict=True)
    )
    assert sum(tokens[0]) - sum(tokens[1]) == pytest.approx(0.25 + given, abs=1e-5)


@pytest.mark.thorough
def test_inside_of_a_word_nothing_is_lowered() -> None:
    plain = double(toy_model("bytes"))
    weighted = replace(plain, decoding_rule=RULE)
    for text in ("installs", "A wetnurse"):  # they hold "tall" and "nurse"
        (before, after) = (
            model.score([Continuation(context="", continuation=text)])[0]
            for model in (plain, weighted)
        )
        assert after.token_logprobs == pytest.approx(before.token_logprobs, abs=1e-5)


@pytest.mark.thorough
def test_what_is_raised_is_written() -> None:
    weighted = replace(toy_model("words"), decoding_rule=replace(RULE, strength=-50.0))
    texts = weighted.generate([Generation(context=CONTEXT, max_tokens=2)] * 2, seed=0)
    assert [text.split() for text in texts] == [["nurse", "nurse"]] * 2


def test_a_rule_without_strength_changes_no_bit() -> None:
    plain = toy_model("words")
    for rule in (replace(RULE, strength=0.0), WordWeights(weights=(("nurse", 0.0),))):
        neutral = replace(plain, decoding_rule=rule)
        asked = [Continuation(context=CONTEXT, continuation=" nurse")]
        assert neutral.score(asked) == plain.score(asked)


def test_it_is_saved_and_its_settings_are_checked(tmp_path: Path) -> None:
    info = EditInfo(
        method="by hand", version="1", options={}, seed=0, base="tiny", base_fingerprint="",
        trained_on=frozenset(), origin="",
    )  # fmt: skip
    NextTokenEdit(info=info, decoding_rule=RULE).save(tmp_path / "edit")
    edit = load_edit(tmp_path / "edit")
    assert isinstance(edit, NextTokenEdit)
    assert edit.decoding_rule == RULE
    assert (RULE.record["words"], RULE.record["strength"]) == (2, 0.8)
    with pytest.raises(ModelError, match=r"numbers by word, and a strength, got \['weights'\]"):
        WordWeights.from_settings({"weights": "nurse"})
