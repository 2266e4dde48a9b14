"""StereoSet's examples about others of their target's kind."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from equipoise.data.stereoset import TARGETS, StereoSetItem
from equipoise.exchange import words
from equipoise.exchange.words import Span, TargetWords
from equipoise.group_words.counterfactuals import Change
from equipoise.metrics.target_parts import DONE, GROUP, NOT_LISTED, NOT_NAMED

_COMPARED: Final = 2  # the stereotype and its opposite: a preference needs no unrelated text


class _Rule(Protocol):
    def __call__(self, text: str, *, keep: Span | None = None) -> tuple[Change, ...]:
        """What to change in a text, of which a span is to stay."""


def exchange_targets(items: Sequence[StereoSetItem], count: int) -> list[StereoSetItem]:
    """The items, each with up to `count` copies about others in `others`.

    Group "exchange" says whether there are any, or why not. Of a target of gender there is a single
    copy, of the other sex: every word of either outside of the filler is exchanged. Copies have the
    stereotype and its opposite alone.
    Raises `DataError` for an unreadable file of the user's own words.
    """
    listed = words.read_words(TARGETS)
    return [_exchange(item, count, listed) for item in items]


def _exchange(item: StereoSetItem, count: int, listed: TargetWords) -> StereoSetItem:
    axis, target = item.groups["axis"], item.groups["target"]
    rules: list[_Rule] = []
    others = listed.others(axis, target)
    if others is not None:
        said = " ".join((item.context, *item.sentences)).casefold()
        # nobody whom the texts speak of already
        usable = [word for word in others if word.casefold() not in said]
        for new in words.drawn(usable, count, id=item.id):
            rules.append(partial(words.changes_of_target, target=target, new=new))
    elif axis == words.GENDER and words.has_other_sex(target):
        rules.append(words.changes_of_sex)
    else:
        return replace(item, groups={**item.groups, GROUP: NOT_LISTED})
    copies = tuple(copy for rule in rules if (copy := _copy(item, rule)) is not None)
    reason = DONE if copies else NOT_NAMED
    return replace(item, others=copies, groups={**item.groups, GROUP: reason})


def _copy(item: StereoSetItem, rule: _Rule) -> StereoSetItem | None:
    """The item about somebody else; None where a text that must name the target does not."""
    within = item.task == "intrasentence"
    sentences, spans = [], []
    for text, span in list(zip(item.sentences, item.spans, strict=True))[:_COMPARED]:
        changes = rule(text, keep=span if within else None)
        if within and not (changes and words.names(text, item.groups["target"])):
            return None
        sentences.append(words.changed_text(text, changes))
        spans.append(words.moved(span, changes) if within else (0, len(sentences[-1])))
    changes = rule(item.context)
    if not within and not (changes and words.names(item.context, item.groups["target"])):
        return None
    return replace(
        item,
        context=words.changed_text(item.context, changes),
        sentences=tuple(sentences),
        sentence_ids=item.sentence_ids[:_COMPARED],
        spans=tuple(spans),
    )
