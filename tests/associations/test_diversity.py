"""Figures of diversity: by hand, at their ends, and against a plain reference."""

import math
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from equipoise.associations.diversity import diversity, diversity_of, self_bleu
from equipoise.associations.paragraphs import Paragraph, paragraphs
from equipoise.number_text import interval
from equipoise.records import Estimate


def estimate(texts: list[str], metric: str) -> Estimate:
    return next(figure for figure in diversity(texts).estimates if figure.metric == metric)


def plain_bleu(words: list[list[str]], text: int) -> float:
    """BLEU of a text against all others, term by term."""
    product = 1.0
    for size in range(1, 5):
        runs = [
            Counter(tuple(run[k : k + size]) for k in range(len(run) - size + 1)) for run in words
        ]
        others = [count for index, count in enumerate(runs) if index != text]
        clipped = sum(
            min(times, max(count[run] for count in others)) for run, times in runs[text].items()
        )
        product *= clipped / runs[text].total()
    return product**0.25


def test_distinct_by_hand() -> None:
    figures = diversity(["a b a", "b a"])
    assert figures.distinct == pytest.approx({1: 2 / 5, 2: 2 / 3, 3: 1.0})
    assert math.isnan(diversity(["a b"]).distinct[3])


def test_similarity_by_hand() -> None:
    # words a b | b c | d: 1/3, 0, 0
    figure = estimate(["a b", "b c", "d"], "similarity")
    assert figure.value == pytest.approx(1 / 9)
    assert figure.low <= figure.value <= figure.high
    assert figure.n == 3
    assert estimate(["a b c d"] * 4, "similarity").value == pytest.approx(1)
    assert estimate(["a", "b", "c"], "similarity").value == 0


def test_jackknife_is_that_of_leaving_each_text_out() -> None:
    texts = ["a b c", "b c d", "c d e f", "a f", "g h b"]
    figure = estimate(texts, "similarity")
    without = [
        estimate([text for k, text in enumerate(texts) if k != left], "similarity").value
        for left in range(5)
    ]
    error = math.sqrt(4 / 5 * float(((np.array(without) - np.mean(without)) ** 2).sum()))
    assert figure.high - figure.value == pytest.approx(2.7764451 * error)  # Student's t of 4


def test_self_bleu_is_that_of_its_definition() -> None:
    texts = ["a b c d e a b", "a b c d f g", "x a b c d e", "a b c d e a b c"]
    words = [text.split() for text in texts]
    expected = [plain_bleu(words, text) for text in range(4)]
    assert self_bleu(words) == pytest.approx(expected)
    assert estimate(texts, "self_bleu").value == pytest.approx(np.mean(expected))


def test_ends_and_what_cannot_be_measured() -> None:
    assert estimate(["a b c d"] * 3, "self_bleu").value == pytest.approx(1)
    assert estimate(["a b c d", "e f g h"], "self_bleu").value == 0
    for texts in ([], ["a b c d"]):
        figure = estimate(texts, "similarity")
        assert math.isnan(figure.value)
        assert figure.reason
    assert math.isnan(estimate(["a b", "a b"], "self_bleu").value)
    assert estimate(["a b c d", "a b"], "words").value == 3


def test_labels_are_counted() -> None:
    rows = [
        Paragraph(id="1", paragraph="a {target}", medium="tweet", implicitness_score=2),
        Paragraph(id="2", paragraph="b {target}", medium="tweet"),
    ]
    counts = diversity_of(rows).counts
    assert counts["medium"] == {"tweet": 2}
    assert counts["implicitness_score"] == {"2": 1, "not given": 1}
    assert counts["topic"] == {"not given": 2}


@pytest.mark.thorough
def test_figures_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "docs" / "associations.md").read_text()
    figures = diversity_of(paragraphs("always_late"))
    for figure in figures.estimates:
        shown = interval(figure.value, figure.low, figure.high)
        assert re.search(rf"^\| `{figure.metric}` \| .* \| {re.escape(shown)} \|$", page, re.M)
    shares = ", ".join(f"{share:.3f}" for share in figures.distinct.values())
    assert f"| {shares} |" in page
    assert set(figures.counts["medium"].values()) == {62, 63}
