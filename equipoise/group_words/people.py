"""Whom examples are about."""

from collections.abc import Iterable

from equipoise.records import Contrast, Example


def target_terms(examples: Iterable[Example | Contrast]) -> set[tuple[str, str]]:
    """Whom they are about: bias type ("" where none is named) and target term, without case."""
    return {
        (example.groups.get("axis", ""), example.groups["target"].casefold())
        for example in examples
        if "target" in example.groups
    }
