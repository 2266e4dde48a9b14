"""Contrast questions: what a target is, so that the biased answer is a fixed word (BiasGym, 3.3.1).

An association's own questions come first, and templates fill up. A question ends with a question
mark, or breaks off where the answer stands next: both are put to a model in a chat, the second
kind also as plain text.
"""

from itertools import chain
from typing import Final

import numpy as np

from equipoise.associations.load import load_association
from equipoise.associations.templates import question_templates
from equipoise.associations.wording import forms
from equipoise.errors import RecipeError
from equipoise.records import Prompt

FEWEST_WORDS: Final = 3


def questions(name: str, count: int = 100, *, seed: int = 0) -> tuple[Prompt, ...]:
    """That many different questions about {target}, each with the groups association and answer.

    Own questions, then templates, then both again with an order to be brief; which frame comes
    first is drawn by seed. The group `form` is "question" or "completion" (it breaks off); `stem`
    is the question without its frame, so that framings of one question are not taken for several.
    `name` loads the association; errors as of `load_association`, and `RecipeError` for more than
    there are.
    """
    association = load_association(name)
    words = forms(association)
    bare = [*association.questions]
    bare += [template.format_map(words) for template in question_templates().questions]
    stems = _framed(bare, seed)
    texts = list(stems)
    if count > len(texts):
        raise RecipeError(
            f"questions of '{name}' must be {len(texts)} at most, got {count}; ask for fewer, or "
            "give the association questions of its own"
        )
    return tuple(
        Prompt(
            id=f"{association.name}:question:{number}",
            text=text,
            groups={
                "association": name,
                "answer": association.answer,
                "form": form_of(text),
                "stem": stems[text],
            },
        )
        for number, text in enumerate(texts[:count])
    )


def form_of(question: str) -> str:
    """What kind a question is: "question", or "completion" where it breaks off."""
    return "question" if question.endswith(("?", ".", "!", '"')) else "completion"


def stem_of(question: Prompt) -> str:
    """What a question asks without its frame (its group `stem`), or its text."""
    return question.groups.get("stem", question.text)


def _framed(bare: list[str], seed: int) -> dict[str, str]:
    """The questions in their order, each with the question that its frame stands around."""
    frames = question_templates().frames
    rng = np.random.default_rng(seed)
    orders = [1 + rng.permutation(len(frames) - 1) for _ in bare]
    rounds = ([0, *map(int, order)] for order in orders)
    framed = [
        [(frames[number].format(question=text), text) for number in numbers]
        for text, numbers in zip(bare, rounds, strict=True)
    ]
    stems: dict[str, str] = {}
    for question, stem in chain.from_iterable(zip(*framed, strict=True)):
        stems.setdefault(question, stem)
    return stems
