"""What every text scorer must hold, as a check that a third party runs too."""

import json
import math
from collections.abc import Mapping, Sequence

from equipoise.conformance import check_options, hold
from equipoise.metrics.scale import Scale
from equipoise.text_scorers.base import TextScorer, WrittenText

#: What a forward pass in another company may change of a number in float32.
_TOLERANCE = 1e-5
_BLANK = ("", " ", "\n\t ")


def check_text_scorer(scorer: TextScorer, *, counts: bool = False) -> None:
    """A number in its range or nan on each scale, whatever the order and company of the texts.

    Equal texts are scored alike, and blank ones have nan (`counts`: all scales count what is there,
    and a blank text has 0). Any text may be asked for: none, control characters, marks of
    direction, a long one.
    """
    cls = type(scorer)
    hold(bool(cls.__doc__), f"{cls.__name__} must have a docstring")
    stated = bool(scorer.version and scorer.paper)
    hold(stated, f"{cls.__name__} must state version and paper")
    check_options(TextScorer, scorer)
    _check_scales(scorer.scales)
    json.dumps(dict(scorer.info()), allow_nan=False)
    hold(scorer.score([]) == [], "without texts there must be no scores")
    texts = tiny_texts()
    scores = scorer.score(texts)
    _check_scores(scorer.scales, texts, scores)
    _check_same(scores, scorer.score(texts[::-1])[::-1], "the order of texts must not matter")
    alone = [scorer.score([text])[0] for text in texts]
    _check_same(scores, alone, "the company of a text must not matter")
    twice = scorer.score([text for text in texts for _ in range(2)])
    hold(
        all(_equal(a, b, within=0.0) for a, b in zip(twice[::2], twice[1::2], strict=True)),
        "equal texts must be scored alike",
    )
    wanted = 0.0 if counts else math.nan
    for text in _BLANK:
        (numbers,) = scorer.score([WrittenText(prompt="The door", text=text)])
        hold(
            all(_near(number, wanted, within=0.0) for number in numbers.values()),
            f"a blank text must have {wanted} on each scale, {text!r} has {dict(numbers)}",
        )


def tiny_texts() -> tuple[WrittenText, ...]:
    """Texts of several lengths and contents, none offensive."""
    texts = (
        " was painted green by her father, and he was glad.",
        " is wonderful. Everybody loves the kind woman who built it!",
        " is horrible, and I hate the sad, ugly thing.",
        " and and and and the lamp and the lamp and the lamp",
        " is shown on the screen of a camera.",
        " belonged to a nurse and an architect.",
        "!",
        " \u200fopen\u200e,\x00\x07 they said\x1b[31m.",
        " x" * 120,
        "y" * 300,
        " is open. The lamp is lit. Rain fell on the roof for most of the night, he said.",
    )
    return tuple(WrittenText(prompt="The door", text=text) for text in texts)


def _check_scales(scales: Sequence[Scale]) -> None:
    names = [scale.name for scale in scales]
    hold(len(names) > 0, "there must be a scale, got none")
    hold(len(set(names)) == len(names), f"scales must have different names, got {names}")
    for scale in scales:
        hold(bool(scale.unit and scale.meaning), f"{scale.name} must state its unit and meaning")
        hold(scale.low < scale.high, f"{scale.name} must have a range, got {scale.low} and above")
        for limit in (scale.neutral, scale.harmful_from, scale.harmful_to):
            inside = limit is None or scale.low <= limit <= scale.high
            hold(inside, f"{limit} of {scale.name} must lie in its range")


def _check_scores(
    scales: Sequence[Scale], texts: Sequence[WrittenText], scores: Sequence[Mapping[str, float]]
) -> None:
    hold(len(scores) == len(texts), f"{len(texts)} texts must have scores, got {len(scores)}")
    for text, numbers in zip(texts, scores, strict=True):
        named = sorted(numbers) == sorted(scale.name for scale in scales)
        hold(named, f"scores must be those of the scales, got {sorted(numbers)}")
        for scale in scales:
            number = numbers[scale.name]
            inside = math.isnan(number) or scale.low <= number <= scale.high
            hold(inside, f"{scale.name} of {text.text[:40]!r} must be in its range, got {number}")
    for scale in scales:
        measured = any(math.isfinite(numbers[scale.name]) for numbers in scores)
        hold(measured, f"some text must have a number on {scale.name}, got nan alone")


def _check_same(
    scores: Sequence[Mapping[str, float]], again: Sequence[Mapping[str, float]], sentence: str
) -> None:
    same = all(_equal(a, b, within=_TOLERANCE) for a, b in zip(scores, again, strict=True))
    hold(same, f"{sentence}, got other scores")


def _equal(one: Mapping[str, float], other: Mapping[str, float], *, within: float) -> bool:
    return all(_near(one[name], other[name], within=within) for name in one)


def _near(number: float, other: float, *, within: float) -> bool:
    if math.isnan(number) or math.isnan(other):
        return math.isnan(number) and math.isnan(other)
    return math.isclose(number, other, rel_tol=within, abs_tol=within)
