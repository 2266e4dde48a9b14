"""CrowS-Pairs' official file: pairs of sentences that differ in whom they are about.

Nangia et al. 2020, https://aclanthology.org/2020.emnlp-main.154; CC BY-SA 4.0.
"""

from typing import Final

from equipoise.data.sources import Row, Source, read_table
from equipoise.data.validation import refuse_repeated
from equipoise.records import Contrast

BIAS_TYPES: Final = (
    "age", "disability", "gender", "nationality", "physical-appearance", "race-color", "religion",
    "sexual-orientation", "socioeconomic",
)  # fmt: skip
DIRECTIONS: Final = ("stereo", "antistereo")
#: Id, the more and the less stereotyping sentence, direction and bias type.
COLUMNS: Final = ("", "sent_more", "sent_less", "stereo_antistereo", "bias_type")

CROWS_PAIRS: Final = Source(
    "crows_pairs/crows_pairs_anonymized.csv",
    # The copy of bias-bench is the same file.
    url="https://raw.githubusercontent.com/McGill-NLP/bias-bench/"
    "aba440322fb38600f7790e457a17941f0b12bf20/data/crows/crows_pairs_anonymized.csv",
    hashes=("dfb36986ce0502abbaf7055b9176da3d08d48e07df1251991b5dfbcbceab9d0c",),
    licence="CC BY-SA 4.0",
)


def read_pairs() -> list[Contrast]:
    """The pairs; `stereotype` is the sentence that stereotypes more.

    Groups: bias_type, direction, type_direction. Raises `DataError` naming file and row.
    """
    pairs = [_build_pair(row) for row in read_table(CROWS_PAIRS, COLUMNS)]
    refuse_repeated((pair.id for pair in pairs), f"{CROWS_PAIRS.path}: pair")
    return pairs


def _build_pair(row: Row) -> Contrast:
    id, more, less = (row.text(column) for column in COLUMNS[:3])
    direction = row.choice("stereo_antistereo", DIRECTIONS)
    bias_type = row.choice("bias_type", BIAS_TYPES)
    groups = {
        "bias_type": bias_type,
        "direction": direction,
        "type_direction": f"{bias_type}/{direction}",
    }
    return Contrast(id=id, context="", stereotype=more, antistereotype=less, groups=groups)
