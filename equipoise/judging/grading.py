"""Probabilities of grades to a judgement."""

from collections.abc import Sequence

import numpy as np

from equipoise.judging.judgement import GRADES, Judgement
from equipoise.judging.verdict_scales import VerdictScale
from equipoise.records import Decided, Decision


def grade(
    questions: Sequence[Decision], answers: Sequence[Decided], scale: VerdictScale | None = None
) -> Judgement:
    """The expected grade, or verdict of a scale, over orders of the options; how far they agree.

    `strength` is sum_k k p_k in [0, 3] with p the mean over orders, `modal` the likeliest k (of
    two, the weaker). `flip_rate` is the share of orders after the first in which another grade is
    the likeliest than in the first; with the options as labels it is 1 of a judge that goes by
    their places. `label_mass` is the mean over orders, nan where a server does not tell it.
    """
    names = GRADES if scale is None else scale.verdicts
    values = np.arange(len(GRADES)) if scale is None else np.array(scale.values)
    rows = [_in_order(names, *pair) for pair in zip(questions, answers, strict=True)]
    mean = np.mean(rows, axis=0)
    first, *others = [int(np.argmax(row)) for row in rows]
    flips = [other != first for other in others]
    likeliest = int(np.argmax(mean))
    return Judgement(
        strength=float(mean @ values),
        modal=float(values[likeliest]),
        verdict=None if scale is None else names[likeliest],
        flip_rate=float(np.mean(flips)) if flips else float("nan"),
        label_mass=float(np.mean([answer.label_mass for answer in answers])),
    )


def _in_order(names: Sequence[str], question: Decision, answer: Decided) -> list[float]:
    """Probabilities in the order of the scale, whatever the order asked."""
    shares = dict(zip(question.options, answer.probabilities, strict=True))
    return [shares[name] for name in names]
