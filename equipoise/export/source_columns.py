"""What every sheet of numbers says of them: what was asked, in which unit, of which data."""

import json
from collections.abc import Mapping

from equipoise.export.table_data import Cell, Column
from equipoise.records import JSON, Measurement
from equipoise.report.setting_names import Setting, setting_of

#: The benchmark and how it was asked.
ASKED = (
    Column(name="benchmark", seen="reader"),  # with what tells its settings apart
    Column(name="benchmark", seen="exact"),
    Column(name="version", seen="exact"),
    Column(name="split", seen="exact"),
    Column(name="options", seen="exact"),
    Column(name="limit", seen="exact"),
)
#: What a number is of, and from how much.
NUMBER_OF = (
    Column(name="unit"),
    Column(name="ideal", kind="number"),
    Column(name="higher_is_better", seen="exact"),
    Column(name="n", kind="number"),
    Column(name="clusters", kind="number", seen="exact"),
)
#: The data it rests on.
SOURCE = (
    Column(name="examples_sha256", seen="exact"),
    Column(name="data", seen="exact"),
    Column(name="data_sha256", seen="exact"),
    Column(name="data_licence", seen="exact"),
    Column(name="data_official", seen="exact"),
)
#: Why a number is nan.
REASON = Column(name="reason")


def asked(one: Measurement, names: Mapping[Setting, str]) -> tuple[Cell, ...]:
    """The cells of `ASKED`; `names`: `naming.setting_names` of all that are in the sheet."""
    name = names[setting_of(one)]
    return name, one.benchmark, one.version, one.split, as_json(one.options), one.limit


def as_json(options: Mapping[str, JSON]) -> str:
    """Options on one line, sorted by name."""
    return json.dumps(dict(options), sort_keys=True, ensure_ascii=False)


def group_text(group: Mapping[str, str]) -> str:
    """Such as "axis=gender"; empty: overall."""
    return "; ".join(f"{key}={name}" for key, name in group.items())


def source(one: Measurement) -> tuple[Cell, ...]:
    """The cells of `SOURCE`; of several files "; " stands between."""
    return (
        one.examples_sha256,
        "; ".join(use.name for use in one.data),
        "; ".join(use.sha256 for use in one.data),
        "; ".join(use.licence for use in one.data),
        "; ".join(str(use.verified).lower() for use in one.data),
    )
