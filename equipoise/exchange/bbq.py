"""BBQ's questions about another group in the stereotyped group's place."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from equipoise.data.bbq import BbqItem
from equipoise.exchange import words
from equipoise.metrics.target_parts import DONE, GROUP, NO_OTHER, NOT_NAMED, PROPER_NAMES


def exchange_groups(items: Sequence[BbqItem], count: int) -> list[BbqItem]:
    """The items, each with up to `count` copies in `others`.

    In a copy the stereotyped group's word is another's throughout context, question and answers:
    that of a group of the same template which the question has not, and does not list as
    stereotyped. Group "exchange" says whether there is any, or why none: people who go by proper
    names are left out, and so are categories of two groups, such as old and young.
    """
    by_template: dict[str, dict[str, str]] = defaultdict(dict)  # word to group
    for item in items:
        for place in _people(item):
            by_template[item.groups["question"]][item.words[place]] = item.about[place]
    return [_exchange(item, by_template[item.groups["question"]], count) for item in items]


def _exchange(item: BbqItem, known: dict[str, str], count: int) -> BbqItem:
    people = _people(item)
    copies: list[BbqItem] = []
    if item.named:
        reason = PROPER_NAMES
    elif item.target is None or len(people) != 2 or not all(item.words[place] for place in people):
        reason = NOT_NAMED
    else:
        # of a non-negative question the target is the other person
        shown = item.target if item.groups["polarity"] == "neg" else sum(people) - item.target
        barred = {each.casefold() for each in item.stereotyped}
        barred |= {item.about[place].casefold() for place in people}
        usable = [
            word
            for word, group in sorted(known.items())
            if word and not {word.casefold(), group.casefold()} & barred and word not in item.words
        ]
        drawn = words.drawn(usable, count, id=item.id)
        copies = [copy for new in drawn if (copy := _copy(item, shown, new)) is not None]
        reason = DONE if copies else NOT_NAMED if usable else NO_OTHER
    return replace(item, others=tuple(copies), groups={**item.groups, GROUP: reason})


def _copy(item: BbqItem, place: int, new: str) -> BbqItem | None:
    """None where the context or the answer does not have the group's word."""
    old = item.words[place]
    if not (words.names(item.context, old) and words.names(item.answers[place], old)):
        return None

    def about_new(text: str) -> str:
        return words.changed_text(text, words.changes_of_target(text, old, new))

    return replace(
        item,
        context=about_new(item.context),
        question=about_new(item.question),
        answers=tuple(map(about_new, item.answers)),
        words=tuple(new if index == place else word for index, word in enumerate(item.words)),
    )


def _people(item: BbqItem) -> list[int]:
    return [place for place in range(len(item.answers)) if place != item.unknown]
