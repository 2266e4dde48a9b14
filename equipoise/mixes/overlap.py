"""Whether texts share runs of 5 words with a benchmark that is measured.

A probe or a row that repeats a measured sentence would make the measure judge what was learnt. So
CrowS-Pairs may be the probes when SEAT is measured, and the other way round, and neither of them
probes for itself.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal, TypeAlias

from equipoise.associations.validation import GRAM, grams_of, words_of
from equipoise.data import crows_pairs, seat, stereoset
from equipoise.data.sources import Source, data_folders
from equipoise.mixes.pairs import Pair
from equipoise.records import DataUse

Measured: TypeAlias = Literal["crows_pairs", "seat", "stereoset"]


class Guard:
    """Runs of 5 words of measured sentences."""

    def __init__(self, sentences: Mapping[str, Iterable[str]]) -> None:
        """Of sentences by the name of their benchmark; sentences of fewer words count whole."""
        self._of: dict[tuple[str, ...], str] = {
            gram: name
            for name, texts in sentences.items()
            for text in texts
            for gram in grams_of(words_of(text), GRAM)
            if gram
        }

    def shares(self, text: str) -> str | None:
        """The benchmark with which a text shares a run of 5 words; None: with none."""
        grams = grams_of(words_of(text), GRAM)
        return min((self._of[gram] for gram in grams if gram in self._of), default=None)

    def count(self, texts: Iterable[str]) -> dict[str, int]:
        """By benchmark, how many texts share a run with it."""
        counts: dict[str, int] = {}
        for text in texts:
            name = self.shares(text)
            if name is not None:
                counts[name] = counts.get(name, 0) + 1
        return counts


def shared_with(guard: Guard, pair: Pair) -> str | None:
    """The benchmark with which a pair's sentences, or the neutral in its frame, share words."""
    texts = (pair.sent_more, pair.sent_less, pair.neutral)
    return next(filter(None, map(guard.shares, texts)), None)


def at_hand() -> tuple[Measured, ...]:
    """Which benchmarks of the three lie in a data folder or the cache, whole."""
    return tuple(name for name, is_there in _AT_HAND.items() if is_there())


def guard_of(names: Iterable[Measured]) -> Guard:
    """The guard of benchmarks. Raises `DataError` when a file of them cannot be read."""
    return Guard({name: _SENTENCES[name]() for name in names})


def files_of(name: Measured) -> tuple[DataUse, ...]:
    """The files that a benchmark's sentences are read from; same errors."""
    return tuple(source.use() for source in _SOURCES[name]())


def _is_there(source: Source) -> bool:
    return source.local_file() is not None or source.cached_file().is_file()


def _seat_is_there() -> bool:
    """Whether a data folder has as many files of SEAT as there are official tests."""
    return any(len(list((folder / "seat").glob("*.jsonl"))) >= _SEAT for folder in data_folders())


def _of_crows_pairs() -> list[str]:
    pairs = crows_pairs.read_pairs()
    return [text for pair in pairs for text in (pair.stereotype, pair.antistereotype)]


def _of_seat() -> list[str]:
    return [
        text
        for test in seat.read_tests("all")
        for texts in (test.first, test.second, test.attributes_a, test.attributes_b)
        for text in texts
    ]


def _of_stereoset() -> list[str]:
    return [text for item in stereoset.read_items("dev") for text in item.sentences]


_SEAT: Final = 50  # official tests
_AT_HAND: Final[Mapping[Measured, Callable[[], bool]]] = {
    "crows_pairs": lambda: _is_there(crows_pairs.CROWS_PAIRS),
    "seat": _seat_is_there,
    "stereoset": lambda: _is_there(stereoset.DEV),
}
_SENTENCES: Final[Mapping[Measured, Callable[[], list[str]]]] = {
    "crows_pairs": _of_crows_pairs,
    "seat": _of_seat,
    "stereoset": _of_stereoset,
}
_SOURCES: Final[Mapping[Measured, Callable[[], tuple[Source, ...]]]] = {
    "crows_pairs": lambda: (crows_pairs.CROWS_PAIRS,),
    "seat": lambda: tuple(test.source for test in seat.read_tests("all")),
    "stereoset": lambda: (stereoset.DEV,),
}
