"""Two mitigations as one: an edit of weights behind a prompt, a prompt around a decoding rule, ….

BiasGym (section 4.4) asks both of its steered models with the prompt of `prompt_explain`, and
compares them with models that have neither. A study that lists the two parts and this measures each
alone and both together, on the same items, and reports whose the effect is (`stats.factorial`).
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.edits.base import Edit
from equipoise.edits.edit import info_of
from equipoise.edits.registry import CombinedEdit
from equipoise.errors import ModelError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import HasParts, Mitigation
from equipoise.records import OPTIONS, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Combined(Mitigation, HasParts):
    """Two mitigations, the second put on the model that has the first."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasGym (Islam et al.), section 4.4: steering and a prompt together"

    first: Mitigation  # a name, or a mapping with its options
    second: Mitigation  # likewise
    #: what the second learns on: the model with the first, or without, which gives the very
    #: edit that it is alone
    second_on: Literal["edited", "base"] = "edited"

    @model_validator(mode="after")
    def _take_from_parts(self) -> Self:
        learning = [part for part in self.parts if part.learns]
        labels = dict.fromkeys(label for part in self.parts for label in part.item_info)
        # of this object alone
        object.__setattr__(self, "learns", bool(learning))
        object.__setattr__(self, "item_info", tuple(labels))
        if learning:
            object.__setattr__(self, "taught_by", learning[-1].taught_by)
        return self

    @property
    def parts(self) -> tuple[Mitigation, Mitigation]:
        """The first and the second."""
        return self.first, self.second

    @property
    def required(self) -> tuple[str, ...]:
        """What its parts require."""
        return tuple(dict.fromkeys(name for part in self.parts for name in part.required))

    @property
    def uses_seed(self) -> bool:
        """False: where no part uses it."""
        return any(part.uses_seed for part in self.parts)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> CombinedEdit:
        """Learn the first, then the second, both with this seed.

        Raises `ModelError` where the two do not go together on this model.
        """
        return self.fit_with(model, supply, seed=seed, find=lambda _: None)

    def fit_with(
        self,
        model: LanguageModel,
        supply: Supply,
        *,
        seed: int,
        find: Callable[[int], Edit | None],
    ) -> CombinedEdit:
        """As `fit`, without learning again what `find` has."""
        first = find(0) or _fit(self.first, model, supply, seed)
        if self.second_on == "base":
            second = find(1) or _fit(self.second, model, supply, seed)
        else:
            with first.attached(model) as edited:
                second = _fit(self.second, edited, supply, seed)
        parts = (first, second)
        info = info_of(
            model,
            self,
            seed=seed,
            supply=supply,
            trained_on=frozenset().union(*(part.info.trained_on for part in parts)),
            report={"first": first.content, "second": second.content},
        )
        combined = CombinedEdit(info=info, first=first, second=second)
        try:
            with combined.attached(model):
                return combined
        except ModelError as error:
            remedy = "learn the second on the edited model (second_on: edited)"
            raise ModelError(
                f"'{first.info.method}' and '{second.info.method}' must go together on "
                f"{model.identity}, but {error}; "
                f"{remedy if self.second_on == 'base' else 'take one of them'}"
            ) from error


def _fit(method: Mitigation, model: LanguageModel, supply: Supply, seed: int) -> Edit:
    """As alone: a part that needs no labels of measured items is not given those of the other."""
    if "labels" not in method.item_info:
        supply = replace(supply, measured=())
    return method.fit(model, supply, seed=seed)
