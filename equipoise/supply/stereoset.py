"""StereoSet's test split: what of it may be learnt, and what is held out to stop on.

Liu et al. 2025 (BiasUnlearn) carve 50 items a bias type out of the official test split; here all
items about a people, under whatever name (`group_words.people`), so that no people is in both.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import ClassVar, Final, Literal

from pydantic import NonNegativeInt
from pydantic.dataclasses import dataclass

from equipoise.data.partition import shuffled
from equipoise.data.stereoset import AXES, BLANK, StereoSetItem, contrast_of, read_items, sources
from equipoise.data.stereoset_case import read_cased, written
from equipoise.errors import DataError
from equipoise.group_words.learnt_people import item_hashes
from equipoise.group_words.people import Aliases, aliases_use, own_people, read_aliases, wider
from equipoise.records import OPTIONS, DataUse, Supply
from equipoise.supply.base import Supplier
from equipoise.supply.corpus import CorpusSupply, Passages

#: After these the published loader does not find what fills the blank.
_UNREADABLE: Final = (f".{BLANK}", f"`{BLANK}")
_MOST_NAMED: Final = 8  # examples or terms that an error names at most


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class StereoSetSupply(Supplier):
    """The test split as contrasts, whose target terms are disjoint from those of dev.

    What texts share before the filler is the context of a contrast. Items whose blank is not clear
    or whose texts occurred before are left out. The terms are other strings than those of dev, and
    for the most part the same peoples ("Syrian", "Syria").
    """

    version: ClassVar[str] = "2"
    labelled_by: ClassVar[str | None] = "stereoset"

    task: Literal["both", "intrasentence", "intersentence"] = "both"  # which examples
    #: about this many examples of each type are held out to stop on, all about a people; 0: none
    dev_per_type: NonNegativeInt = 50
    supply_seed: int = 0  # which people these are about, and which texts of the corpus
    #: whom they are about; "unrelated": nobody whom dev, which is measured, is about
    people: Literal["all", "unrelated"] = "all"
    #: names of the same people beside the built-in ones: a YAML file of your own
    aliases: str | None = None
    corpus: Passages | None = None  # plain texts beside the examples, drawn by supply_seed
    #: the file's lower-cased intrasentence texts, or with their template's capitals
    case: Literal["official", "restored"] = "official"

    def supply(self) -> Supply:
        """Contrasts to learn from, contrasts to stop on, and the texts of the corpus.

        The origin says how many examples are about people of dev. Raises `DataError` listing terms
        or examples that are in both splits, or naming a type with too few; errors of the aliases
        are those of `group_words.people.read_aliases`.
        """
        cased = [written(item, self.case)[0] for item in read_cased("test", self.case)]
        items = [item for item in cased if self.task in ("both", item.task)]
        pool = learnable(items)
        if not pool:
            raise DataError(
                f"stereoset: there must be {self.task} examples to learn from, got none in "
                f"{sources('test')[0].path}; use the official file, or a planted world with more "
                "targets (targets=40)"
            )
        measured = read_items("dev")
        refuse_shared(pool, measured)
        aliases = read_aliases(self.aliases)
        known = {wider(person) for _, person in aliases.target_people(measured)}
        related = [item for item in pool if wider(aliases.of(item.groups["target"])) in known]
        people = f"people={self.people}"
        axes: Sequence[str] = AXES
        if self.people == "unrelated":
            left_out = {item.id for item in related}
            pool = [item for item in pool if item.id not in left_out]
            people += f", {len(related)} examples about people of dev left out"
            # a type of which all are, as religion in the official files, is not learnt
            lost = {item.groups["axis"] for item in related}
            lost -= {item.groups["axis"] for item in pool}
            axes = [axis for axis in AXES if axis not in lost]
            people += f", all of {' and '.join(sorted(lost))}" if lost else ""
        else:
            people += f", {len(related)} of {len(pool)} examples about people of dev"
        train, dev = split_dev(
            pool, self.dev_per_type, seed=self.supply_seed, aliases=aliases, axes=axes
        )
        texts = self._texts()
        options = f"dev_per_type={self.dev_per_type}, supply_seed={self.supply_seed}, {people}"
        if self.case != "official":
            options += f", case={self.case}"
        if self.corpus is not None:
            options += f", {texts.origin}"
        return Supply(
            origin=f"stereoset(task={self.task}, {options}):test",
            contrasts=tuple(map(contrast_of, train)),
            dev_contrasts=tuple(map(contrast_of, dev)),
            texts=texts.texts,
            documents=texts.documents,
            files=self._files(texts),
            aliases=own_people(self.aliases),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The official file or what stands in for it, and those of the corpus and of aliases."""
        return self._files(self._texts())

    def _files(self, texts: Supply) -> tuple[DataUse, ...]:
        aliases = () if self.aliases is None else (aliases_use(self.aliases),)
        return (*(source.use() for source in sources("test")), *texts.files, *aliases)

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
        texts = item_hashes(item)
        if readable and not texts & seen:
            chosen.append(item)
        seen |= texts
    return chosen


def refuse_shared(pool: Sequence[StereoSetItem], measured: Sequence[StereoSetItem]) -> None:
    """Raise `DataError` if items to learn from share terms or whole texts with measured items.

    Terms as they are written: the official splits share none, and most of their peoples.
    """
    texts = {text for item in measured for text in item_hashes(item)}
    shared = {
        "target terms": sorted({_term(item) for item in pool} & {_term(item) for item in measured}),
        "texts of examples": [item.id for item in pool if item_hashes(item) & texts],
    }
    for what, names in shared.items():
        if names:
            more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            raise DataError(
                f"stereoset: {what} of test must not be in dev, got {names[:_MOST_NAMED]}{more}; "
                "replace both by the official files"
            )


def split_dev(
    pool: Sequence[StereoSetItem],
    per_type: int,
    *,
    seed: int,
    aliases: Aliases | None = None,
    axes: Sequence[str] = AXES,
) -> tuple[list[StereoSetItem], list[StereoSetItem]]:
    """The items to learn from, and those to stop on: about `per_type` of each of the bias types.

    Peoples, with all their terms, in an order drawn by seed, as long as each brings the number
    nearer to `per_type`, but at least a people; none at 0, whatever types there are. A people that
    two types share is learnt. `aliases`: names of the same people; None: the built-in ones.
    Raises `DataError` naming a type that has no items, fewer than twice `per_type`, or no people to
    spare.
    """
    known = aliases or read_aliases()
    people = {item.id: known.of(item.groups["target"]) for item in pool}
    held_out = set().union(*(_dev_people(pool, people, axis, per_type, seed) for axis in axes))
    return (
        [item for item in pool if people[item.id] not in held_out],
        [item for item in pool if people[item.id] in held_out],
    )


def _dev_people(
    pool: Sequence[StereoSetItem], people: Mapping[str, str], axis: str, per_type: int, seed: int
) -> set[str]:
    """`people`: an item's id to whom it is about."""
    counts = Counter(people[item.id] for item in pool if item.groups["axis"] == axis)
    if per_type and not counts:
        raise DataError(
            f"stereoset: type '{axis}' must have examples to learn from, got none; use the "
            "official test file, or set dev_per_type to 0 to learn the types that there are"
        )
    # Held out for one type, such a people would be lost to the training of the other.
    elsewhere = {people[item.id] for item in pool if item.groups["axis"] != axis}
    chosen: set[str] = set()
    n = 0
    spare = [count for count in counts if count not in elsewhere]
    for name in shuffled(spare, seed=f"{axis} {seed}"):
        if abs(n + counts[name] - per_type) < abs(n - per_type):
            chosen.add(name)
            n += counts[name]
    if per_type and spare and not chosen:
        chosen.add(min(spare, key=lambda name: (counts[name], name)))
    if counts.total() < 2 * per_type or (per_type and not 0 < len(chosen) < len(counts)):
        raise DataError(
            f"stereoset: type '{axis}' must have {2 * per_type} examples to learn from, about "
            f"several peoples, for {per_type} to be held out; got {counts.total()} about "
            f"{len(counts)}; set dev_per_type lower, or 0 to hold none out"
        )
    return chosen


def _term(item: StereoSetItem) -> str:
    return item.groups["target"].casefold()
