"""Options given on the command line as name.option=value, and margins as people write them."""

import json
from collections.abc import Iterable, Mapping, Sequence
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

    by_plugin: Mapping[str, Mapping[str, JSON]] = field(default_factory=dict)

    @classmethod
    def parse(cls, texts: Iterable[str], plugins: Iterable[str]) -> "Settings":
        """Read "genbias.split_by=both"; a value is JSON if it can be, else it is the text itself.

        `plugins`: the names in use. An option of an option is dotted:
        "bias_unlearn.controller=equivalence" and "bias_unlearn.controller.band=5".
        Raises `RecipeError` for a text without name, option or sign, an option that is given twice,
        and an option of a plug-in that is not in use.
        """
        used = set(plugins)
        by_plugin: dict[str, dict[str, JSON]] = {}
        for text in texts:
            left, sign, value = text.partition("=")
            guess, dot, option = left.rpartition(".")
            if not (sign and dot and guess and option):
                raise RecipeError(
                    f"an option is set as name.option=value, got '{text}'; write that"
                )
            name = max((name for name in used if left.startswith(f"{name}.")), key=len, default="")
            if not name:
                raise RecipeError(
                    f"--set {left} is for a plug-in that is not used here; {nearest(guess, used)}"
                )
            path = left.removeprefix(f"{name}.").split(".")
            _set_option(by_plugin.setdefault(name, {}), path, _parse_value(value), left)
        return cls(by_plugin=by_plugin)

    def of(self, name: str) -> dict[str, JSON]:
        """The options of one plug-in; empty when none were given."""
        return dict(self.by_plugin.get(name, {}))


def _set_option(options: dict[str, JSON], path: Sequence[str], value: JSON, left: str) -> None:
    """Put a value at a path; the name of a choice and its options may come in either order."""
    option, *rest = path
    earlier = options.get(option)
    if rest:
        inner: JSON = {"name": earlier} if isinstance(earlier, str) else options.get(option, {})
        if isinstance(inner, dict):
            options[option] = inner
            _set_option(inner, rest, value, left)
            return
    elif isinstance(earlier, dict) and "name" not in earlier and isinstance(value, str):
        earlier["name"] = value
        return
    if option in options:
        raise RecipeError(f"--set {left} must be given once, got it twice; drop one")
    options[option] = value


def margins_of(texts: Iterable[str]) -> dict[str, Margin]:
    """Margins given as benchmark.metric=3 or benchmark.metric=2%. Raises `RecipeError`."""
    margins = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            if not (sign and name.rpartition(".")[1]):
                raise ValueError(text)
            margins[name] = margin_of(value)
        except ValueError:
            raise RecipeError(
                f"a margin is set as benchmark.metric=3 or benchmark.metric=2%, got '{text}'; "
                "write that"
            ) from None
    return margins


def _parse_value(text: str) -> JSON:
    try:
        value: JSON = json.loads(text, object_pairs_hook=_refuse_repeats)
    except ValueError:
        return text
    return value


def _refuse_repeats(pairs: list[tuple[str, JSON]]) -> JSON:
    """A JSON object; of a repeated name Python would silently keep the last."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"an option must have each name once, got '{name}' twice; drop one")
    return dict(pairs)
