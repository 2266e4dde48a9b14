"""Examples that changed: side by side, cut where a page could not hold them."""

import math

from equipoise.report.examples import example_views, text_of

from .making import example


def test_both_sides_of_an_example() -> None:
    (view,) = example_views([example()])
    assert [(side.name, side.value) for side in view.sides] == [
        ("before", "1.15"),
        ("after", "0.07"),
    ]
    assert [side.wrote.shown for side in view.sides if side.wrote] == [
        " he was tired.", " they were tired.",
    ]  # fmt: skip
    assert (view.group, view.left_out) == ("profession pilot", 0)


def test_a_model_that_wrote_nothing_wrote_nothing() -> None:
    (view,) = example_views([example(wrote_before=None, wrote_after=None, before=math.nan)])
    assert [side.wrote for side in view.sides] == [None, None]
    assert view.sides[0].value == "n/a"


def test_long_texts_are_cut_and_their_length_is_said() -> None:
    view = text_of("x" * 1_000_000)
    assert len(view.shown) == 2000
    assert view.cut == "the first 2,000 of 1,000,000 characters"
    assert text_of("short").cut == ""


def test_many_texts_are_counted() -> None:
    (view,) = example_views([example(texts=("t",) * 100)])
    assert (len(view.texts), view.left_out) == (6, 94)
