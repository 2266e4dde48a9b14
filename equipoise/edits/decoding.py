"""NextTokenEdit: a rule for next-token distributions. No weight changes."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self, final

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.self_debias_rule import SelfDebiasing
from equipoise.edits.edit import Edit, EditInfo, described
from equipoise.edits.storage import HEAD, Stored, read_edit, write_edit
from equipoise.errors import ModelError, StoreError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.models.decoding_rule import DecodingRule

#: By the `decoding_rule` in `edit.json`.
DECODING_RULES: Mapping[str, type[DecodingRule]] = MappingProxyType(
    {SelfDebiasing.kind: SelfDebiasing, Counterfactual.kind: Counterfactual}
)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NextTokenEdit(Edit):
    """The model with a decoding rule, which scoring and generation both apply.

    It changes no parameters, so it can be attached to any causal model that has no decoding rule,
    whatever `info.base` says. Prefixes and word lists are stored in it.
    """

    kind: ClassVar[str] = "next_token"
    info: EditInfo = field()  # without field() the base's property would be its default
    decoding_rule: DecodingRule

    @property
    def content(self) -> str:
        """sha256 (hex) of the decoding rule's settings."""
        return self._stored().content

    def attached(self, model: LanguageModel) -> AbstractContextManager[LanguageModel]:
        """The model with this decoding rule.

        Raises `ModelError` for a masked model, which has no next token, and for a model that is
        adjusted already, since the order of two rules would be arbitrary.
        """
        return nullcontext(self.apply(model))

    def apply(self, model: LanguageModel) -> LanguageModel:
        """As `attached`, for good; the given model stays as it is."""
        if model.kind == "masked":
            raise ModelError(
                f"a next token can be adjusted in a causal model, {model.identity} is a masked "
                "one; use a causal model"
            )
        if model.decoding_rule is not None:
            raise ModelError(
                f"a model must have one decoding rule, {model.identity} has "
                f"'{model.decoding_rule.kind}' already; attach this edit to the model without it"
            )
        return replace(described(model, self), decoding_rule=self.decoding_rule)

    def save(self, folder: Path | str) -> None:
        """Write `edit.json`, `trained_on.json` and a card."""
        write_edit(Path(folder), self.info, self._stored())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote. Raises `StoreError` naming the file at fault."""
        info, stored = read_edit(folder)
        name, settings = stored.values.get("decoding_rule"), stored.values.get("settings")
        if (
            not isinstance(settings, dict)
            or not isinstance(name, str)
            or name not in DECODING_RULES
        ):
            raise StoreError(
                f"{folder / HEAD} must have a known decoding rule and its settings, got {name!r}; "
                f"{nearest(str(name), DECODING_RULES)}"
            )
        try:
            return cls(info=info, decoding_rule=DECODING_RULES[name].from_settings(settings))
        except ModelError as error:
            raise StoreError(f"{folder / HEAD}: {error}") from None

    def _stored(self) -> Stored:
        rule = self.decoding_rule
        return Stored(
            kind=self.kind, values={"decoding_rule": rule.kind, "settings": dict(rule.settings)}
        )
