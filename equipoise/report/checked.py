"""Checks for the page: what was found alike in several places is told once."""

from collections.abc import Iterable
from dataclasses import dataclass

from equipoise.conclusions import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One thing that a check found, and everywhere it did."""

    check: str
    level: str  # "error", "warning" or "ok"
    text: str
    where: tuple[str, ...]  # at least one


def gathered(findings: Iterable[Finding]) -> tuple[Checked, ...]:
    """The findings, those with the same check, level and text as one, in the order of the first."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for finding in findings:
        found.setdefault((finding.check, finding.level, finding.text), []).append(finding.where)
    return tuple(
        Checked(check=check, level=level, text=text, where=tuple(dict.fromkeys(where)))
        for (check, level, text), where in found.items()
    )
