"""What the page is told: the next texts and the question, and nothing of whose they are."""

from collections.abc import Mapping
from typing import Final

from equipoise.errors import RecipeError
from equipoise.rating.questions import QUESTIONS, Question
from equipoise.rating.showings import Showing
from equipoise.rating.store import Rating, RatingStore, now
from equipoise.records import JSON
from equipoise.report.formatting import visible

#: Characters of a text that are shown; it is kept whole.
LONGEST_SHOWN: Final = 5_000


def state_of(store: RatingStore, rater: str) -> dict[str, JSON]:
    """What a rater sees now: the first showing with an open question, or the end."""
    reverse = store.add_rater(rater)
    showings, questions = store.showings(rater), QUESTIONS[store.head.mode]
    answers = {_key(rating): rating.answer for rating in store.ratings(rater)}
    state: dict[str, JSON] = {
        "rater": rater,
        "total": len(showings),
        "undo": store.last_number(rater),
    }
    for position, showing in enumerate(showings):
        for question in questions:
            if (*_place(showing), question.name) not in answers:
                given: dict[str, JSON] = {
                    before.text: before.answers[answers[(*_place(showing), before.name)]]
                    for before in questions[: questions.index(question)]
                }
                return {
                    **state,
                    "position": position,
                    "given": given,
                    **_shown(store, showing),
                    **_asked(question, reverse=reverse),
                }
    return {**state, "position": len(showings)}


def keep_answer(
    store: RatingStore, rater: str, position: JSON, question: JSON, answer: JSON
) -> None:
    """Keep an answer about what stands at a position of a rater's order.

    Raises `RecipeError` for what is not asked there, and `ConflictError` where another tab has
    given another answer, or has not come so far or has gone back.
    """
    showings = store.showings(rater)
    questions = {each.name: each for each in QUESTIONS[store.head.mode]}
    if not isinstance(position, int) or not 0 <= position < len(showings):
        raise RecipeError(
            f"a position must be from 0 to {len(showings) - 1}, got {position!r:.20}; load the "
            "page again"
        )
    if not isinstance(question, str) or question not in questions:
        raise RecipeError(f"a question must be known, got {question!r:.40}; load the page again")
    if not isinstance(answer, str) or answer not in questions[question].answers:
        raise RecipeError(f"an answer must be known, got {answer!r:.40}; load the page again")
    showing = showings[position]
    store.add_rater(rater)
    store.add(
        Rating(
            rater=rater,
            pair=showing.pair,
            variant=showing.variant,
            swapped=showing.swapped,
            repeat=showing.repeat,
            question=question,
            answer=answer,
            time=now(),
        )
    )


def _key(rating: Rating) -> tuple[object, ...]:
    return (rating.pair, rating.variant, rating.repeat, rating.question)


def _place(showing: Showing) -> tuple[object, ...]:
    return (showing.pair, showing.variant, showing.repeat)


def _shown(store: RatingStore, showing: Showing) -> Mapping[str, JSON]:
    """The prompt and the texts as they are shown, A first."""
    pair = store.pair[showing.pair]
    by_variant = {"first": [pair.first], "second": [pair.second]}
    both = [pair.second, pair.first] if showing.swapped else [pair.first, pair.second]
    texts = by_variant.get(showing.variant, both)
    return {"prompt": _readable(pair.prompt), "texts": [_readable(text) for text in texts]}


def _readable(text: str) -> dict[str, JSON]:
    """A text whose control and direction marks are seen, cut where it is very long.

    Without white space at its ends, by which a variant could be known.
    """
    note, shown = "", text.strip()
    if len(shown) > LONGEST_SHOWN:
        note = f"cut here: {LONGEST_SHOWN:,} of {len(shown):,} characters are shown"
    elif not shown:
        note = "nothing was written"
    return {"text": visible(shown[:LONGEST_SHOWN]), "note": note}


def _asked(question: Question, *, reverse: bool) -> Mapping[str, JSON]:
    answers = [*question.answers.items()]
    if reverse and question.reversible:
        answers.reverse()
    return {
        "question": question.name,
        "asked": question.text,
        "answers": [{"answer": answer, "label": label} for answer, label in answers],
    }
