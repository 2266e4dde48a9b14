"""How diverse a set of texts is: different words, likeness of its texts, what they are labelled.

Distinct-n: Li et al. 2016, "A Diversity-Promoting Objective Function". Self-BLEU: Zhu et al. 2018,
"Texygen". BiasGym asks its generator for diversity and prints samples (Table 1), but no figures.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from equipoise.associations.paragraphs import Paragraph
from equipoise.associations.validation import words_of
from equipoise.records import Estimate

DISTINCT: Final = (1, 2, 3)  # words in a run
BLEU: Final = 4  # longest run that self-BLEU counts
LEVEL: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Diversity:
    """Figures of a set of texts. Sets compare at equal size: a larger set repeats more."""

    texts: int
    #: Run length to the share of runs that differ from each other, in [0, 1]; 1: no run comes
    #: twice. Of the whole set, so there is no interval; nan without a run of that length.
    distinct: Mapping[int, float]
    #: Mean words of a text; `similarity`, the mean Jaccard index of the words of two texts, in
    #: [0, 1]; and `self_bleu`, in [0, 1]. Of the last two less is more diverse.
    estimates: tuple[Estimate, ...]
    counts: Mapping[str, Mapping[str, int]]  # label to its values to texts, most first


def diversity(texts: Sequence[str]) -> Diversity:
    """Figures of texts without labels."""
    words = [words_of(text) for text in texts]
    return Diversity(
        texts=len(texts),
        distinct={size: _distinct(words, size) for size in DISTINCT},
        estimates=(
            _mean("words", "words", np.array([len(run) for run in words], dtype=np.float64)),
            _similarity(words),
            _mean("self_bleu", "BLEU", self_bleu(words)),
        ),
        counts={},
    )


def diversity_of(paragraphs: Sequence[Paragraph]) -> Diversity:
    """Figures of paragraphs, with the counts of their labels."""
    figures = diversity([paragraph.paragraph for paragraph in paragraphs])
    labels = {
        "medium": [paragraph.medium for paragraph in paragraphs],
        "topic": [paragraph.topic for paragraph in paragraphs],
        "writing_style": [paragraph.writing_style for paragraph in paragraphs],
        "implicitness_score": [str(paragraph.implicitness_score or "") for paragraph in paragraphs],
    }
    counts = {
        label: dict(Counter(value or "not given" for value in values).most_common())
        for label, values in labels.items()
    }
    return replace(figures, counts=counts)


def self_bleu(words: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """BLEU of each text with all others as references, [text]; 0: no run of a text is elsewhere.

    Geometric mean of the clipped precisions of runs of 1 to 4 words. Without a brevity penalty:
    among many references some are of nearly the same length. nan for a text of fewer than 4
    words, and of a set of one.
    """
    logs = np.zeros(len(words))
    for size in range(1, BLEU + 1):
        counts = [Counter(_runs(run, size)) for run in words]
        # of each run the text that has it most often, that count, and the next text's
        most: dict[tuple[str, ...], tuple[int, int, int]] = {}
        for text, count in enumerate(counts):
            for run, times in count.items():
                owner, first, second = most.get(run, (-1, 0, 0))
                most[run] = (
                    (text, times, first) if times > first else (owner, first, max(second, times))
                )
        for text, count in enumerate(counts):
            clipped = sum(
                min(times, most[run][2] if most[run][0] == text else most[run][1])
                for run, times in count.items()
            )
            total = count.total()
            share = clipped / total if total and len(words) > 1 else math.nan
            logs[text] += math.log(share) if share != 0 else -math.inf
    return np.exp(logs / BLEU)


def _similarity(words: Sequence[Sequence[str]]) -> Estimate:
    """Mean over pairs; the interval is the jackknife's over texts (Efron & Stein 1981)."""
    vocabulary = {word: column for column, word in enumerate(sorted(set().union(*words)))}
    present = np.zeros((len(words), len(vocabulary)), dtype=np.float32)  # [text, word]
    for row, run in enumerate(words):
        present[row, [vocabulary[word] for word in run]] = 1
    both = (present @ present.T).astype(np.float64)
    sizes = present.sum(axis=1, dtype=np.float64)
    index = both / np.maximum(sizes[:, None] + sizes[None, :] - both, 1)
    np.fill_diagonal(index, 0)
    n = len(words)
    if n < 3:
        value = float(index.sum()) / 2 if n == 2 else math.nan
        return _estimate("similarity", "Jaccard index", value, math.nan, n)
    without = (index.sum() - 2 * index.sum(axis=1)) / ((n - 1) * (n - 2))  # each text in turn
    error = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    return _estimate("similarity", "Jaccard index", float(index.sum()) / (n * (n - 1)), error, n)


def _mean(metric: str, unit: str, values: NDArray[np.float64]) -> Estimate:
    known = values[np.isfinite(values)]
    value = float(known.mean()) if len(known) else math.nan
    error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else math.nan
    return _estimate(metric, unit, value, error, len(known))


def _estimate(metric: str, unit: str, value: float, error: float, n: int) -> Estimate:
    """A mean with its interval by Student's t; the texts of a set are taken as independent."""
    half = error * float(special.stdtrit(max(n - 1, 1), (1 + LEVEL) / 2))
    reason = None
    if not math.isfinite(value):
        reason = f"it takes more texts, of 4 words each, got {n}"
    elif not math.isfinite(half):
        reason = f"an interval takes more texts, got {n}"
    return Estimate(
        metric=metric, value=value, low=value - half, high=value + half, n=n, clusters=n, unit=unit,
        reason=reason,
    )  # fmt: skip


def _distinct(words: Sequence[Sequence[str]], size: int) -> float:
    runs = [gram for run in words for gram in _runs(run, size)]
    return len(set(runs)) / len(runs) if runs else math.nan


def _runs(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
