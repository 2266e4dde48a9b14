"""What a result must show, as a sentence: "stereoset.ss within 45..55".

    NAME.METRIC within A..B, at least A, at most B
    NAME.METRIC[key=group] the same
    no group of NAME.METRIC outside A..B, below A, above B, worse than A
    no group of NAME.METRIC by KEY the same

"worse than A": farther from the ideal than A is; of a metric with a direction, beyond A on the bad
side. Where a result has a single benchmark, "of NAME.METRIC" may be left out, for its first metric.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from equipoise.errors import RecipeError, nearest
from equipoise.files.yaml_data import read_yaml

_NUMBER = r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
_RANGE = rf"(?P<low>{_NUMBER})\s*\.\.\s*(?P<high>{_NUMBER})"
_LEAST, _MOST = rf"(?P<least>{_NUMBER})", rf"(?P<most>{_NUMBER})"
_OVERALL = re.compile(
    r"(?P<metric>[^\s\[]+)(?:\[(?P<group>[^\]]+)\])?\s+"
    rf"(?:within\s+{_RANGE}|at\s+least\s+{_LEAST}|at\s+most\s+{_MOST})",
    re.IGNORECASE,
)
_EVERY = re.compile(
    r"no\s+group(?:\s+of\s+(?P<metric>\S+))?(?:\s+by\s+(?P<by>\S+))?\s+"
    rf"(?:outside\s+{_RANGE}|below\s+{_LEAST}|above\s+{_MOST}|worse\s+than\s+(?P<worse>{_NUMBER}))",
    re.IGNORECASE,
)
_NEXT_KEY = re.compile(r",\s*(?=[^=,\s]+\s*=)")
_FORMS = (
    "write 'NAME.METRIC within 45..55', 'NAME.METRIC at least 80', 'NAME.METRIC at most 60' or "
    "'no group of NAME.METRIC worse than 60'"
)
_KEY = "require"  # of a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """Where the whole interval of a number, or of every group's, must lie."""

    text: str
    where: str  # "--require", or a file and its line
    metric: str | None  # "stereoset.ss"; None: the first of the only benchmark
    low: float = -math.inf
    high: float = math.inf
    worse: float | None = None  # in place of `low` and `high`: as near the ideal as this
    group: tuple[tuple[str, str], ...] = ()  # key and name; (): overall
    every_group: bool = False
    by: str | None = None  # of every group: those of this key alone; None: all


def parse_requirement(text: str, where: str = "--require") -> Requirement:
    """Read a sentence. Raises `RecipeError`, beginning with `where`, for one of no known form."""
    words = text.strip()
    every = _EVERY.fullmatch(words)
    match = every or _OVERALL.fullmatch(words)
    if match is None:
        raise RecipeError(f"{where}: a requirement must be of a known form, got {text!r}; {_FORMS}")
    parts = match.groupdict()
    low = float(parts["low"] or parts["least"] or -math.inf)
    high = float(parts["high"] or parts["most"] or math.inf)
    if low > high:
        raise RecipeError(
            f"{where}: a range must run upwards, got {low:g}..{high:g}; write {high:g}..{low:g}"
        )
    return Requirement(
        text=words,
        where=where,
        metric=parts["metric"],
        low=low,
        high=high,
        worse=float(parts["worse"]) if parts.get("worse") else None,
        group=_read_group(parts.get("group"), words, where),
        every_group=every is not None,
        by=parts.get("by"),
    )


def _read_group(text: str | None, words: str, where: str) -> tuple[tuple[str, str], ...]:
    """Keys and names of "axis=gender, target=nurse"; a name may have commas and spaces."""
    parts = [] if text is None else _NEXT_KEY.split(text)
    sides = [part.partition("=") for part in parts]
    pairs = [(key.strip(), name.strip()) for key, _, name in sides]
    if not all(key and name for key, name in pairs):
        raise RecipeError(
            f"{where}: a group must be key=name, got [{text}] in {words!r}; write "
            "NAME.METRIC[axis=gender]"
        )
    return tuple(sorted(pairs))


def read_requirements(file: Path) -> list[Requirement]:
    """The requirements of a YAML file: `require:` and a list of sentences.

    Raises `RecipeError` with file and line for anything else.
    """
    data, lines = read_yaml(file, "gate")
    if not isinstance(data, dict):
        raise RecipeError(
            f"{file} line {lines[()]}: a gate must be a mapping, got {data!r:.60}; write "
            f"'{_KEY}:' and a list under it"
        )
    for key in data:
        if key != _KEY:
            raise RecipeError(
                f"{file} line {lines[(key,)]}: a gate has no key '{key}'; {nearest(key, [_KEY])}"
            )
    sentences = data.get(_KEY)
    if not isinstance(sentences, list) or not sentences:
        raise RecipeError(
            f"{file} line {lines[()]}: a gate must list what it requires, got {sentences!r:.60}; "
            f"write '{_KEY}:' and under it '- stereoset.ss within 45..55'"
        )
    requirements = []
    for index, sentence in enumerate(sentences):
        where = f"{file} line {lines[_KEY, index]}"
        if not isinstance(sentence, str):
            raise RecipeError(
                f"{where}: a requirement must be a sentence, got {sentence!r:.60}; {_FORMS}"
            )
        requirements.append(parse_requirement(sentence, where))
    return requirements


def collect_requirements(texts: Iterable[str], file: Path | None) -> list[Requirement]:
    """Those of the file, then those given. Raises `RecipeError` where there is none."""
    requirements = [] if file is None else read_requirements(file)
    requirements += [parse_requirement(text) for text in texts]
    if not requirements:
        raise RecipeError(f"a gate must require something, got {requirements}; {_FORMS}")
    return requirements
