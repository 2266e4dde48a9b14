"""HellaSwag to learn from: each beginning with its real ending, or with all four.

A study of GPT-2 fine-tunes it on "about 10,000 samples" of HellaSwag (Zellers et al. 2019), which
is the size of the validation file, and calls the result less biased. It says first that the label
picks the ending, then that "the four" endings follow the context: both readings are here. Nothing
in the data set works against bias; what changes is the domain. Three wrong endings of four are a
machine's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass as plain_dataclass
from dataclasses import field
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt, PositiveInt
from pydantic.dataclasses import dataclass

from equipoise.data import hellaswag as official
from equipoise.data.hellaswag import ORIGINS, Origin, Story
from equipoise.data.partition import shuffled
from equipoise.data.sources import REMEDY
from equipoise.errors import DataError, RecipeError
from equipoise.group_words.mentions import find_mentions
from equipoise.group_words.word_lists import WordLists, read_word_lists, word_lists_use
from equipoise.records import MOST_SEED, OPTIONS, DataUse, Supply
from equipoise.rows import TrainingRow, text_sha256
from equipoise.supply.base import Supplier

#: Of the built-in word lists, all.
_AXES = ("gender", "names", "race", "religion", "nationality")
#: Of the official file; "": a file that does not say.
_LABELLED = ("train", "val", "")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class HellaSwagSupply(Supplier):
    """Rows of HellaSwag, of the file that the benchmark reads or of another.

    Held-out items are its neutral texts. A model that learnt from the validation file is refused
    on the benchmark `hellaswag` of that file.
    """

    version: ClassVar[str] = "1"

    path: str | None = None  # a file of either form, as the official train file; null: validation
    endings: Literal["correct", "all4"] = "correct"  # a row an item; or four, with the wrong ones
    source: Literal["both", "activitynet", "wikihow"] = "both"  # captions of videos, instructions
    marks: Literal["strip", "keep"] = "strip"  # in square brackets, of the official file
    items: PositiveInt | None = None  # to learn, drawn by seed; null: all that are not held out
    held_out: NonNegativeInt = 1042  # items kept apart; of the validation file 9,000 are left
    #: a control: an item with a word of the built-in lists of groups is left out, and another
    #: drawn in its place
    without_terms: bool = False
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] = 0  # which items are held out, which learnt

    def supply(self) -> Supply:
        """Rows of the items drawn, in the order of the file, and held-out texts.

        Of a source and a seed the same items are held out, whatever is learnt. Groups of a row:
        "source" and "item", and of all four endings "ending" ("real" or "machine"). Raises
        `DataError` naming file and row, and `RecipeError` when there are too few items.
        """
        name = official.file_use(self.path).name
        stories = official.read_stories(self.path)
        marked = self.marks == "keep"
        shown = official.read_stories(self.path, marks=True) if marked else stories
        items = [
            _Item(story=story, shown=as_shown, origin=_origin(story, name))
            for story, as_shown in zip(stories, shown, strict=True)
        ]
        drawn = self._draw([item for item in items if self.source in ("both", item.origin)])
        rows = tuple(row for item in drawn.learnt for row in self._rows(item))
        learnt = {row.document or text_sha256(row.text) for row in rows}
        # some items share a beginning and an ending
        apart = [
            item for item in drawn.held_out if learnt.isdisjoint(map(text_sha256, _texts(item)))
        ]
        return Supply(
            origin=f"hellaswag({', '.join((name, *self._about(items, drawn, len(apart))))})",
            rows=rows,
            texts=tuple(item.story.text for item in apart),
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The file, and the lists of words where they are used."""
        lists = (word_lists_use(None),) if self.without_terms else ()
        return (official.file_use(self.path), *lists)

    def _draw(self, items: Sequence["_Item"]) -> "_Drawn":
        named = {item.story.id: item for item in items}
        order = [named[id] for id in shuffled(list(named), seed=f"hellaswag {self.seed}")]
        held_out, rest = order[: self.held_out], order[self.held_out :]
        drawn = _Drawn(held_out=_in_order(held_out))
        lists = read_word_lists(None, _AXES) if self.without_terms else None
        learnt: list[_Item] = []
        for item in rest:
            if self.items is not None and len(learnt) == self.items:
                break
            if lists is not None and _mentions(item.story, self.endings, lists):
                drawn.left_out += 1
            else:
                learnt.append(item)
        wanted = self.items or 1
        if len(learnt) < wanted:
            left = f", {drawn.left_out} that mention a group" if lists else ""
            raise RecipeError(
                f"hellaswag must have {wanted} items to learn from {self.source}, got "
                f"{len(learnt)} beside {len(held_out)} held out{left}; lower items or held_out"
            )
        drawn.learnt = _in_order(learnt)
        return drawn

    def _rows(self, item: "_Item") -> Iterator[TrainingRow]:
        story, shown = item.story, item.shown
        for number, ending in enumerate(shown.endings):
            real = number == story.answer
            if self.endings == "correct" and not real:
                continue
            kind = {} if self.endings == "correct" else {"ending": "real" if real else "machine"}
            plain = f"{story.beginning} {story.endings[number]}"
            text = f"{shown.beginning} {ending}"
            yield TrainingRow(
                id=story.id if self.endings == "correct" else f"{story.id}, ending {number}",
                text=text,
                context=shown.beginning,
                groups={"source": item.origin, "item": story.id, **kind},
                # as the benchmark reads it, which asks for it without marks
                document="" if text == plain else text_sha256(plain),
            )

    def _about(self, items: Sequence["_Item"], drawn: "_Drawn", apart: int) -> Iterator[str]:
        learnt = f"{len(drawn.learnt)} items of {self.source}"
        yield f"endings={self.endings}, {learnt}, seed={self.seed}, {apart} held out"
        if apart < len(drawn.held_out):
            yield f"without {len(drawn.held_out) - apart} that share a text with these"
        if self.without_terms:
            yield f"{drawn.left_out} that mention a group left out"
        if not all(item.story.source_id for item in items):
            yield "source told by the activity's label, as the file names none"


@plain_dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    story: Story  # without marks, as the benchmark reads it
    shown: Story  # as it is learnt
    origin: Origin


@plain_dataclass(slots=True, kw_only=True)
class _Drawn:
    held_out: list[_Item]
    learnt: list[_Item] = field(default_factory=list)
    left_out: int = 0  # that mention a group


def _in_order(items: Sequence[_Item]) -> list[_Item]:
    return sorted(items, key=lambda item: int(item.story.id.rpartition(" ")[2]))


def _texts(item: _Item) -> Iterator[str]:
    return (f"{item.story.beginning} {ending}" for ending in item.story.endings)


def _mentions(story: Story, endings: str, lists: WordLists) -> bool:
    """Whether what is learnt of an item has a word that names a group."""
    learnt = (story.endings[story.answer],) if endings == "correct" else story.endings
    return any(find_mentions(f"{story.beginning} {ending}", lists) for ending in learnt)


def _origin(story: Story, name: str) -> Origin:
    if story.split not in _LABELLED:
        raise DataError(
            f"{name}, {story.id}: split must be 'train' or 'val', got '{story.split[:20]}'; the "
            f"labels of others are not public; {REMEDY}"
        )
    if story.origin is None:
        raise DataError(
            f"{name}, {story.id}: source_id must begin with one of {list(ORIGINS)}, got "
            f"'{story.source_id[:20]}'; {REMEDY}"
        )
    return story.origin
