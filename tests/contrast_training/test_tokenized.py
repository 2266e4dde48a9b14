"""Contrasts as token ids, with every kind of tokenizer; which plain texts are held out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest
from contrast_items import SUPPLY, model
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from equipoise.contrast_training.tokenized import (
    Passage,
    TokenizedText,
    split_texts,
    tokenize_contrasts,
    tokenize_texts,
)
from equipoise.errors import ModelError, RecipeError
from equipoise.fakes import Start
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Contrast, Supply
from equipoise.testing import tiny_model

STARTS: tuple[Start, ...] = ("bos", "added", "eos", "none")


def contrast_of(
    context: str, stereotype: str, antistereotype: str, unrelated: str | None
) -> Contrast:
    return Contrast(
        id="c",
        context=context,
        stereotype=stereotype,
        antistereotype=antistereotype,
        unrelated=unrelated,
    )


def decoded(of: LanguageModel, text: TokenizedText, places: tuple[int, ...]) -> str:
    return of.tokenizer.decode([text.ids[place] for place in places])


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize(
    ("context", "ending", "tail"),
    [
        ("", "He was late.", " was late."),
        ("The cook", " is red now.", " now."),
        ("The cook is", " red.", ""),
        ("Say", " «ärger», now", " now"),
    ],
    ids=["first", "within", "last", "punctuation"],
)
def test_target_is_the_ending_and_suffix_what_all_endings_share(
    start: Start, context: str, ending: str, tail: str
) -> None:
    of = tiny_model("llama", bos=start)
    filler = ending.removesuffix(tail)
    others = (f"{filler}er{tail}", f"x{filler}{tail}" if not context else f"{filler}x{tail}")
    (item,) = tokenize_contrasts(of, [contrast_of(context, ending, *others)], longest=60)
    text = item.stereotype
    assert text.text == context + ending
    lead = {"bos": "<bos>", "added": "<bos>", "eos": "<eos>", "none": ""}[start]
    assert of.tokenizer.decode(list(text.ids)) == lead + context + ending
    unscored = ending[0] if start == "none" and not context else ""  # nothing before it
    assert unscored + decoded(of, text, text.target_positions) == ending
    assert decoded(of, text, text.shared_suffix_positions) == tail
    assert text.positions == tuple(range(1, len(text.ids)))
    assert set(text.shared_suffix_positions) < set(text.target_positions) <= set(text.positions)
    assert item.unrelated is not None
    assert decoded(of, item.unrelated, item.unrelated.shared_suffix_positions) == tail


@pytest.mark.parametrize(
    ("endings", "shared"),
    [
        (("red", "blue", "seven"), ""),
        (("red too", "blue too", None), " too"),
        (("red too", "blue too", "seven"), ""),
        (("red it is so", "blue it is so", "seven he is so"), " is so"),
        (("it is", "is", "was is"), ""),  # a first word is never shared
        (("red hot", "blue hot", "red hot"), " hot"),
    ],
    ids=str,
)
def test_suffix_is_shared_by_all_endings(endings: tuple[str, str, str | None], shared: str) -> None:
    of = model()
    (item,) = tokenize_contrasts(of, [contrast_of("So: ", *endings)], longest=60)
    assert decoded(of, item.stereotype, item.stereotype.shared_suffix_positions) == shared


def test_a_token_that_straddles_the_context_is_scored() -> None:
    core = Tokenizer(
        models.BPE(vocab={"<s>": 0, "a": 1, "b": 2, "c": 3, "ab": 4}, merges=[("a", "b")])
    )
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>")
    of = replace(model(), tokenizer=tokenizer)
    (item,) = tokenize_contrasts(of, [contrast_of("ca", "bc", "c", None)], longest=9)
    assert item.stereotype.ids == (0, 3, 4, 3)
    assert item.stereotype.target_positions == (2, 3)
    assert item.antistereotype.target_positions == (3,)


def test_groups_and_order_are_kept() -> None:
    items = tokenize_contrasts(model(), SUPPLY.contrasts, longest=60)
    assert [item.id for item in items] == [contrast.id for contrast in SUPPLY.contrasts]
    assert (items[0].axis, items[0].target) == ("color", "cook")
    (bare,) = tokenize_contrasts(model(), [contrast_of("A", " b", " c", None)], longest=60)
    assert (bare.axis, bare.target, bare.unrelated) == ("", "c", None)
    assert tokenize_contrasts(model(), [], longest=60) == []


def test_too_long_contrasts_are_dropped_and_never_truncated() -> None:
    short, long = contrast_of("a", " b", " c", None), contrast_of("a", " b", " c", " much longer")
    for contrast in (short, long):
        length = 1 + max(
            len(contrast.context + text) for text in (contrast.stereotype, contrast.unrelated or "")
        )
        assert len(tokenize_contrasts(model(), [contrast], longest=length)) == 1
        assert tokenize_contrasts(model(), [contrast], longest=length - 1) == []
    cramped = tiny_model("llama", context=8)
    assert [
        coded_item.unrelated
        for coded_item in tokenize_contrasts(cramped, [short, long], longest=60)
    ] == [None]


def test_a_contrast_without_a_token_to_score_is_named() -> None:
    with pytest.raises(ModelError, match="contrast 'c' must have a token to score"):
        tokenize_contrasts(model(), [contrast_of("Tea is", "", " hot", None)], longest=60)
    with pytest.raises(ModelError, match="contrast 'c' must have a token to score"):
        tokenize_contrasts(
            tiny_model("llama", bos="none"), [contrast_of("", "a", "bc", None)], longest=60
        )


def test_plain_texts_are_scored_whole() -> None:
    texts = tokenize_texts(model(), ["Tea.", "", "a much longer text"], longest=6)
    assert [text.text for text in texts] == ["Tea."]
    assert texts[0].target_positions == texts[0].positions == (1, 2, 3, 4)
    assert texts[0].shared_suffix_positions == ()
    assert tokenize_texts(model(), [], longest=6) == []


def test_tokenizer_without_offsets_has_targets_and_no_suffixes() -> None:
    """Its parts are coded one by one, so that a tail would be cut otherwise than the ending."""

    class Slow:
        is_fast, bos_token_id, eos_token_id, chat_template = False, 1, None, None

        def encode(self, text: str, **_: object) -> list[int]:
            return [len(word) for word in text.split()]

    of = replace(model(), tokenizer=Slow())  # type: ignore[arg-type]
    (item,) = tokenize_contrasts(
        of, [contrast_of("aaaa bb", " ccccc now", " dd now", None)], longest=60
    )
    assert item.stereotype.ids == (1, 4, 2, 5, 3)
    assert item.stereotype.target_positions == (3, 4)
    assert item.stereotype.shared_suffix_positions == ()


def test_start_token_of_the_tokenizer_is_not_doubled() -> None:
    added, plain = (
        tokenize_contrasts(tiny_model("llama", bos=start), SUPPLY.contrasts, longest=60)
        for start in ("added", "bos")
    )
    assert added == plain


# --- held-out texts -------------------------------------------------------------------------------


def texts(count: int) -> tuple[str, ...]:
    return tuple(f"Door {index}." for index in range(count))


Split: TypeAlias = tuple[tuple[str, ...], tuple[Passage, ...]]  # to learn from, held out


def held_out_of(split: Split) -> list[str]:
    return [passage.text.text for passage in split[1]]


def documents_of(split: Split) -> set[str]:
    return {passage.document for passage in split[1]}


def part(documents: Sequence[str] = (), *, count: int = 0, longest: int = 60) -> Split:
    given_texts = texts(len(documents) or count)
    supply = Supply(origin="by hand", texts=given_texts, documents=tuple(documents))
    return split_texts(model(), supply, longest=longest)


@pytest.mark.thorough
@settings(max_examples=40)
@given(st.lists(st.sampled_from("abcdefg"), max_size=60))
def test_held_out_documents_are_whole_and_some_texts_are_learnt(homes: list[str]) -> None:
    split = part(sorted(homes))
    known = dict(zip(texts(len(homes)), sorted(homes), strict=True))
    held_out = {passage.document for passage in split[1]}
    learnt = {known[text] for text in split[0]}
    assert not held_out & learnt
    assert [*split[0], *held_out_of(split)] == list(known)  # the last ones, nothing lost
    few = len(set(homes)) < 3
    assert (len(documents_of(split)) == 0) == few
    if not few:
        assert len(documents_of(split)) >= 2
        assert learnt
        assert len(split[1]) >= 0.1 * len(homes)
        before_last = len(split[1]) - homes.count(min(held_out))
        assert len(documents_of(split)) == 2 or before_last < 0.1 * len(homes)


def test_interleaved_documents_stay_whole() -> None:
    split = part(list("abcabcabcabc"))
    assert {passage.document for passage in split[1]} == {"b", "c"}
    assert len(split[0]) == 4


@pytest.mark.parametrize(("count", "apart"), [(2, 0), (3, 2), (20, 2), (21, 3), (2100, 200)])
def test_texts_without_documents_are_documents(count: int, apart: int) -> None:
    split = part(count=count)
    assert held_out_of(split) == list(texts(count)[count - apart :])
    assert len(split[0]) == count - apart
    assert len(documents_of(split)) == apart


def test_long_documents_give_two_hundred_evenly_spaced_passages() -> None:
    split = part(["a"] + ["b"] * 300 + ["c"] * 300)
    assert held_out_of(split) == list(texts(601)[1::3])
    assert split[0] == texts(601)[:1]


def test_short_document_beside_a_long_one_is_held_out() -> None:
    split = part(["a"] * 49 + ["b"] * 239 + ["c"])
    assert (len(documents_of(split)), len(split[1]), len(split[0])) == (2, 121, 49)


def test_learnt_text_is_not_held_out() -> None:
    given_texts = ("Door.", "Lamp.", "Door.", "Chair.", "Bed.")
    split = split_texts(
        model(), Supply(origin="", texts=given_texts, documents=tuple("abcde")), longest=60
    )
    assert split[0] == given_texts[:3]
    again = split_texts(
        model(),
        Supply(origin="", texts=("Door.", "Lamp.", "Door.", "Bed."), documents=tuple("abcd")),
        longest=60,
    )
    assert held_out_of(again) == ["Bed."]


def test_too_long_texts_are_not_held_out() -> None:
    assert not part(count=30, longest=2)[1]


def test_documents_of_some_texts_alone() -> None:
    supply = Supply(origin="by hand", texts=texts(4), documents=("a", "b"))
    with pytest.raises(RecipeError, match="'by hand' has 4 texts and 2 documents; name all"):
        split_texts(model(), supply, longest=60)
