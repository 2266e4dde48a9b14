"""Whose a change is, of the words or of the group: a sentence for each metric with both parts."""

from collections.abc import Iterator, Sequence

from equipoise.conclusions import UNSTATED, Change
from equipoise.metrics.target_parts import EXCHANGED, OWN, TARGET
from equipoise.number_text import difference


def part_sentences(changes: Sequence[Change]) -> Iterator[str]:
    """How much of each change in percent is of the words, how much of the group, overall.

    The words' part is what changes with others in the target's place, the group's what changes of
    the target's part; they sum to the change on the items whose target can be exchanged. Nothing
    where settings differ, or without intervals.
    """
    overall = {change.metric: change for change in changes if not change.group}
    for name, group in overall.items():
        whole = overall.get(name.removesuffix(TARGET) + OWN)
        words = overall.get(name.removesuffix(TARGET) + EXCHANGED)
        if not name.endswith(TARGET) or whole is None or words is None or group.unit != "%":
            continue
        if any(change.direction in UNSTATED for change in (whole, words, group)):
            continue
        yield (
            f"exchange: {name.removesuffix(TARGET)} of the {group.n} items whose target can be "
            f"exchanged changed by {_number(whole)}: {_number(words)} is of the words, which stays "
            f"with others in the target's place, and {_number(group)} of the group; "
            f"{_conclude(whole, words, group)}"
        )


def _conclude(whole: Change, words: Change, group: Change) -> str:
    of_words, of_group = words.direction != "unchanged", group.direction != "unchanged"
    if of_words and of_group:
        return "words and group both take part in it"
    if of_words:
        return "words changed, not groups: that the group takes part is not shown"
    if of_group:
        return "the group takes part in it, the words are not shown to"
    shown = "no change of it is shown" if whole.direction == "unchanged" else "it is shown"
    return f"{shown}, and of neither part is a change shown"


def _number(change: Change) -> str:
    # a change is shown by its interval and by a permutation test: where they differ, both are told
    split = change.direction == "unchanged" and (change.low > 0 or change.high < 0)
    note = f"; p {change.p_holm:.2f}" if split else ""
    return difference(change.difference, change.low, change.high, note=note, places=1)
