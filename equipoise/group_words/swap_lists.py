"""Lists of words to swap, as a JSON file holds them: the built-in ones (own list) or a user's own.

    {"licence": "…",
     "axes": {"gender": {
        "groups": ["male", "female"],
        "rows": [["he", "she"], ["dad", ["mom", "mum"]],
                 {"words": ["his", "her"], "use": "determiner"},
                 {"words": ["Mr", "Ms"], "exact": true}],
        "unchanged": ["Isle of Man"],
        "persons": ["men", "women"]}}}

A row has a cell for each group: a word, or several of which the first is written and all are read.
What `use` and `exact` mean stands with `Row`; all but groups and rows may be left out.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final, cast

from equipoise.data.sources import parse_json
from equipoise.errors import DataError, RecipeError, nearest
from equipoise.group_words.swap_rows import Row, Swaps, Use
from equipoise.records import JSON, DataUse

_BUILT_IN: Final = "swaps.json"
_ROW_KEYS: Final = frozenset({"words", "use", "exact"})
_AXIS_KEYS: Final = frozenset({"groups", "rows", "unchanged", "persons"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapLists:
    """The lists of a file, and what a result records about it."""

    axes: Mapping[str, Swaps]  # by axis; built in: gender, names, race, religion
    use: DataUse

    def chosen(self, *names: str) -> tuple[Swaps, ...]:
        """The lists of these axes, in this order; `RecipeError` for one that is not there."""
        for name in names:
            if name not in self.axes:
                raise RecipeError(
                    f"{self.use.name} has no axis '{name}'; {nearest(name, self.axes)}"
                )
        return tuple(self.axes[name] for name in names)


def read_swap_lists(file: str | None = None) -> SwapLists:
    """The lists of a JSON file; None: the built-in ones.

    Raises `DataError`, naming the axis and the row, for a file that is missing or not of the form
    above, an entry that is empty or listed twice, a row without a word for each group.
    """
    if file is None:
        name, content = _BUILT_IN, files("equipoise.group_words").joinpath(_BUILT_IN).read_bytes()
    else:
        name, content = Path(file).name, _read(Path(file).expanduser())
    known = parse_json(content, name)
    axes = known.get("axes") if isinstance(known, dict) else None
    if not isinstance(known, dict) or not isinstance(axes, dict) or not axes:
        raise DataError(
            f"{name} must be an object with 'axes', each axis to its groups and rows, "
            f"got {_shown(known)}; see the built-in {_BUILT_IN}"
        )
    licence = known.get("licence", "not known: a file of the user's own")
    use = DataUse(
        name=name,
        sha256=hashlib.sha256(content).hexdigest(),
        licence=str(licence),
        verified=file is None,
    )
    return SwapLists(axes={axis: _swaps(axis, one, name) for axis, one in axes.items()}, use=use)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise DataError(f"swap lists '{path}' must be a JSON file, got none there; check the path")
    return path.read_bytes()


def _swaps(axis: str, given: JSON, name: str) -> Swaps:
    where = f"{name}, axis '{axis}'"
    if not isinstance(given, dict) or not {"groups", "rows"} <= given.keys() <= _AXIS_KEYS:
        raise DataError(
            f"{where}: must have groups and rows, and may have unchanged and persons, "
            f"got {_shown(given)}; mend it"
        )
    rows = given["rows"]
    if not isinstance(rows, list) or not rows:
        raise DataError(f"{where}: rows must be a list of rows, got {_shown(rows)}; mend it")
    return Swaps(
        axis=axis,
        groups=_strings(given["groups"], f"{where}: groups"),
        rows=tuple(_row(row, f"{where}, row {index}") for index, row in enumerate(rows, 1)),
        unchanged=_strings(given.get("unchanged", []), f"{where}: unchanged"),
        persons=frozenset(_strings(given.get("persons", []), f"{where}: persons")),
    )


def _row(given: JSON, where: str) -> Row:
    row = given if isinstance(given, dict) else {"words": given}
    cells, use, exact = row.get("words"), row.get("use"), row.get("exact", False)
    if (
        not row.keys() <= _ROW_KEYS
        or not isinstance(cells, list)
        or not isinstance(use, str | None)
        or not isinstance(exact, bool)
    ):
        raise DataError(
            f"{where}: must be a list of words, or an object with words, use and exact, "
            f"got {_shown(given)}; mend it"
        )
    words = tuple(_strings([cell] if isinstance(cell, str) else cell, where) for cell in cells)
    return Row(words=words, use=cast(Use | None, use), exact=exact)  # checked by Swaps


def _strings(given: JSON, where: str) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise DataError(f"{where} must be a list of words, got {_shown(given)}; mend it")
    return tuple(str(one) for one in given)


def _shown(given: JSON) -> str:
    """The beginning of a value, for an error."""
    text = repr(sorted(given) if isinstance(given, dict) else given)
    return text if len(text) <= 60 else text[:57] + "..."
