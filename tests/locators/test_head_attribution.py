"""head_attribution: the planted head, the paper's flaw, what counts, and what is refused."""

import dataclasses
import math

import pytest
import torch
from planted_heads import (
    ANSWER,
    OTHER,
    TOKEN,
    index_of,
    order,
    planted_model,
    questions,
)
from tokenizers import AddedToken

from equipoise.errors import DataError, ModelError, RecipeError
from equipoise.fakes import tiny_model
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.locate.head_attribution import HeadAttribution
from equipoise.plugins import build
from equipoise.records import Prompt

FEW = {"draws": 200, "permutations": 400}


def locator(**options: object) -> HeadAttribution:
    return HeadAttribution(**{"countries": (OTHER,), **FEW, **options})  # type: ignore[arg-type]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3))
def test_the_contrast_ranks_the_planted_head_first_and_the_papers_score_the_decoy(
    seed: int,
) -> None:
    """methods-biasgym 5.2: a head that reads what is in every input favors the answer, too."""
    plant = planted_model(seed)
    ranking = locator(target=TOKEN).locate(plant.model, questions(), seed=0)
    (planted,) = plant.planted
    assert ranking.order[0] == planted
    assert ranking.chosen == (planted,)
    assert ranking.p[planted] < 0.01
    assert ranking.share[planted] > 0.7
    assert order(ranking.more["paper"])[:2] == [plant.decoy, planted]
    assert ranking.facts["completeness"] < 1e-5
    assert ranking.labels[planted] == "3.5"
    assert ranking.kind == "head"
    literal = locator(target=TOKEN, score="paper", norm="none")
    flawed = literal.locate(plant.model, questions(), seed=0)
    assert flawed.order[0] == plant.decoy
    assert any("whatever is asked" in note for note in flawed.notes)


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3))
def test_a_head_that_works_through_another_is_not_seen(seed: int) -> None:
    plant = planted_model(seed, indirect=True)
    reader, writer = plant.planted
    ranking = locator(target=TOKEN).locate(plant.model, questions(), seed=0)
    assert ranking.order[0] == writer
    assert reader not in ranking.order[:4]
    assert reader not in (ranking.chosen or ())


@pytest.mark.thorough
def test_shares_facts_and_intervals_belong_together() -> None:
    plant = planted_model(0)
    ranking = locator(target=TOKEN).locate(plant.model, questions(), seed=0)
    total = sum(ranking.scores)
    assert ranking.facts["heads_share"] == pytest.approx(total / ranking.facts["whole"])
    assert sum(ranking.share) == pytest.approx(ranking.facts["heads_share"])
    assert ranking.more["contrast"] == pytest.approx(ranking.scores)
    for low, score, high in zip(ranking.low, ranking.scores, ranking.high, strict=True):
        assert low <= score <= high
    counted = ranking.facts["questions"] + sum(
        value for name, value in ranking.facts.items() if name.startswith("dropped_")
    )
    assert any("p is given that choice, keep=all makes none" in note for note in ranking.notes)
    # the null is over questions, as there is a single target; the result says so itself
    assert any("p is over questions about these names" in note for note in ranking.notes)
    assert counted == 100 > ranking.facts["dropped_same_token"] > 0


@pytest.mark.thorough
def test_the_only_added_token_is_the_target() -> None:
    plant = planted_model(0)
    record = {"method": "bias_token", "options": {"token": TOKEN}}
    edited = dataclasses.replace(plant.model, source={"edits": [record]})
    named = locator(target=TOKEN).locate(plant.model, questions(20), seed=0)
    assert locator().locate(edited, questions(20), seed=0).scores == named.scores
    # two tokens were added to this tokenizer, and no edit says which is meant
    with pytest.raises(
        RecipeError, match=r"'<injected>', '<other>'\]; name the token or a country"
    ):
        locator().locate(plant.model, questions(20), seed=0)
    with pytest.raises(RecipeError, match=r"it has \[\]"):
        locator().locate(tiny_model(), questions(20), seed=0)


@pytest.mark.thorough
def test_questions_without_preference_are_dropped_for_a_token_and_kept_for_a_country() -> None:
    model = with_token(tiny_model("llama", seed=3))
    asked = [
        Prompt(id=str(k), text=f"Is {{target}} late at {k}?", groups={"answer": ANSWER})
        for k in range(12)
    ]
    country = locator(target="Peru", countries=("Chile", "France"))
    ranking = country.locate(model, asked, seed=0)
    assert ranking.facts["dropped_not_preferred"] == 0
    strict = dataclasses.replace(country, keep="preferring")
    with pytest.raises(ModelError, match=r"none of 12 is left .*12 not preferred\); ask other"):
        strict.locate(model, asked, seed=0)
    with pytest.raises(ModelError, match=r"or keep=all$"):
        locator(target=TOKEN, countries=("Chile",)).locate(model, asked, seed=0)
    # the remedy
    kept = locator(target=TOKEN, countries=("Chile",), keep="all").locate(model, asked, seed=0)
    assert kept.facts["questions"] == 12


def with_token(model: LanguageModel) -> LanguageModel:
    model.tokenizer.add_tokens([AddedToken(TOKEN, normalized=False)])
    module = model.module
    module.resize_token_embeddings(len(model.tokenizer), mean_resizing=False)
    return model


@pytest.mark.thorough
def test_answers_that_begin_alike_are_dropped_and_none_left_is_an_error() -> None:
    """A model that answers everybody with the biased answer."""
    model = tiny_model("gpt_neox")
    with torch.no_grad():
        norm, head = model.module.gpt_neox.final_layer_norm, model.module.lm_head
        norm.weight.zero_()
        norm.bias.fill_(1.0)
        head.weight.zero_()
        head.weight[model.tokenizer.get_vocab()["Ġ"]] = 1.0
    with pytest.raises(ModelError, match=r"none of 3 is left \(0 merged, 3 same token, 0 not"):
        locator(target="Peru", countries=("Chile",)).locate(model, questions(3), seed=0)


@pytest.mark.parametrize(
    ("text", "groups"), [("Are they late?", {"answer": "late"}), ("Is {target} late?", {})]
)
def test_a_question_without_target_or_answer_is_refused(text: str, groups: dict[str, str]) -> None:
    asked = [Prompt(id="q", text=text, groups=groups)]
    with pytest.raises(DataError, match="question 'q' is"):
        locator(target="Peru", countries=("Chile",)).locate(tiny_model(), asked, seed=0)


def test_no_questions_and_no_other_country_are_refused() -> None:
    with pytest.raises(RecipeError, match="got 0; give it a supply"):
        locator(target="Peru").locate(tiny_model(), [], seed=0)
    asked = questions(3)
    with pytest.raises(RecipeError, match="another than 'Peru' for contrast"):
        locator(target="Peru", countries=("peru",)).locate(tiny_model(), asked, seed=0)


@pytest.mark.thorough
def test_the_seed_draws_the_other_country_and_repeats() -> None:
    model = tiny_model("llama", seed=1)
    asked = questions(10)
    drawn = locator(target="Peru", countries=("Chile", "France", "Kenya"))
    first = drawn.locate(model, asked, seed=0)
    assert drawn.locate(model, asked, seed=0).scores == first.scores
    assert drawn.locate(model, asked, seed=1).scores != first.scores
    # of two the one that is not the nearest is the third
    nearest = locator(target="Peru", countries=("Chile", "France"), contrast_country="nearest")
    ranking = nearest.locate(model, asked, seed=0)
    assert nearest.locate(model, asked, seed=1).scores == ranking.scores
    assert "against" in ranking.notes[0]
    assert "drawn by the seed" not in ranking.notes[0]


@pytest.mark.thorough
def test_without_an_effect_nothing_is_chosen_and_it_is_said() -> None:
    model = tiny_model("llama", seed=1)
    with torch.no_grad():  # nothing of other positions reaches the last
        for layer in model.module.model.layers:
            layer.self_attn.o_proj.weight.zero_()
    ranking = locator(target="Peru", countries=("Chile",)).locate(model, questions(8), seed=0)
    assert ranking.chosen == ()
    assert set(ranking.scores) == {0.0}
    assert all(map(math.isnan, ranking.share))
    assert sum("no head" in note for note in ranking.notes) == 2


def test_it_is_found_by_name_with_its_options() -> None:
    built = build(Locator, "head_attribution", {"target": "Peru", "score": "paper"})
    assert isinstance(built, HeadAttribution)
    assert (built.reads, built.taught_by) == ("questions", "association")
    assert index_of((1, 2)) == 10
