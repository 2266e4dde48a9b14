"""CDA: anti-stereotypes, or plain texts with swapped words beside their originals."""

from dataclasses import replace
from typing import Any

import pytest
from contrast_items import SUPPLY, held_out_margins, model, quick, same, small, weights

from equipoise.contrast_training.tokenized import tokenize_texts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.group_words.word_lists import word_lists_use
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.cda import Cda, ContrastSource, TextSource
from equipoise.plugins import build
from equipoise.records import Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_model

TEXTS = Supply(
    origin="by hand",
    texts=("He is a king.", "Tea is hot.", "The woman is here.", "Her father left."),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


BARE = replace(SUPPLY, dev_contrasts=())  # nothing is evaluated


def fitted(supply: Supply = BARE, *, seed: int = 0, **options: Any) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "batch_size": 4, **options}
    of = small() if chosen["steps"] == 2 else model()  # where it does not matter what is learnt
    return Cda(**chosen).fit(of, supply, seed=seed)


def learnt(edit: AdapterEdit, *texts: str) -> list[bool]:
    return [text_sha256(text) in edit.info.trained_on for text in texts]


@pytest.mark.thorough
def test_antistereotypes_alone_push_every_type_down() -> None:
    was = weights(model())
    after = held_out_margins(fitted(steps=6, rank=8, batch_size=12, learning_rate=6e-3))
    for axis, margin in held_out_margins(None).items():
        assert after[axis] < margin - 0.05
    assert weights(model()) == was


@pytest.mark.thorough
def test_with_originals_there_are_twice_as_many_texts() -> None:
    plain, both = fitted(), fitted(source=ContrastSource(keep_originals=True))
    assert (plain.info.report["texts"], both.info.report["texts"]) == (12, 24)
    assert not same(plain.tensors, both.tensors)


@pytest.mark.thorough
def test_plain_texts_are_swapped_and_kept_beside() -> None:
    edit = fitted(TEXTS, source=TextSource())
    assert edit.info.report["texts"] == 6
    assert learnt(edit, "He is a king.", "She is a queen.") == [True, True]
    assert learnt(edit, "The woman is here.", "The man is here.") == [True, True]
    assert learnt(edit, "Her father left.", "His mother left.") == [True, True]
    assert learnt(edit, "Tea is hot.") == [False]
    assert [file.name for file in edit.info.files] == [word_lists_use(None).name]


@pytest.mark.thorough
def test_held_out_contrasts_are_evaluated_and_decide_nothing() -> None:
    texts = replace(TEXTS, dev_contrasts=SUPPLY.dev_contrasts)
    edit, plain = (
        fitted(supply, source=TextSource(), evaluate_every=1) for supply in (texts, TEXTS)
    )
    assert len(edit.info.report["evaluations"]) == 3  # type: ignore[arg-type]
    assert same(edit.tensors, plain.tensors)


@pytest.mark.thorough
def test_documents_of_learnt_passages_are_recorded() -> None:
    whole = text_sha256("He is a king. Tea is hot.")
    supply = replace(TEXTS, documents=(whole,))
    assert whole in fitted(supply, source=TextSource()).info.trained_on
    both = replace(supply, contrasts=SUPPLY.contrasts, dev_contrasts=())
    assert whole not in fitted(both).info.trained_on


@pytest.mark.thorough
@pytest.mark.parametrize("source", [ContrastSource(), TextSource()])
def test_a_model_with_an_adapter_is_refused(source: Any) -> None:
    edit = fitted()
    supply = replace(TEXTS, contrasts=SUPPLY.contrasts)
    with (
        edit.attached(small()) as edited,
        pytest.raises(ModelError, match="must have no adapter"),
    ):
        Cda(source=source, steps=1).fit(edited, supply, seed=0)


@pytest.mark.thorough
def test_text_is_learnt_with_its_counterfactual_or_not_at_all() -> None:
    """One of the two is a token longer."""
    sizes = [
        len(coded_text.ids)
        for coded_text in tokenize_texts(
            model(), ["The man is here.", "The woman is here."], longest=99
        )
    ]
    assert sizes[0] != sizes[1]
    supply = replace(TEXTS, texts=("The man is here.", "He ran."))
    edit = fitted(supply, source=TextSource(), longest=min(sizes))
    assert learnt(edit, "The woman is here.", "The man is here.") == [False, False]
    assert learnt(edit, "He ran.", "She ran.") == [True, True]
    assert edit.info.report["texts"] == 2


@pytest.mark.thorough
def test_held_out_text_is_not_learnt_as_a_counterfactual() -> None:
    texts = (*(f"He is open, door {index}." for index in range(9)), "She is open, door 8.", "Tea.")
    edit = fitted(replace(SUPPLY, texts=texts), source=TextSource(), keep_perplexity=1e9)
    assert edit.info.report["held_out_texts"] == 2
    assert learnt(edit, "He is open, door 7.", "She is open, door 7.") == [True, True]
    assert learnt(edit, "He is open, door 8.", "She is open, door 8.") == [False, True]
    assert edit.info.report["texts"] == 16


@pytest.mark.thorough
def test_swapped_texts_alone() -> None:
    edit = fitted(TEXTS, source=TextSource(keep_originals=False))
    assert edit.info.report["texts"] == 3
    assert learnt(edit, "He is a king.", "She is a queen.") == [False, True]


@pytest.mark.thorough
def test_options_and_seed_determine_every_byte() -> None:
    first = fitted()
    assert same(first.tensors, fitted().tensors)
    changes: list[dict[str, Any]] = [
        {"seed": 1},
        {"source": ContrastSource(over="span")},
        {"batch_size": 5},
    ]
    for changed in changes:
        assert not same(first.tensors, fitted(**changed).tensors)
    with pytest.raises(RecipeError, match="wikipedia"):
        build(Mitigation, "cda", {"source": "wikipedia"})


@pytest.mark.parametrize(
    ("supply", "options", "error"),
    [
        (TEXTS, {}, "must have contrasts of at most 100 tokens, got 0"),
        (SUPPLY, {"source": TextSource()}, "with a word of .'gender', 'race', 'religion'., got 5"),
        (replace(TEXTS, texts=()), {"source": TextSource()}, "got 0 without any from 'by hand'"),
        (TEXTS, {"source": TextSource(axes=("religion",))}, "with a word of .'religion'."),
        (TEXTS, {"source": TextSource(), "longest": 5}, "of at most 5 tokens, got 3 longer ones"),
    ],
    ids=str,
)
def test_requirements(supply: Supply, options: dict[str, Any], error: str) -> None:
    with pytest.raises(RecipeError, match=error):
        fitted(supply, **options)


def test_a_masked_model_is_refused_for_either_source() -> None:
    for supply, method in ((SUPPLY, Cda()), (TEXTS, Cda(source=TextSource()))):
        with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
            method.fit(tiny_model("bert"), supply, seed=0)
