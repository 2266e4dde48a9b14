"""Which items are about people, or have fillers, that an edit learnt of StereoSet's test split.

StereoSet's two splits have other target terms, but the same peoples: "Syria" is in one, "Syrian" in
the other. An edit keeps hashes of the texts that it learnt; those of the test split are found again
in its file, and with them whom they are about, and which two words were learnt against each other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from equipoise.data.stereoset import StereoSetItem, read_items, sources
from equipoise.group_words.people import Aliases, target_terms, wider, with_own
from equipoise.rows import LEARNT, text_sha256

#: Group keys by which items are sorted, and the group of what was not learnt.
PEOPLE: Final = "people"
FILLER_PAIR: Final = "filler_pair"
EITHER: Final = "people_or_pair"  # of an item with fillers: whether it shares either
UNRELATED: Final = "unrelated"
NEVER: Final = "never learnt"


@dataclass(frozen=True, slots=True)
class LearntItems:
    """What was learnt of StereoSet's test split."""

    terms: frozenset[tuple[str, str]]  # bias type and target term, without case
    people: frozenset[tuple[str, str]]  # bias type, and people or whom they belong to
    filler_pairs: frozenset[frozenset[str]]  # the stereotype's filler and its opposite, no case
    aliases: Aliases  # names of the same people, also those that the edits' supplies had

    def groups_of(self, item: StereoSetItem) -> dict[str, str]:
        """`PEOPLE`, and of an item with fillers `FILLER_PAIR` and `EITHER`: what was learnt."""
        about = (item.groups["axis"], wider(self.aliases.of(item.groups["target"])))
        groups = {PEOPLE: LEARNT if about in self.people else UNRELATED}
        pair = filler_pair(item)
        if pair is not None:
            groups[FILLER_PAIR] = LEARNT if pair in self.filler_pairs else NEVER
            groups[EITHER] = LEARNT if LEARNT in groups.values() else NEVER
        return groups

    def groups_of_text(self, text: str, axis: str) -> dict[str, str]:
        """`PEOPLE`: whether a text names people of this bias type that were learnt of."""
        terms = [term for of_axis, term in self.terms if of_axis == axis]
        named = self.aliases.named_in(text, terms)
        known = any((axis, wider(people)) in self.people for people in named)
        return {PEOPLE: LEARNT if known else UNRELATED}


def learnt_items(
    trained_on: frozenset[str], aliases: Mapping[str, str] | None = None
) -> LearntItems | None:
    """What of StereoSet's test split is among the texts with these hashes (`rows.text_sha256`).

    `aliases`: of the user's own, as supplies record them (`records.Supply`).
    None: nothing is, or the file is not at hand; it is not downloaded for this. Raises `DataError`
    for a file that cannot be read.
    """
    files = sources("test")
    if not trained_on or any(
        file.local_file() is None and not file.cached_file().is_file() for file in files
    ):
        return None
    learnt = (item for item in read_items("test") if item_hashes(item) & trained_on)
    return describe_items(learnt, aliases)


def describe_items(
    items: Iterable[StereoSetItem], aliases: Mapping[str, str] | None = None
) -> LearntItems | None:
    """Whom items are about, and the pairs of their fillers; None without any."""
    items = tuple(items)
    if not items:
        return None
    pairs = (filler_pair(item) for item in items)
    known = with_own(aliases or {})
    return LearntItems(
        terms=frozenset(target_terms(items)),
        people=frozenset((axis, wider(name)) for axis, name in known.target_people(items)),
        filler_pairs=frozenset(pair for pair in pairs if pair is not None),
        aliases=known,
    )


def item_hashes(item: StereoSetItem) -> set[str]:
    """Hashes of an item's whole texts: after the sentence before them, if any."""
    given = f"{item.context} " if item.task == "intersentence" else ""
    return {text_sha256(given + sentence) for sentence in item.sentences}


def filler_pair(item: StereoSetItem) -> frozenset[str] | None:
    """What fills the blank of the stereotype and of its opposite; None where there is no blank."""
    if item.task == "intersentence":
        return None
    texts = zip(item.sentences[:2], item.spans[:2], strict=True)
    return frozenset(text[start:end].casefold() for text, (start, end) in texts)
