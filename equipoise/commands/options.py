"""Options given on the command line as name.option=value, and margins as people write them."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from equipoise.errors import RecipeError, nearest
from equipoise.records import JSON, Margin, margin_of


def dashed(argument: str) -> str:
    """A command-line word with the underscores of its flag as dashes: --batch_size=8 too."""
    if not argument.startswith("--"):
        return argument
    flag, sign, value = argument.partition("=")
    return "--" + flag[2:].replace("_", "-") + sign + value


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Options by plug-in name."""

    given: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str]) -> "Settings":
        """Read "genbias.split_by=both"; a value is JSON if it can be, else it is the text itself.

        Raises `RecipeError` for what has no name, option or sign, or is given twice.
        """
        given: dict[str, dict[str, JSON]] = {}
        for text in texts:
            left, sign, value = text.partition("=")
            name, dot, option = left.rpartition(".")
            if not (sign and dot and name and option):
                raise RecipeError(
                    f"an option is set as name.option=value, got '{text}'; write that"
                )
            if option in given.setdefault(name, {}):
                raise RecipeError(f"--set {left} must be given once, got it twice; drop one")
            given[name][option] = _value(value)
        return cls(given=given)

    def of(self, name: str) -> dict[str, JSON]:
        """The options of one plug-in; empty when none were given."""
        return dict(self.given.get(name, {}))

    def check_used(self, names: Iterable[str]) -> None:
        """Raise `RecipeError` when an option is for a plug-in that is not used."""
        used = set(names)
        for name in self.given:
            if name not in used:
                option = next(iter(self.given[name]))
                raise RecipeError(
                    f"--set {name}.{option} is for a plug-in that is not used here; "
                    f"{nearest(name, used)}"
                )


def margins_of(texts: Iterable[str]) -> dict[str, Margin]:
    """Margins given as benchmark.metric=3 or benchmark.metric=2%. Raises `RecipeError`."""
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            if not (sign and name.rpartition(".")[1]):
                raise ValueError(text)
            found[name] = margin_of(value)
        except ValueError:
            raise RecipeError(
                f"a margin is set as benchmark.metric=3 or benchmark.metric=2%, got '{text}'; "
                "write that"
            ) from None
    return found


def _value(text: str) -> JSON:
    try:
        value: JSON = json.loads(text, object_pairs_hook=_each_once)
    except ValueError:
        return text
    return value


def _each_once(pairs: list[tuple[str, JSON]]) -> JSON:
    """A JSON object; of a name that stands there twice Python would keep the last alone."""
    found: dict[str, JSON] = {}
    for name, value in pairs:
        if name in found:
            raise RecipeError(f"an option must have each name once, got '{name}' twice; drop one")
        found[name] = value
    return found
