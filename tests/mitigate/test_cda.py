"""CDA: anti-stereotypes, or plain texts with swapped words beside their originals."""

from dataclasses import replace

import pytest
from contrast_items import SUPPLY, model, quick, same, standings, weights
from pydantic import ValidationError

from equipoise.contrast_training.tokenized import tokenize_contrasts, tokenize_texts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import ModelError, RecipeError
from equipoise.group_words.word_lists import word_lists_use
from equipoise.mitigate.cda import Cda
from equipoise.records import Supply, text_sha256
from equipoise.testing import tiny_model

TEXTS = Supply(
    origin="by hand",
    texts=("He is a king.", "Tea is hot.", "The woman is here.", "Her father left."),
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    quick(monkeypatch)


def fitted(supply: Supply = SUPPLY, *, seed: int = 0, **options: object) -> AdapterEdit:
    chosen = {"steps": 2, "rank": 2, "batch_size": 4, **options}
    return Cda(**chosen).fit(model(), supply, seed=seed)  # type: ignore[arg-type]


def margins(edit: AdapterEdit | None) -> dict[str, float]:
    items = tokenize_contrasts(model(), SUPPLY.dev_contrasts, longest=60)
    if edit is None:
        found = standings(model(), items)
    else:
        with edit.attached(model()) as edited:
            found = standings(edited, items)
    return {axis: one.margin.value for axis, one in found.items()}


def learnt(edit: AdapterEdit, *texts: str) -> list[bool]:
    return [text_sha256(text) in edit.info.trained_on for text in texts]


def test_antistereotypes_alone_push_every_type_down() -> None:
    was = weights(model())
    after = margins(fitted(steps=12, rank=8, batch_size=12, learning_rate=3e-3))
    for axis, one in margins(None).items():
        assert after[axis] < one - 0.05
    assert weights(model()) == was


def test_with_originals_there_are_twice_as_many_texts() -> None:
    plain, both = fitted(), fitted(keep_originals=True)
    assert (plain.info.report["texts"], both.info.report["texts"]) == (12, 24)
    assert not same(plain.tensors, both.tensors)


def test_plain_texts_are_swapped_and_kept_beside() -> None:
    edit = fitted(TEXTS, source="texts")
    assert edit.info.report["texts"] == 6
    assert learnt(edit, "He is a king.", "She is a queen.") == [True, True]
    assert learnt(edit, "The woman is here.", "The man is here.") == [True, True]
    assert learnt(edit, "Her father left.", "His mother left.") == [True, True]
    assert learnt(edit, "Tea is hot.") == [False]
    assert [file.name for file in edit.info.files] == [word_lists_use(None).name]


def test_held_out_contrasts_are_looked_at_and_decide_nothing() -> None:
    texts = replace(TEXTS, dev_contrasts=SUPPLY.dev_contrasts)
    edit, plain = (fitted(one, source="texts", look_every=1) for one in (texts, TEXTS))
    looks = edit.info.report["looks"]
    assert isinstance(looks, list)
    assert len(looks) == 3
    assert same(edit.tensors, plain.tensors)


def test_documents_are_learnt_with_their_passages() -> None:
    whole = text_sha256("He is a king. Tea is hot.")
    supply = replace(TEXTS, documents=(whole,))
    assert whole in fitted(supply, source="texts").info.trained_on
    both = replace(supply, contrasts=SUPPLY.contrasts, dev_contrasts=())
    assert whole not in fitted(both).info.trained_on


@pytest.mark.parametrize("source", ["contrasts", "texts"])
def test_a_model_with_an_adapter_is_refused(source: str) -> None:
    edit = fitted()
    supply = replace(TEXTS, contrasts=SUPPLY.contrasts)
    with (
        edit.attached(model()) as edited,
        pytest.raises(ModelError, match="must have no adapter when one is attached"),
    ):
        Cda(source=source, steps=1).fit(edited, supply, seed=0)  # type: ignore[arg-type]


def test_a_text_is_learnt_with_its_other_or_not_at_all() -> None:
    """One of the two is a token longer."""
    sizes = [
        len(coded_text.ids)
        for coded_text in tokenize_texts(
            model(), ["The man is here.", "The woman is here."], longest=99
        )
    ]
    assert sizes[0] != sizes[1]
    supply = replace(TEXTS, texts=("The man is here.", "He ran."))
    edit = fitted(supply, source="texts", longest=min(sizes))
    assert learnt(edit, "The woman is here.", "The man is here.") == [False, False]
    assert learnt(edit, "He ran.", "She ran.") == [True, True]
    assert edit.info.report["texts"] == 2


def test_what_is_looked_at_is_not_learnt_as_the_other_of_a_text_either() -> None:
    texts = (*(f"He is open, door {index}." for index in range(9)), "She is open, door 8.", "Tea.")
    edit = fitted(replace(SUPPLY, texts=texts), source="texts", keep_perplexity=1e9)
    assert edit.info.report["held_out_texts"] == 2
    assert learnt(edit, "He is open, door 7.", "She is open, door 7.") == [True, True]
    assert learnt(edit, "He is open, door 8.", "She is open, door 8.") == [False, True]
    assert edit.info.report["texts"] == 16


def test_swapped_texts_alone_when_asked() -> None:
    edit = fitted(TEXTS, source="texts", keep_originals=False)
    assert edit.info.report["texts"] == 3
    assert learnt(edit, "He is a king.", "She is a queen.") == [False, True]


def test_options_and_seed_settle_every_byte() -> None:
    one = fitted()
    assert same(one.tensors, fitted().tensors)
    for changed in ({"seed": 1}, {"over": "span"}, {"batch_size": 5}):
        assert not same(one.tensors, fitted(**changed).tensors)  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="source"):
        Cda(source="wikipedia")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("supply", "options", "said"),
    [
        (TEXTS, {}, "must have contrasts of at most 100 tokens, got 0"),
        (SUPPLY, {"source": "texts"}, "with a word of .'gender', 'race', 'religion'., got 5"),
        (replace(TEXTS, texts=()), {"source": "texts"}, "got 0 without any from 'by hand'"),
        (TEXTS, {"source": "texts", "axes": ("religion",)}, "with a word of .'religion'."),
        (TEXTS, {"source": "texts", "longest": 5}, "of at most 5 tokens, got 3 longer ones"),
    ],
    ids=str,
)
def test_what_it_needs(supply: Supply, options: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        fitted(supply, **options)  # type: ignore[arg-type]


def test_a_masked_model_is_refused_for_either_source() -> None:
    for supply, source in ((SUPPLY, "contrasts"), (TEXTS, "texts")):
        with pytest.raises(ModelError, match="tiny-bert@0 is masked"):
            Cda(source=source).fit(tiny_model("bert"), supply, seed=0)  # type: ignore[arg-type]
