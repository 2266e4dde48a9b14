"""StereoSet's training pool: what of it may be learnt, and what is kept apart to stop on.

Liu et al. 2025 (BiasUnlearn) carve 50 items a bias type out of the official test split; here whole
target terms, so that no term is learnt and stopped on.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from equipoise.data.partition import shuffled
from equipoise.data.stereoset import AXES, BLANK, StereoSetItem
from equipoise.errors import DataError
from equipoise.records import Contrast, text_sha256

#: After these the published loader does not find what fills the blank.
_UNREADABLE: Final = (f".{BLANK}", f"`{BLANK}")
_NAMED: Final = 8  # examples or terms that an error names at most


def contrast_of(item: StereoSetItem) -> Contrast:
    """An item to learn from: its context holds what its texts share before the filler.

    Of an intrasentence item, where all texts are equal before the filler; else whole sentences.
    """
    context, endings = item.context, tuple(f" {sentence}" for sentence in item.sentences)
    if item.task == "intrasentence":
        context, endings = _from_filler(item)
    stereotype, antistereotype, *unrelated = endings
    return Contrast(
        id=item.id,
        context=context,
        stereotype=stereotype,
        antistereotype=antistereotype,
        unrelated=unrelated[0] if unrelated else None,
        groups=item.groups,
    )


def learnable(items: Sequence[StereoSetItem]) -> list[StereoSetItem]:
    """The items to learn from: one blank each, that can be found, and no text of an item before.

    An item is left out if any of its three texts, whole and without regard to case, was there.
    """
    seen: set[str] = set()
    found = []
    for item in items:
        readable = item.context.count(BLANK) < 2 and not any(
            one in item.context for one in _UNREADABLE
        )
        texts = _texts(item)
        if readable and not texts & seen:
            found.append(item)
        seen |= texts
    return found


def refuse_shared(pool: Sequence[StereoSetItem], measured: Sequence[StereoSetItem]) -> None:
    """Raise `DataError` if items to learn from share terms or whole texts with measured ones."""
    remedy = "replace both files by the official ones"
    shared = sorted({_term(one) for one in pool} & {_term(one) for one in measured})
    if shared:
        raise DataError(
            f"stereoset: target terms of test must not be in dev, got {_listed(shared)}; {remedy}"
        )
    texts = {text for one in measured for text in _texts(one)}
    same = [one.id for one in pool if _texts(one) & texts]
    if same:
        raise DataError(
            f"stereoset: texts of test must not be in dev, got those of {_listed(same)}; {remedy}"
        )


def held_back(
    pool: Sequence[StereoSetItem], per_type: int, *, seed: int
) -> tuple[list[StereoSetItem], list[StereoSetItem]]:
    """The items to learn from, and those to stop on: about `per_type` of every bias type.

    Target terms, taken in an order drawn by seed, as long as each brings the number nearer to
    `per_type`, but at least one; none at 0, whatever types there are. A term that two types share
    is learnt. Raises `DataError` naming a type that has no items, fewer than twice `per_type`, or
    no terms to spare.
    """
    kept: set[str] = set()
    for axis in AXES:
        kept |= _kept_terms(pool, axis, per_type, seed=seed)
    return (
        [one for one in pool if _term(one) not in kept],
        [one for one in pool if _term(one) in kept],
    )


def _kept_terms(pool: Sequence[StereoSetItem], axis: str, per_type: int, *, seed: int) -> set[str]:
    counts = Counter(_term(one) for one in pool if one.groups["axis"] == axis)
    if per_type and not counts:
        raise DataError(
            f"stereoset: type '{axis}' must have examples to learn from, got none; use the "
            "official test file, or set dev_per_type to 0 to learn the types that there are"
        )
    elsewhere = {_term(one) for one in pool if one.groups["axis"] != axis}
    kept: set[str] = set()
    n = 0
    spare = [count for count in counts if count not in elsewhere]
    for term in shuffled(spare, seed=f"{axis} {seed}"):
        if abs(n + counts[term] - per_type) < abs(n - per_type):
            kept.add(term)
            n += counts[term]
    if per_type and spare and not kept:
        kept.add(min(spare, key=lambda one: (counts[one], one)))
    if counts.total() < 2 * per_type or (per_type and not 0 < len(kept) < len(counts)):
        raise DataError(
            f"stereoset: type '{axis}' must have {2 * per_type} examples to learn from, of "
            f"several target terms, for {per_type} to be kept apart; got {counts.total()} of "
            f"{len(counts)} terms; set dev_per_type lower, or 0 to keep none apart"
        )
    return kept


def _from_filler(item: StereoSetItem) -> tuple[str, tuple[str, ...]]:
    """What stands before the filler, without the space that ends it, and what follows in each."""
    before = {text[:start] for text, (start, _) in zip(item.sentences, item.spans, strict=True)}
    context = before.pop().rstrip() if len(before) == 1 else ""
    return context, tuple(text[len(context) :] for text in item.sentences)


def _texts(item: StereoSetItem) -> set[str]:
    """Hashes of an item's whole texts: after the sentence before them, if there is one."""
    given = f"{item.context} " if item.task == "intersentence" else ""
    return {text_sha256(given + sentence) for sentence in item.sentences}


def _term(item: StereoSetItem) -> str:
    return item.groups["target"].casefold()


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return str(list(names[:_NAMED])) + (f" and {more} more" if more > 0 else "")
