"""CrowS-Pairs' official file: pairs of sentences that differ in whom they are about.

Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154; CC BY-SA 4.0.
"""

from typing import Final

from equipoise.data.sources import CsvRow, Source, read_csv
from equipoise.errors import DataError, nearest
from equipoise.records import Contrast

BIAS_TYPES: Final = (
    "age", "disability", "gender", "nationality", "physical-appearance", "race-color", "religion",
    "sexual-orientation", "socioeconomic",
)  # fmt: skip
DIRECTIONS: Final = ("stereo", "antistereo")
#: Id, the more and the less stereotyping sentence, direction and bias type.
COLUMNS: Final = ("", "sent_more", "sent_less", "stereo_antistereo", "bias_type")

_REVISION = "aba440322fb38600f7790e457a17941f0b12bf20"  # of bias-bench, which holds the same file
CROWS_PAIRS: Final = Source(
    "crows_pairs/crows_pairs_anonymized.csv",
    url="https://raw.githubusercontent.com/McGill-NLP/bias-bench/"
    f"{_REVISION}/data/crows/crows_pairs_anonymized.csv",
    revision=_REVISION,
    sha256=("dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c",),
    blob="28fa7d906a83d441001fb2a0eeae28c6d64a99e1",  # data/… of nyu-mll/crows-pairs @ 8aaac11
    licence="CC BY-SA 4.0",
)


def read_pairs() -> list[Contrast]:
    """The pairs; `stereotype` is the sentence that stereotypes more.

    Groups: bias_type, direction, type_direction. Raises `DataError` naming file and row.
    """
    pairs: dict[str, Contrast] = {}
    for row in read_csv(CROWS_PAIRS, COLUMNS):
        pair = _pair(row)
        if pair.id in pairs:
            raise DataError(
                f"{CROWS_PAIRS.path}, line {row.line}: a pair's id must occur once, got "
                f"'{pair.id}' twice; correct the file, or delete it to fetch it again"
            )
        pairs[pair.id] = pair
    return list(pairs.values())


def _pair(row: CsvRow) -> Contrast:
    where = f"{CROWS_PAIRS.path}, line {row.line}"
    id, more, less, direction, bias_type = (row.values[column] for column in COLUMNS)
    for column, value, valid in (
        ("bias_type", bias_type, BIAS_TYPES),
        ("stereo_antistereo", direction, DIRECTIONS),
    ):
        if value not in valid:
            raise DataError(f"{where}: {column} '{value}' is not known; {nearest(value, valid)}")
    for column, value in zip(COLUMNS, (id, more, less), strict=False):
        if not value.strip():
            raise DataError(
                f"{where}: column '{column}' must have a text, got {value!r}; "
                "correct the file, or delete it to fetch it again"
            )
    groups = {
        "bias_type": bias_type,
        "direction": direction,
        "type_direction": f"{bias_type}/{direction}",
    }
    return Contrast(id=id, context="", stereotype=more, antistereotype=less, groups=groups)
