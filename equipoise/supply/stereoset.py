"""StereoSet's test split: what of it may be learnt, and what is held out to stop on.

Liu et al. 2025 (BiasUnlearn) carve 50 items a bias type out of the official test split; here whole
target terms, so that no term is in both.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import ClassVar, Final, Literal

from pydantic import NonNegativeInt
from pydantic.dataclasses import dataclass

from equipoise.data.partition import shuffled
from equipoise.data.stereoset import AXES, BLANK, StereoSetItem, contrast_of, read_items, sources
from equipoise.errors import DataError
from equipoise.records import OPTIONS, DataUse, Supply
from equipoise.rows import text_sha256
from equipoise.supply.base import Supplier
from equipoise.supply.corpus import CorpusSupply, Passages

#: After these the published loader does not find what fills the blank.
_UNREADABLE: Final = (f".{BLANK}", f"`{BLANK}")
_MOST_NAMED: Final = 8  # examples or terms that an error names at most


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StereoSetSupply(Supplier):
    """The test split as contrasts, whose target terms are disjoint from those of dev.

    What texts share before the filler is the context of a contrast. Items whose blank is not clear
    or whose texts occurred before are left out.
    """

    version: ClassVar[str] = "1"
    labelled_by: ClassVar[str | None] = "stereoset"

    task: Literal["both", "intrasentence", "intersentence"] = "both"  # which examples
    #: about this many examples of each type are held out to stop on, whole terms; 0: none
    dev_per_type: NonNegativeInt = 50
    supply_seed: int = 0  # which target terms these are, and which texts of the corpus
    corpus: Passages | None = None  # plain texts beside the examples, drawn by supply_seed

    def supply(self) -> Supply:
        """Contrasts to learn from, contrasts to stop on, and the texts of the corpus.

        Raises `DataError` listing terms or examples that are in both splits, or naming a type with
        too few.
        """
        items = [item for item in read_items("test") if self.task in ("both", item.task)]
        pool = learnable(items)
        if not pool:
            raise DataError(
                f"stereoset: there must be {self.task} examples to learn from, got none in "
                f"{sources('test')[0].path}; use the official file, or a planted world with more "
                "targets (targets=40)"
            )
        refuse_shared(pool, read_items("dev"))
        train, dev = split_dev(pool, self.dev_per_type, seed=self.supply_seed)
        texts = self._texts()
        options = f"dev_per_type={self.dev_per_type}, supply_seed={self.supply_seed}"
        if self.corpus is not None:
            options += f", {texts.origin}"
        return Supply(
            origin=f"stereoset(task={self.task}, {options}):test",
            contrasts=tuple(map(contrast_of, train)),
            dev_contrasts=tuple(map(contrast_of, dev)),
            texts=texts.texts,
            documents=texts.documents,
            files=(*(source.use() for source in sources("test")), *texts.files),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The official file or what stands in for it, and those of the corpus."""
        return (*(source.use() for source in sources("test")), *self._texts().files)

    def _texts(self) -> Supply:
        if self.corpus is None:
            return Supply(origin="no corpus")
        options = asdict(self.corpus)
        del options["name"]
        return CorpusSupply(**options, seed=self.supply_seed).supply()


def learnable(items: Sequence[StereoSetItem]) -> list[StereoSetItem]:
    """The items to learn from: a single clear blank each, and no text of an item before.

    An item is left out if any of its three texts, whole and without regard to case, was there.
    """
    seen: set[str] = set()
    chosen = []
    for item in items:
        readable = item.context.count(BLANK) < 2 and not any(
            mark in item.context for mark in _UNREADABLE
        )
        texts = _texts(item)
        if readable and not texts & seen:
            chosen.append(item)
        seen |= texts
    return chosen


def refuse_shared(pool: Sequence[StereoSetItem], measured: Sequence[StereoSetItem]) -> None:
    """Raise `DataError` if items to learn from share terms or whole texts with measured items."""
    texts = {text for item in measured for text in _texts(item)}
    shared = {
        "target terms": sorted({_term(item) for item in pool} & {_term(item) for item in measured}),
        "texts of examples": [item.id for item in pool if _texts(item) & texts],
    }
    for what, names in shared.items():
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            raise DataError(
                f"stereoset: {what} of test must not be in dev, got {names[:_MOST_NAMED]}{more}; "
                "replace both by the official files"
            )


def split_dev(
    pool: Sequence[StereoSetItem], per_type: int, *, seed: int
) -> tuple[list[StereoSetItem], list[StereoSetItem]]:
    """The items to learn from, and those to stop on: about `per_type` of every bias type.

    Target terms in an order drawn by seed, as long as each brings the number nearer to `per_type`,
    but at least a term; none at 0, whatever types there are. A term that two types share is learnt.
    Raises `DataError` naming a type that has no items, fewer than twice `per_type`, or no terms to
    spare.
    """
    held_out = set().union(*(_dev_terms(pool, axis, per_type, seed=seed) for axis in AXES))
    return (
        [item for item in pool if _term(item) not in held_out],
        [item for item in pool if _term(item) in held_out],
    )


def _dev_terms(pool: Sequence[StereoSetItem], axis: str, per_type: int, *, seed: int) -> set[str]:
    counts = Counter(_term(item) for item in pool if item.groups["axis"] == axis)
    if per_type and not counts:
        raise DataError(
            f"stereoset: type '{axis}' must have examples to learn from, got none; use the "
            "official test file, or set dev_per_type to 0 to learn the types that there are"
        )
    # Held out for one type, such a term would be lost to the training of the other.
    elsewhere = {_term(item) for item in pool if item.groups["axis"] != axis}
    terms: set[str] = set()
    n = 0
    spare = [count for count in counts if count not in elsewhere]
    for term in shuffled(spare, seed=f"{axis} {seed}"):
        if abs(n + counts[term] - per_type) < abs(n - per_type):
            terms.add(term)
            n += counts[term]
    if per_type and spare and not terms:
        terms.add(min(spare, key=lambda term: (counts[term], term)))
    if counts.total() < 2 * per_type or (per_type and not 0 < len(terms) < len(counts)):
        raise DataError(
            f"stereoset: type '{axis}' must have {2 * per_type} examples to learn from, of "
            f"several target terms, for {per_type} to be held out; got {counts.total()} of "
            f"{len(counts)} terms; set dev_per_type lower, or 0 to hold none out"
        )
    return terms


def _texts(item: StereoSetItem) -> set[str]:
    """Hashes of an item's whole texts: after the sentence before them, if any."""
    given = f"{item.context} " if item.task == "intersentence" else ""
    return {text_sha256(given + sentence) for sentence in item.sentences}


def _term(item: StereoSetItem) -> str:
    return item.groups["target"].casefold()
