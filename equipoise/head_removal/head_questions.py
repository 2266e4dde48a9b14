"""Questions to find heads on, others to count them on: framings of one question are not several."""

from collections.abc import Sequence

import numpy as np

from equipoise.associations.questions import stem_of
from equipoise.errors import RecipeError
from equipoise.records import Prompt

_FEWEST = 4  # questions: to locate on, and to hold out


def split_questions(
    questions: Sequence[Prompt], *, held_out: int, seed: int
) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """Questions to locate on, and those held out: no stem is in both parts.

    Whole stems are held out, drawn by the seed, as long as there are no more than `held_out`
    questions and half of all; the first drawn always is. Raises `RecipeError` for fewer than 4
    questions, and for a single stem.
    """
    stems = sorted({stem_of(question) for question in questions})
    if len(questions) < _FEWEST or len(stems) < 2:
        raise RecipeError(
            f"head_steering must have at least {_FEWEST} questions about an association, of at "
            f"least 2 stems, got {len(questions)} of {len(stems)}; give it a supply that has some "
            "(association), or name heads"
        )
    most = min(held_out, len(questions) // 2)
    kept: set[str] = set()
    count = 0
    for index in np.random.default_rng(seed).permutation(len(stems)):
        size = sum(stem_of(question) == stems[index] for question in questions)
        if not kept or count + size <= most:
            kept.add(stems[index])
            count += size
    parts = [
        tuple(question for question in questions if (stem_of(question) in kept) == held)
        for held in (False, True)
    ]
    return parts[0], parts[1]
