"""An option that cannot act, where the others stand as they do, is refused."""

from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.errors import RecipeError
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import build

IDLE: list[tuple[Any, str, dict[str, Any], dict[str, Any]]] = [
    (Mitigation, "lftf", {"objective": "ce_both"}, {"mass_weight": 5.0}),
    (Mitigation, "full_finetune", {"objective": "ce_both"}, {"mass_weight": 5.0}),
    (Mitigation, "dpo", {"loss": "margin"}, {"beta": 0.5}),
    (Mitigation, "cda", {"source": "texts"}, {"over": "span"}),
    (Mitigation, "cda", {"source": "contrasts"}, {"axes": ["gender"]}),
    (Mitigation, "cda", {"source": "contrasts"}, {"lists": "words.json"}),
    (Benchmark, "bbq", {"score": "letters"}, {"reduce": "sum"}),
    (Benchmark, "bbq", {"score": "letters"}, {"max_tokens": 8}),
    (Benchmark, "bbq", {"score": "likelihood"}, {"max_tokens": 8}),
    (Benchmark, "bbq", {"score": "generation"}, {"reduce": "sum"}),
    (Benchmark, "stereoset", {"task": "intrasentence"}, {"intersentence": "pmi"}),
    (Benchmark, "stereoset", {"task": "intersentence"}, {"score": "span"}),
    (Benchmark, "stereoset", {"world": "default"}, {"intersentence": "pmi"}),
    (Benchmark, "stereoset", {"world": "default"}, {"dev_per_type": 7}),
    (Benchmark, "stereoset", {"world": "default"}, {"supply_seed": 1}),
    (Benchmark, "stereoset", {"world": "default"}, {"corpus": "news.txt"}),
]


@pytest.mark.parametrize(("kind", "name", "others", "idle"), IDLE)
def test_it_is_refused_with_its_name_and_the_reason(
    kind: Any, name: str, others: dict[str, Any], idle: dict[str, Any]
) -> None:
    (option,), (where,) = idle, others
    build(kind, name, others)
    with pytest.raises(RecipeError, match=f"{option} does nothing with {where} '{others[where]}'"):
        build(kind, name, others | idle)


def test_a_weight_of_0_leaves_nothing_for_others_to_do() -> None:
    with pytest.raises(RecipeError, match="kl_on does nothing with kl_weight 0, got 'neutral'"):
        build(Mitigation, "parity", {"kl_weight": 0.0, "kl_on": "neutral"})
    with pytest.raises(RecipeError, match="kl_batch does nothing with kl_weight 0, got 5"):
        build(Mitigation, "parity", {"kl_weight": 0.0, "kl_batch": 5})


def test_how_to_cut_a_corpus_needs_one() -> None:
    for idle in ({"corpus_texts": 5}, {"corpus_characters": 80}):
        with pytest.raises(RecipeError, match=r"corpus_.* does nothing with no corpus, got "):
            build(Benchmark, "stereoset", dict(idle))
        build(Benchmark, "stereoset", {**idle, "corpus": "news.txt"})


def test_its_default_may_be_spelt_out() -> None:
    build(Mitigation, "dpo", {"loss": "margin", "beta": 0.1})
    build(Benchmark, "bbq", {"score": "letters", "reduce": "mean", "max_tokens": 24})


@pytest.mark.parametrize(
    ("others", "idle", "where"),
    [
        ({"weights": [0.5, 0.5, 0.0]}, {"kl": "reverse"}, "no KL"),
        ({"weights": [0.5, 0.5, 0.0]}, {"kl_on": "neutral"}, "no KL"),
        ({"kl_batch": 0}, {"kl_places": "span"}, "no KL"),
        ({"weights": [0.5, 0.5, 0.0]}, {"kl_batch": 3}, "the weight 0"),
        ({"weights": [0.0, 0.5, 0.5]}, {"beta": 0.5}, "nothing to forget"),
        ({"weights": [0.0, 0.5, 0.5]}, {"reduction": "batch_mean"}, "nothing to forget"),
        ({"weights": [0.0, 0.5, 0.5]}, {"adversarial": 0.5}, "nothing to forget"),
        ({"weights": [0.0, 0.5, 0.5]}, {"forget_batch": 2}, "the weight 0"),
        ({"weights": [0.5, 0.0, 0.5]}, {"retain_by_token": True}, "nothing to retain"),
        ({"retain_batch": 0}, {"retain_by_token": True}, "nothing to retain"),
        ({"weights": [0.5, 0.0, 0.5]}, {"retain_batch": 2}, "the weight 0"),
        ({"adversarial": 0.0}, {"adversarial_from": "head"}, "adversarial 0"),
        ({"controller": "paper"}, {"band": 3.0}, "controller 'paper'"),
        ({"controller": "none"}, {"judge": "ss"}, "controller 'none'"),
        ({"reference_mode": True}, {"judge": "ss"}, "controller 'reference'"),
    ],
)
def test_what_unlearning_leaves_out_needs_no_options(
    others: dict[str, Any], idle: dict[str, Any], where: str
) -> None:
    (option,) = idle
    build(Mitigation, "bias_unlearn", others)
    build(Mitigation, "bias_unlearn", idle)
    with pytest.raises(RecipeError, match=f"{option} does nothing with {where}, got"):
        build(Mitigation, "bias_unlearn", others | idle)


def test_a_batch_of_none_may_stand_beside_its_weight_of_0() -> None:
    build(Mitigation, "bias_unlearn", {"weights": [0.5, 0.5, 0.0], "kl_batch": 0})
    build(Mitigation, "bias_unlearn", {"weights": [0.5, 0.0, 0.5], "retain_batch": 0})
