"""Dialogues: the user's turns are given, and the model answers each after its own answers before.

All dialogues are written turn by turn: the k-th answers of all of them are one batch.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from equipoise.dialogues import Dialogue
from equipoise.errors import RequestError
from equipoise.inference import queries
from equipoise.models.loaded_model import LoadedModel
from equipoise.models.tokenization import Marked
from equipoise.records import Generation

#: The user's turns and the answers to all but the last of them, as a text that the answer follows.
Open: TypeAlias = Callable[[Sequence[str], Sequence[str]], str]
_SOME_ANSWER = "."  # stands for an answer that is not yet written; some templates refuse an empty


def write_answers(
    dialogues: Sequence[Dialogue],
    opened: Open,
    generate: Callable[[Sequence[Generation]], Sequence[str]],
) -> list[tuple[str, ...]]:
    """The answers to each dialogue's turns.

    An answer has a generator of its own, seeded with what stands before it, so that a dialogue
    depends neither on the batch nor on the others. Raises what `generate` does, a `RequestError`
    with the dialogue's place.
    """
    answers: list[list[str]] = [[] for _ in dialogues]
    for turn in range(max((len(asked.turns) for asked in dialogues), default=0)):
        places = [place for place, asked in enumerate(dialogues) if turn < len(asked.turns)]
        requests = [
            Generation(
                context=opened(dialogues[place].turns[: turn + 1], answers[place]),
                max_tokens=dialogues[place].max_tokens,
                temperature=dialogues[place].temperature,
                top_p=dialogues[place].top_p,
                sample=dialogues[place].sample,
            )
            for place in places
        ]
        try:
            written = generate(requests)
        except RequestError as error:
            raise RequestError(places[error.number], error.sentence) from None
        for place, text in zip(places, written, strict=True):
            answers[place].append(text)
    return [tuple(texts) for texts in answers]


def check_dialogues(model: LoadedModel, dialogues: Sequence[Dialogue], opened: Open) -> None:
    """Refuse a dialogue without words, or that may not fit the context, before anything is written.

    Answers count with the most tokens that they may have: whether a dialogue is refused must not
    depend on what the model writes, after hours, in its last turn.
    """
    for place, asked in enumerate(dialogues):
        blank = [k for k, turn in enumerate(asked.turns, 1) if not turn.strip()]
        if not asked.turns or blank:
            got = f"turn {blank[0]} blank" if blank else f"{len(asked.turns)} turns"
            raise RequestError(place, f"must have words in each turn, got {got}; correct it")
    limit = model.context_length
    if limit is None:
        return
    texts = [opened(asked.turns, [_SOME_ANSWER] * (len(asked.turns) - 1)) for asked in dialogues]
    tokens = queries.tokenize(model, [Marked(text, 0, 0) for text in texts])
    for place, (asked, read) in enumerate(zip(dialogues, tokens, strict=True)):
        count = len(asked.turns)
        if len(read.ids) + count * asked.max_tokens > limit:
            raise RequestError(
                place,
                f"must fit the context of {model.identity}, {limit} tokens, with all its answers, "
                f"got {len(read.ids)} of the user's turns and {count} times {asked.max_tokens} to "
                "write; ask for fewer tokens, or take a model with a longer context",
            )
