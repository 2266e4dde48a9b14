"""CrowS-Pairs' official file: pairs of sentences that differ in whom they are about.

Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154; CC BY-SA 4.0.
"""

from typing import Final

from equipoise.data import hub_forms
from equipoise.data.sources import REMEDY, Source
from equipoise.data.validation import refuse_repeated
from equipoise.errors import DataError
from equipoise.files.rows import ENDINGS, FileRow, columns_of, read_rows, show_columns
from equipoise.records import Contrast

BIAS_TYPES: Final = tuple(sorted(hub_forms.CROWS_BIAS_TYPES))
DIRECTIONS: Final = hub_forms.CROWS_DIRECTIONS
#: Id, the more and the less stereotyping sentence, direction and bias type.
COLUMNS: Final = ("", "sent_more", "sent_less", "stereo_antistereo", "bias_type")
#: What the column of ids is called: in the official file, by pandas, on the Hub.
_IDS: Final = ("", "Unnamed: 0", "id", "index")

CROWS_PAIRS: Final = Source(
    "crows_pairs/crows_pairs_anonymized.csv",
    # The copy of bias-bench is the same file.
    url="https://raw.githubusercontent.com/McGill-NLP/bias-bench/"
    "aba440322fb38600f7790e457a17941f0b12bf20/data/crows/crows_pairs_anonymized.csv",
    hashes=("dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c",),
    licence="CC BY-SA 4.0",
    endings=ENDINGS,
)


def read_pairs() -> list[Contrast]:
    """The pairs; `stereotype` is the sentence that stereotypes more.

    Without a column of ids they are numbered from 0, as the official file does. Bias types are what
    the file says; numbers as labels are the Hub's (`hub_forms`). Groups: bias_type, direction,
    type_direction. Raises `DataError` naming file and row.
    """
    rows, ids = _read_file()
    pairs = [_build_pair(row, ids, number) for number, row in enumerate(rows)]
    refuse_repeated((pair.id for pair in pairs), f"{CROWS_PAIRS.use().name}: pair")
    return pairs


def read_remarks() -> tuple[str, ...]:
    """What the file has that the official file has not; errors as of `read_pairs`."""
    rows, ids = _read_file()
    pairs = [_build_pair(row, ids, number) for number, row in enumerate(rows)]
    others = sorted({pair.groups["bias_type"] for pair in pairs} - set(BIAS_TYPES))
    notes = [f"bias types of the file's own: {', '.join(others)}"] if others else []
    if ids is None:
        notes.append("ids: the file has none, so that pairs are numbered from 0")
    if any(hub_forms.label_number(row.cells.get("bias_type")) is not None for row in rows):
        order = ", ".join(f"{i} {name}" for i, name in enumerate(hub_forms.CROWS_BIAS_TYPES))
        notes.append(
            f"bias types: numbers were read in the order of the Hugging Face Hub ({order})"
        )
    if any(hub_forms.label_number(row.cells.get("stereo_antistereo")) is not None for row in rows):
        notes.append("directions: numbers were read as the Hub has them (0 stereo, 1 antistereo)")
    return tuple(notes)


def _read_file() -> tuple[list[FileRow], str | None]:
    """The rows, and the column of their ids."""
    name = CROWS_PAIRS.use().name
    rows = read_rows(CROWS_PAIRS.read(), name)
    columns = columns_of(rows)
    missing = [column for column in COLUMNS[1:] if column not in columns]
    if missing:
        raise DataError(
            f"{name} must have a column '{missing[0]}', got {show_columns(columns)}; correct "
            "line 1, or measure pairs with other columns by the benchmark 'pairs'"
        )
    return rows, next((column for column in _IDS if column in columns), None)


def _build_pair(row: FileRow, ids: str | None, number: int) -> Contrast:
    id = str(number) if ids is None else row.label(ids)
    more, less = (row.text(column) for column in COLUMNS[1:3])
    direction, bias_type = (
        hub_forms.label_name(row.label(column), names)
        for column, names in zip(COLUMNS[3:], (DIRECTIONS, hub_forms.CROWS_BIAS_TYPES), strict=True)
    )
    if direction not in DIRECTIONS:
        raise DataError(
            f"{row.where}: stereo_antistereo must be one of {list(DIRECTIONS)}, got "
            f"'{str(direction)[:40]}'; {REMEDY}"
        )
    for column, value in ((ids, id), ("bias_type", bias_type)):
        if value is None:
            raise DataError(f"{row.where}: column '{column}' must have a name; {REMEDY}")
    groups = {
        "bias_type": str(bias_type),
        "direction": str(direction),
        "type_direction": f"{bias_type}/{direction}",
    }
    return Contrast(id=str(id), context="", stereotype=more, antistereotype=less, groups=groups)
