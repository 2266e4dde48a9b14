"""NextTokenEdit: a rule for next-token distributions. No weight changes."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.decoding.word_weights_rule import WordWeights
from equipoise.edits.base import HEAD, Edit, Stored, described
from equipoise.edits.edit import EditInfo
from equipoise.errors import ModelError, StoreError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.models.decoding_rule import DecodingRule

#: By the `decoding_rule` in `edit.json`.
DECODING_RULES: Mapping[str, type[DecodingRule]] = MappingProxyType(
    {rule.kind: rule for rule in (SelfDebiasing, Counterfactual, WordWeights)}
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class NextTokenEdit(Edit):
    """The model with a decoding rule, which scoring and generation both apply.

    It changes no parameters, so it can be attached to any causal model that has no decoding rule,
    whatever `info.base` says. Prefixes and word lists are stored in it.
    """

    kind: ClassVar[str] = "next_token"

    decoding_rule: DecodingRule

    def put(self, model: LanguageModel, undo: ExitStack) -> LanguageModel:  # noqa: ARG002
        """The model with this decoding rule; nothing to undo.

        Raises `ModelError` for a masked model, which has no next token, and for a model that has a
        rule already, since the order of two rules would be arbitrary.
        """
        if model.kind == "masked":
            raise ModelError(
                f"a next token can be adjusted in a causal model, {model.identity} is masked; use "
                "a causal model"
            )
        if model.decoding_rule is not None:
            raise ModelError(
                f"a model must have a single decoding rule, {model.identity} has "
                f"'{model.decoding_rule.kind}' already; attach this edit to the model without it"
            )
        return replace(described(model, self), decoding_rule=self.decoding_rule)

    @classmethod
    def _from_stored(cls, info: EditInfo, stored: Stored, folder: Path) -> Self:
        name, settings = str(stored.values.get("decoding_rule")), stored.values.get("settings")
        if not isinstance(settings, dict) or name not in DECODING_RULES:
            raise StoreError(
                f"{folder / HEAD} must have a known decoding rule and its settings, got {name!r}; "
                f"{nearest(name, DECODING_RULES)}"
            )
        try:
            return cls(info=info, decoding_rule=DECODING_RULES[name].from_settings(settings))
        except ModelError as error:
            raise StoreError(f"{folder / HEAD}: {error}") from None

    def stored(self) -> Stored:
        """The rule's name and settings, in `edit.json`."""
        rule = self.decoding_rule
        return Stored(
            kind=self.kind, values={"decoding_rule": rule.kind, "settings": dict(rule.settings)}
        )
