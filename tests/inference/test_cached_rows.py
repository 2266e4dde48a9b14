"""Rows read from a cache: equal rows and shared beginnings once, with the logits of whole rows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from toy_tokenizers import toy_model

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mean
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.group_words.word_lists import read_word_lists
from equipoise.inference.cached_rows import CachedRows, FreshRows, cache_is_exact
from equipoise.inference.forward import is_close, layout_of
from equipoise.inference.generation import generate
from equipoise.inference.language_model import LanguageModel
from equipoise.models.tokenization import Ids
from equipoise.records import Generation
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

PREFIX = tuple(range(3, 43))  # 40 tokens
ROWS: list[Ids] = [(*PREFIX, *rest) for rest in ((50,), (60, 61, 62), (50, 70), (60, 61, 62))]


@contextmanager
def shapes_read(model: LanguageModel) -> Iterator[list[tuple[int, ...]]]:
    """Rows and places of each forward pass inside."""
    shapes: list[tuple[int, ...]] = []

    def note(_: object, __: object, inputs: dict[str, torch.Tensor]) -> None:
        shapes.append(tuple(inputs["input_ids"].shape))

    handle = model.module.register_forward_pre_hook(note, with_kwargs=True)
    yield shapes
    handle.remove()


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
@torch.inference_mode()
def test_logits_are_those_of_whole_rows(family: str) -> None:
    model = tiny_model(family)
    layout = layout_of(model)
    cached, fresh = CachedRows(model, layout, room=3), FreshRows(model, layout)
    assert cache_is_exact(model)
    with shapes_read(model) as shapes:
        logits = [cached.next_logits(ROWS)]
        longer = [(*row, 7 + place) for place, row in enumerate(ROWS)]
        logits.append(cached.next_logits(longer))
        cached.keep([3, 0])
        longest = [(*longer[3], 80), (*longer[0], 81)]
        logits.append(cached.next_logits(longest))
    shared = [(1, 40), (3, 3)] if layout.packs(46) else [(3, 43)]
    assert shapes == [*shared, (4, 1), (2, 1)]
    for rows, read in zip((ROWS, longer, longest), logits, strict=True):
        assert is_close(read, fresh.next_logits(rows))


@torch.inference_mode()
def test_no_beginning_is_shared_where_padding_behind_it_would_count() -> None:
    model = tiny_model("llama")
    for changed, room in (({"pack": False}, 3), ({"window": 45}, 3), ({"rope_change": 50}, 8)):
        layout = replace(layout_of(model), **changed)
        with shapes_read(model) as shapes:
            CachedRows(model, layout, room=room).next_logits(ROWS)
        assert shapes == [(3, 43)]


@torch.inference_mode()
def test_few_saved_tokens_are_not_worth_a_pass() -> None:
    model = tiny_model("llama")
    with shapes_read(model) as shapes:
        CachedRows(model, layout_of(model), room=3).next_logits([(*PREFIX, 50), (*PREFIX, 51)])
    assert shapes == [(2, 41)]


@torch.inference_mode()
def test_a_row_that_begins_all_others_keeps_its_last_token() -> None:
    model = tiny_model("llama")
    rows: list[Ids] = [PREFIX, (*PREFIX, 50), (*PREFIX, 51, 52)]
    layout = layout_of(model)
    with shapes_read(model) as shapes:
        logits = CachedRows(model, layout, room=1).next_logits(rows)
    assert shapes == [(1, 39), (3, 3)]
    assert is_close(logits, FreshRows(model, layout).next_logits(rows))


MAKERS: dict[str, Callable[[], LanguageModel]] = {
    "plain": lambda: tiny_model("llama"),
    "self-debias": lambda: replace(
        toy_model("words"), decoding_rule=SelfDebiasing(prefixes=("That is bad:", "His text:"))
    ),
    "cafie": lambda: replace(
        toy_model("words"),
        decoding_rule=Counterfactual(
            lists=read_word_lists(None, ["gender"]), mixture=Mean(alpha=0.9)
        ),
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("maker", MAKERS)
def test_samples_beside_each_other_are_those_asked_alone(maker: str) -> None:
    model = MAKERS[maker]()
    requests = [
        Generation(context=text, max_tokens=6, temperature=1.0, top_p=0.9, sample=sample)
        for sample in range(5)
        for text in ("The man saw her", "She took his", "The man saw his")
    ]
    together = generate(model, requests, seed=4)
    assert together == [generate(model, [request], seed=4)[0] for request in requests]
    assert together == generate(replace(model, batch_tokens=40), requests, seed=4)
    assert len(set(together)) > 3


@pytest.mark.thorough
def test_samples_of_a_prompt_are_read_once() -> None:
    model = tiny_model("llama")
    requests = [
        Generation(context=text, max_tokens=2, temperature=1.0, sample=sample)
        for sample in range(5)
        for text in ("abc", "de")
    ]
    generate(model, requests[:1], seed=0)  # which probes the module
    with shapes_read(model) as shapes:
        generate(model, requests, seed=0)
    assert shapes == [(2, 4), (10, 1)]
