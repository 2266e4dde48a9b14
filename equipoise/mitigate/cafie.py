"""CAFIE: the next word after a text and after the same text about other groups, made one.

Banerjee et al. 2024, "CAFIE: Counterfactually Aware Fair InferencE", whose word lists are replaced
by our own (`data/counterparts.json`).
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mixing, Mode
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.maker import info_of
from equipoise.errors import DataError, ModelError
from equipoise.group_words.counterparts import Counterparts
from equipoise.group_words.wordings import counterparts
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, ReadsFiles, maker_of
from equipoise.records import JSON, OPTIONS, Supply, refuse_idle


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cafie(Mitigation, ReadsFiles):
    """Predict the next word from the text and from its counterfactuals.

    `reference` is the released rule, which reverses a preference rather than equalizing it; `mean`
    and `geomean` do what the method is for: at alpha 1 all texts of a counterfactual set have the
    same next word.
    Only texts that name a group of the lists are changed.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "Banerjee et al. 2024, CAFIE"
    learns: ClassVar[bool] = False

    mode: Mode = "reference"
    alpha: Annotated[float, Field(ge=0, le=1)] = 0.99  # weight of the adjusted distribution
    sharpness: Annotated[float, Field(ge=0)] = 1000.0  # reference: lambda
    gamma: Annotated[float, Field(ge=0, le=1)] = 1.0  # reference: how far a factor is from 1
    threshold: Annotated[float, Field(ge=0)] = 0.0  # reference: smaller differences are none
    temperature: Annotated[float, Field(gt=0)] = 1.0  # of the plain distribution mixed in
    normalized: bool = True  # reference: False as released, sums are then not 1
    axes: tuple[str, ...] = ()  # of the lists; none: all
    counterfactuals: Annotated[int, Field(ge=1)] | None = 5  # at most; None: all
    #: In place of our own: axes of groups of members, or a JSON file of them.
    lists: dict[str, dict[str, tuple[tuple[str, ...], ...]]] | str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.mode != "reference":
            refuse_idle(self, "sharpness", "gamma", "threshold", where=f"mode '{self.mode}'")
        elif self.gamma == 0:  # all factors are 1
            refuse_idle(self, "sharpness", "threshold", where=f"gamma {self.gamma:g}")
        elif self.sharpness == 0:
            refuse_idle(self, "gamma", "threshold", where=f"sharpness {self.sharpness:g}")
        if self.mode == "tempered" or self.alpha == 1:
            refuse_idle(self, "temperature", where=f"mode '{self.mode}' and alpha {self.alpha:g}")
        try:
            self._mixing()
            self._lists()
        except (ModelError, DataError) as error:
            raise ValueError(str(error)) from None
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> NextTokenEdit:
        """The lists as an edit; nothing is learnt, so the supply may be empty."""
        decoding_rule = Counterfactual(
            lists=self._lists(), mixing=self._mixing(), most=self.counterfactuals, seed=seed
        )
        report: dict[str, JSON] = {
            "cost_factor": decoding_rule.rows,
            **decoding_rule.record,
        }
        info = info_of(model, maker_of(self, seed=seed), supply=supply, report=report)
        return NextTokenEdit(info=info, decoding_rule=decoding_rule)

    def files(self) -> Mapping[str, str]:
        """sha256 of the lists in the user's own file."""
        return {self.lists: self._lists().sha256} if isinstance(self.lists, str) else {}

    def _mixing(self) -> Mixing:
        return Mixing(
            mode=self.mode,
            alpha=self.alpha,
            sharpness=self.sharpness,
            gamma=self.gamma,
            threshold=self.threshold,
            temperature=self.temperature,
            normalized=self.normalized,
        )

    def _lists(self) -> Counterparts:
        given = counterparts(self.lists) if isinstance(self.lists, str | None) else self.lists
        lists = Counterparts.parsed(given)  # type: ignore[arg-type]  # tuples as lists
        return lists.only(self.axes) if self.axes else lists
