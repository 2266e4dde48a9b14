"""The examples whose answers changed most, cut to what a page can hold; their texts may offend."""

from collections.abc import Sequence
from dataclasses import dataclass

from equipoise.conclusions import ChangedExample
from equipoise.report.axis import minus
from equipoise.report.sanitize import LONGEST
from equipoise.report.sentences import group_name, numbers

_TEXTS = 6  # of one example


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A text as data: its beginning, and what is said where that is not all of it."""

    shown: str
    cut: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What is known of one side: its value, and what the model wrote."""

    name: str  # "before" or "after"
    value: str
    wrote: Text | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleView:
    """One example, side by side."""

    example: str
    group: str
    metric: str
    texts: tuple[Text, ...]
    left_out: int  # further texts that it was measured on
    sides: tuple[Side, Side]


def example_views(examples: Sequence[ChangedExample]) -> tuple[ExampleView, ...]:
    """The examples in the order given."""
    return tuple(_view(example) for example in examples)


def text_of(text: str) -> Text:
    """A text with at most 2,000 characters shown and the full length stated."""
    if len(text) <= LONGEST:
        return Text(shown=text)
    cut = f"the first {LONGEST:,} of {len(text):,} characters"
    return Text(shown=text[:LONGEST], cut=cut)


def _view(example: ChangedExample) -> ExampleView:
    before, after = (minus(text) for text in numbers(example.before, example.after))
    return ExampleView(
        example=example.example,
        group=group_name(example.groups) if example.groups else "",
        metric=example.metric,
        texts=tuple(text_of(text) for text in example.texts[:_TEXTS]),
        left_out=max(0, len(example.texts) - _TEXTS),
        sides=(
            Side(name="before", value=before, wrote=_wrote(example.wrote_before)),
            Side(name="after", value=after, wrote=_wrote(example.wrote_after)),
        ),
    )


def _wrote(text: str | None) -> Text | None:
    return None if text is None else text_of(text)
