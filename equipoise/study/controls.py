"""Controls that join a study by themselves: what counting words gives a method's own numbers.

StereoSet can be brought to parity by a table that counts how often a word was the stereotype and
never looks at the group. Beside each method that learnt from its contrasts stand that table
(`mitigate.word_table`) and the same table of labels dealt at random, learnt from the same supply.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from equipoise import plugins
from equipoise.errors import RecipeError
from equipoise.loading.model_kind import NamedKind
from equipoise.mitigate.base import Mitigation, single_parts
from equipoise.mitigate.word_table import WordTable, check_supply
from equipoise.records import JSON, Decision, Embedding, Request, Supply
from equipoise.study.recipe import MitigationSpec, Recipe, Spec
from equipoise.supply.base import Supplier

LABELLED_BY: Final = "stereoset"  # whose contrasts the controls are of

_NAME: Final = "word_table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Controls:
    """The controls of a recipe, by their labels."""

    added: tuple[MitigationSpec, ...]  # that the recipe does not list
    #: To the labels of the methods that each is a control of. With those that the recipe lists.
    methods: Mapping[str, tuple[str, ...]]
    tables: frozenset[str]  # those with the true labels, which no seed changes

    def leave_out(
        self,
        model: str,
        *,
        kind: NamedKind | None,
        supplies: Mapping[str, Supply],
        unread: Sequence[str],
    ) -> dict[str, JSON]:
        """Of each control that joins and cannot act on a model, the reason.

        `supplies`: of each that joins. `unread`: the benchmarks, where none reads next words.
        """
        if kind == "masked":
            reason = f"{model} is masked, and a table changes next words of causal models"
            return dict.fromkeys(supplies, reason)
        if unread:
            reason = f"a table changes next words, and {', '.join(unread)} reads none"
            return dict.fromkeys(supplies, reason)
        reasons: dict[str, JSON] = {}
        for label, supply in supplies.items():
            try:
                check_supply(supply, choosing=True)
            except RecipeError as error:
                reasons[label] = str(error)
        return reasons


def find_controls(recipe: Recipe, mitigations: Mapping[str, Mitigation]) -> Controls:
    """The controls of a recipe whose mitigations are built, by label: two for each supply.

    None where it wants none, or where no method learns from contrasts that StereoSet labels.
    Raises `RecipeError` for an unknown supply.
    """
    learners: dict[str, list[MitigationSpec]] = {}  # by their supply
    for spec in recipe.mitigations if recipe.controls else ():
        method = mitigations[spec.label]
        if _learns_contrasts(method):
            # the usual supply of a word table is that of all that StereoSet teaches
            supply = recipe.supply_of(spec, method.taught_by)
            if plugins.find(Supplier, supply.name).labelled_by == LABELLED_BY:
                learners.setdefault(_content(supply), []).append(spec)
    added: list[MitigationSpec] = []
    methods: dict[str, tuple[str, ...]] = {}
    tables: set[str] = set()
    taken = {spec.label for spec in recipe.mitigations}
    for content, specs in learners.items():
        supply = recipe.supply_of(specs[0], LABELLED_BY)
        of_several = f" of {supply.label}" if len(learners) > 1 else ""
        for shuffled in (False, True):
            label = next(
                (
                    spec.label
                    for spec in recipe.mitigations
                    if mitigations[spec.label] == WordTable(shuffled=shuffled)
                    and _content(recipe.supply_of(spec, LABELLED_BY)) == content
                ),
                None,
            )
            if label is None:
                what = f"{_NAME}, shuffled" if shuffled else _NAME
                label = _free(f"{what} (control{of_several})", taken)
                taken.add(label)
                options: dict[str, JSON] = {"shuffled": True} if shuffled else {}
                added.append(
                    MitigationSpec(
                        name=_NAME, label=label, options=options, supply=specs[0].supply,
                        line=specs[0].line,
                    )
                )  # fmt: skip
            methods[label] = tuple(spec.label for spec in specs)
            tables |= set() if shuffled else {label}
    return Controls(added=tuple(added), methods=methods, tables=frozenset(tables))


def can_answer(requests: Sequence[Sequence[Request]]) -> bool:
    """Whether a table, which changes next words alone, can be asked all of these."""
    return not any(isinstance(ask, Embedding | Decision) for asks in requests for ask in asks)


def _learns_contrasts(method: Mitigation) -> bool:
    """Whether a method learns from labelled contrasts, and is none of the controls itself."""
    return any(
        part.learns and part.taught_by == LABELLED_BY and not isinstance(part, WordTable)
        for part in single_parts(method)
    )


def _content(supply: Spec) -> str:
    """Equal for supplies that are made alike, whatever they are called."""
    return json.dumps([supply.name, dict(supply.options)], sort_keys=True)


def _free(label: str, taken: set[str]) -> str:
    while label in taken:
        label += "'"
    return label


def with_controls(recipe: Recipe, controls: Controls) -> Recipe:
    """The recipe with the controls that it does not list."""
    return replace(recipe, mitigations=(*recipe.mitigations, *controls.added))
