"""Contrasts as token ids: which places are scored, with every kind of tokenizer."""

from dataclasses import replace

import pytest
from contrast_items import SUPPLY, model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from equipoise.contrast_training.tokenized import TokenizedText, tokenize_contrasts, tokenize_texts
from equipoise.errors import ModelError
from equipoise.fakes import Start
from equipoise.inference.language_model import LanguageModel
from equipoise.records import Contrast
from equipoise.testing import tiny_model

STARTS: tuple[Start, ...] = ("bos", "added", "eos", "none")


def one(context: str, stereotype: str, antistereotype: str, unrelated: str | None) -> Contrast:
    return Contrast(
        id="c",
        context=context,
        stereotype=stereotype,
        antistereotype=antistereotype,
        unrelated=unrelated,
    )


def said(of: LanguageModel, text: TokenizedText, places: tuple[int, ...]) -> str:
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
def test_the_span_is_the_ending_and_the_tail_what_all_endings_share(
    start: Start, context: str, ending: str, tail: str
) -> None:
    of = tiny_model("llama", bos=start)
    filler = ending.removesuffix(tail)
    others = (f"{filler}er{tail}", f"x{filler}{tail}" if not context else f"{filler}x{tail}")
    (item,) = tokenize_contrasts(of, [one(context, ending, *others)], longest=60)
    text = item.stereotype
    assert text.text == context + ending
    lead = {"bos": "<bos>", "added": "<bos>", "eos": "<eos>", "none": ""}[start]
    assert of.tokenizer.decode(list(text.ids)) == lead + context + ending
    unscored = ending[0] if start == "none" and not context else ""  # nothing before it
    assert unscored + said(of, text, text.target_positions) == ending
    assert said(of, text, text.shared_suffix_positions) == tail
    assert text.positions == tuple(range(1, len(text.ids)))
    assert set(text.shared_suffix_positions) < set(text.target_positions) <= set(text.positions)
    assert item.unrelated is not None
    assert said(of, item.unrelated, item.unrelated.shared_suffix_positions) == tail


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
def test_words_that_only_some_endings_share_are_no_tail(
    endings: tuple[str, str, str | None], shared: str
) -> None:
    of = model()
    (item,) = tokenize_contrasts(of, [one("So: ", *endings)], longest=60)
    assert said(of, item.stereotype, item.stereotype.shared_suffix_positions) == shared


def test_a_token_that_straddles_the_context_is_scored() -> None:
    core = Tokenizer(
        models.BPE(vocab={"<s>": 0, "a": 1, "b": 2, "c": 3, "ab": 4}, merges=[("a", "b")])
    )
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>")
    of = replace(model(), tokenizer=tokenizer)
    (item,) = tokenize_contrasts(of, [one("ca", "bc", "c", None)], longest=9)
    assert item.stereotype.ids == (0, 3, 4, 3)
    assert item.stereotype.target_positions == (2, 3)
    assert item.antistereotype.target_positions == (3,)


def test_groups_and_order_are_kept() -> None:
    items = tokenize_contrasts(model(), SUPPLY.contrasts, longest=60)
    assert [item.id for item in items] == [contrast.id for contrast in SUPPLY.contrasts]
    assert (items[0].axis, items[0].target) == ("color", "cook")
    (bare,) = tokenize_contrasts(model(), [one("A", " b", " c", None)], longest=60)
    assert (bare.axis, bare.target, bare.unrelated) == ("", "c", None)
    assert tokenize_contrasts(model(), [], longest=60) == []


def test_nothing_is_cut_what_is_too_long_is_left_out() -> None:
    short, long = one("a", " b", " c", None), one("a", " b", " c", " much longer")
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
        tokenize_contrasts(model(), [one("Tea is", "", " hot", None)], longest=60)
    with pytest.raises(ModelError, match="contrast 'c' must have a token to score"):
        tokenize_contrasts(tiny_model("llama", bos="none"), [one("", "a", "bc", None)], longest=60)


def test_plain_texts_are_scored_whole() -> None:
    found = tokenize_texts(model(), ["Tea.", "", "a much longer text"], longest=6)
    assert [one.text for one in found] == ["Tea."]
    assert found[0].target_positions == found[0].positions == (1, 2, 3, 4)
    assert found[0].shared_suffix_positions == ()
    assert tokenize_texts(model(), [], longest=6) == []


def test_a_tokenizer_without_offsets_has_spans_of_its_parts_and_no_tails() -> None:
    """Its parts are coded one by one, so that a tail would be cut otherwise than the ending."""

    class Slow:
        is_fast, bos_token_id, eos_token_id = False, 1, None

        def encode(self, text: str, **_: object) -> list[int]:
            return [len(word) for word in text.split()]

    of = replace(model(), tokenizer=Slow())  # type: ignore[arg-type]
    (item,) = tokenize_contrasts(of, [one("aaaa bb", " ccccc now", " dd now", None)], longest=60)
    assert item.stereotype.ids == (1, 4, 2, 5, 3)
    assert item.stereotype.target_positions == (3, 4)
    assert item.stereotype.shared_suffix_positions == ()


def test_a_start_token_that_the_tokenizer_adds_is_not_there_twice() -> None:
    added, plain = (
        tokenize_contrasts(tiny_model("llama", bos=start), SUPPLY.contrasts, longest=60)
        for start in ("added", "bos")
    )
    assert added == plain
