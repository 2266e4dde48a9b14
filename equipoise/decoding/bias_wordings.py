"""The package's own sentences that announce a bias, for each type in five wordings.

They are in `bias_prefixes.json`. The types are those of CrowS-Pairs; "profession" and "race",
StereoSet's names, stand for "socioeconomic" and "race-color" (neither the paper nor its code has a
prefix for professions).
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from equipoise.errors import DataError, nearest

#: Other names of types.
SAME_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {"profession": "socioeconomic", "race": "race-color"}
)


def bias_prefixes() -> Mapping[str, tuple[str, ...]]:
    """Bias type to its wordings, the usual one first; without a space at the end."""
    text = files("equipoise.decoding").joinpath("bias_prefixes.json").read_text("utf-8")
    return {name: tuple(wordings) for name, wordings in json.loads(text).items()}


def bias_type(name: str) -> str:
    """The type that a name stands for. Raises `DataError` with the nearest names."""
    known = bias_prefixes()
    standard = SAME_TYPE.get(name, name)
    if standard not in known:
        raise DataError(f"bias type '{name}' has no prefix; {nearest(name, (*known, *SAME_TYPE))}")
    return standard
