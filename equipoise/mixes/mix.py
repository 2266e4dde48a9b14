"""Mixes: training sets of biased and neutral rows, the probes of their bias, and texts kept apart.

After BiasDiff (section 3.1 and appendix C), whose mixes are pairs of a generator with news or
facts, 3 : 7. In those any bag of words tells the biased rows from the others; in `hard_mix` neutral
rows share the frames of biased rows, in `twin_mix` their stereotypes as well, said of other groups.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from equipoise.data import biased_corpora as corpora
from equipoise.data.clozes import trex_sources
from equipoise.data.documents import AG_NEWS
from equipoise.data.sources import Source
from equipoise.errors import RecipeError
from equipoise.mixes.grammar import draw_pairs
from equipoise.mixes.neutral import fact_rows, file_rows, news_rows
from equipoise.mixes.pairs import Pair
from equipoise.own_data.probe_file import sharing_no_text
from equipoise.records import DataUse
from equipoise.rows import Probe, TrainingRow

Rows = list[TrainingRow]
Read = tuple[Rows, tuple[DataUse, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Where the rows of a mix come from: names of sources to shares of their side, which sum to 1.

    Of `neutral`, the held-out texts as well.
    """

    biased: Mapping[str, float]
    neutral: Mapping[str, float]


MIXES: Final[Mapping[str, Mix]] = {
    "gen_mix": Mix(biased={"pairs": 1}, neutral={"news": 1}),
    "trex_mix": Mix(biased={"pairs": 1}, neutral={"facts": 1}),
    "hard_mix": Mix(biased={"pairs": 1}, neutral={"facts": 0.5, "matched": 0.5}),
    "twin_mix": Mix(biased={"pairs": 1}, neutral={"facts": 0.4, "matched": 0.3, "twins": 0.3}),
    "toxic_mix": Mix(biased={"toxic": 1}, neutral={"news": 1}),
    "balance": Mix(
        biased={"bug": 0.5, "hate": 0.5},
        neutral={"bug_others": 1 / 3, "gap": 1 / 3, "no_hate": 1 / 3},
    ),
    "planted_mix": Mix(biased={"planted": 1}, neutral={"planted_neutral": 1}),
    "planted_hard_mix": Mix(
        biased={"planted": 1}, neutral={"planted_neutral": 0.48, "planted_matched": 0.52}
    ),
    "files": Mix(biased={"biased_file": 1}, neutral={"neutral_file": 1}),
}
#: Sources that are made of pairs.
_OF_PAIRS: Final = ("pairs", "matched", "twins")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How many of what."""

    rows: int = 2000
    ratio: float = 0.3  # biased share of the rows
    probes: int = 100
    dev_probes: int = 100
    held_out: int = 200  # neutral texts

    @property
    def biased(self) -> int:
        """How many rows are biased."""
        return math.floor(self.ratio * self.rows + 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingredients:
    """What a mix may be made of beside what is in the package and the data folder."""

    pairs: tuple[Pair, ...] | None = None  # in place of the grammar's
    pools: Mapping[str, tuple[TrainingRow, ...]] = field(default_factory=dict)  # by source
    files: Mapping[str, str] = field(default_factory=dict)  # source to a file of texts
    probes: tuple[Probe, ...] | None = None  # in place of pairs
    refused: Callable[[Pair], bool] = lambda _: False  # pairs that the grammar must not give


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltMix:
    """A mix: disjoint rows, probes and texts."""

    rows: tuple[TrainingRow, ...]
    probes: tuple[Probe, ...]
    dev_probes: tuple[Probe, ...]
    texts: tuple[str, ...]  # neutral, held out
    files: tuple[DataUse, ...]


def build_mix(
    mix: Mix, sizes: Sizes, *, seed: int, ingredients: Ingredients | None = None
) -> BuiltMix:
    """The rows of a mix in an order drawn by seed, with probes and texts that are not among them.

    Probes do not depend on how many rows there are; given ones that share a sentence with a probe
    are not kept apart to judge on. Raises `RecipeError` when a source has too few
    texts, and what reading files raises.
    """
    given = Ingredients() if ingredients is None else ingredients
    shares = {
        **_counts(mix.biased, sizes.biased),
        **_counts(mix.neutral, sizes.rows - sizes.biased),
    }
    apart = _counts({name: mix.neutral[name] for name in mix.neutral}, sizes.held_out)
    of_pairs = given.probes is None
    kept = sizes.probes + sizes.dev_probes if of_pairs else 0
    pairs = _draw_pairs(given, kept, shares, apart, seed=seed)
    probes = tuple(pair.probe for pair in pairs[:kept]) if given.probes is None else given.probes
    rng = np.random.default_rng([seed, 1])
    rows: Rows = []
    texts: list[str] = []
    files: list[DataUse] = []
    taken = {text for probe in probes for text in probe.texts}
    for name in {**mix.biased, **mix.neutral}:
        wanted, spare = shares.get(name, 0), apart.get(name, 0)
        if not wanted + spare:
            continue
        pool, uses = _read(name, pairs[kept:], given)
        drawn = _choose(name, pool, wanted + spare, taken, rng)
        taken.update(row.content for row in drawn)
        rows += drawn[:wanted]
        texts += [row.content for row in drawn[wanted:]]
        files += uses
    order = rng.permutation(len(rows))
    selecting = probes[: sizes.probes]
    return BuiltMix(
        rows=tuple(rows[place] for place in order),
        probes=selecting,
        dev_probes=sharing_no_text(probes[sizes.probes :], selecting)[: sizes.dev_probes],
        texts=tuple(texts),
        files=tuple(dict.fromkeys(files)),
    )


def _counts(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """A whole number for each share, which sum to the total; the first take what is left over."""
    counts = {name: math.floor(share * total + 1e-9) for name, share in shares.items()}
    for name in list(counts)[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _draw_pairs(
    given: Ingredients,
    kept: int,
    shares: Mapping[str, int],
    apart: Mapping[str, int],
    *,
    seed: int,
) -> tuple[Pair, ...]:
    """The pairs of the probes, then of the rows: biased rows first, those of twins last."""
    needed = {name: shares.get(name, 0) + apart.get(name, 0) for name in _OF_PAIRS}
    # a twin's own pair is not among the biased rows, whose lesson it would undo
    total = max(needed["pairs"] + needed["twins"], needed["matched"])
    # frames with neutral attributes may be the same twice
    total = kept + total + (total // 4 if needed["matched"] else 0)
    if given.pairs is None:
        return draw_pairs(total, seed=seed, refused=given.refused) if total else ()
    without = sum(not pair.neutral for pair in given.pairs)
    if needed["matched"] and without:
        raise RecipeError(
            "a mix whose neutral rows share frames with biased rows must have pairs with their "
            f"neutral sentence, got {without} of {len(given.pairs)} without; take another mix, or "
            "the grammar's pairs ('equipoise mix pairs')"
        )
    if len(given.pairs) < total:
        raise RecipeError(
            f"pairs must be at least {total} for probes and rows, got {len(given.pairs)}; lower "
            "rows, ratio, probe_count or dev_count, or write more pairs"
        )
    order = np.random.default_rng([seed, 2]).permutation(len(given.pairs))
    return tuple(given.pairs[place] for place in order[:total])


def _read(name: str, pairs: Sequence[Pair], given: Ingredients) -> Read:
    """All rows of a source."""
    if name in given.pools:
        return list(given.pools[name]), ()
    if name in given.files:
        return file_rows(given.files[name], "biased" if name == "biased_file" else "neutral")
    if name in _OF_PAIRS:
        return _rows_of_pairs(name, pairs), ()
    if name in _SOURCES:
        return _SOURCES[name]()
    raise RecipeError(
        f"a mix of '{name}' must be given where its texts are, got nothing; set {name} to a file "
        "of texts, or take another mix"
    )


def _rows_of_pairs(name: str, pairs: Sequence[Pair]) -> Rows:
    """Stereotypes from the first pair on; frames alike; twins from the last pair on."""
    if name == "pairs":
        return [pair.row for pair in pairs]
    kept = pairs if name == "matched" else pairs[::-1]
    return [
        TrainingRow(
            id=f"{name}:{pair.id}",
            text=pair.neutral if name == "matched" else pair.sent_less,
            groups={"label": "neutral", "source": name, "frame": pair.frame},
        )
        for pair in kept
    ]


def _choose(name: str, pool: Rows, count: int, taken: set[str], rng: np.random.Generator) -> Rows:
    """Rows of different texts: of pairs the first, of other sources drawn."""
    order = range(len(pool)) if name in _OF_PAIRS else rng.permutation(len(pool))
    chosen: dict[str, TrainingRow] = {}
    for place in order:
        row = pool[place]
        if len(chosen) == count:
            break
        if row.content not in taken:
            chosen.setdefault(row.content, row)
    if len(chosen) < count:
        raise RecipeError(
            f"'{name}' must have {count} different texts for rows and held-out texts, got "
            f"{len(chosen)}; lower rows or held_out"
        )
    return list(chosen.values())


# --- sources ----------------------------------------------------------------------------------


def _corpus(
    read: Callable[[], list[corpora.LabelledText]], source: Source, name: str, *, biased: bool
) -> Read:
    """The texts of a corpus with that label, of the others none."""
    label = "biased" if biased else "neutral"
    rows = []
    for text in read():
        if text.biased == biased:
            axis = {"axis": text.axis} if text.axis and biased else {}
            groups = {"label": label, "source": name} | axis
            rows.append(TrainingRow(id=f"{name}:{text.id}", text=text.text, groups=groups))
    return rows, (source.use(),)


def _of(
    read: Callable[[], list[corpora.LabelledText]], source: Source, name: str, *, biased: bool
) -> Callable[[], Read]:
    return lambda: _corpus(read, source, name, biased=biased)


_SOURCES: Final[Mapping[str, Callable[[], Read]]] = {
    "news": news_rows,
    "facts": fact_rows,
    "toxic": _of(corpora.read_toxicity, corpora.TOXICITY, "toxicity", biased=True),
    "bug": _of(corpora.read_bug, corpora.BUG, "bug", biased=True),
    "bug_others": _of(corpora.read_bug, corpora.BUG, "bug", biased=False),
    "gap": _of(corpora.read_gap, corpora.GAP, "gap", biased=False),
    "hate": _of(corpora.read_hate_speech, corpora.HATE_SPEECH, "hate_speech", biased=True),
    "no_hate": _of(corpora.read_hate_speech, corpora.HATE_SPEECH, "hate_speech", biased=False),
}

_FILES: Final[Mapping[str, Callable[[], tuple[Source, ...]]]] = {
    "news": lambda: (AG_NEWS,),
    "facts": trex_sources,
    "toxic": lambda: (corpora.TOXICITY,),
    "gap": lambda: (corpora.GAP,),
    **dict.fromkeys(("bug", "bug_others"), lambda: (corpora.BUG,)),
    **dict.fromkeys(("hate", "no_hate"), lambda: (corpora.HATE_SPEECH,)),
}


def files_of_mix(mix: Mix) -> tuple[DataUse, ...]:
    """The official files that the rows of a mix are read from, without reading their rows."""
    names = dict.fromkeys((*mix.biased, *mix.neutral))
    uses = [source.use() for name in names if name in _FILES for source in _FILES[name]()]
    return tuple(dict.fromkeys(uses))
