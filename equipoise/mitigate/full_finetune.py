"""FPFT: LFTF's loss on every parameter. What locating is compared with.

Paper: LFTF (anonymous ACL submission), baseline "full-parameter fine-tuning".
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply
from equipoise.training.loop import Schedule
from equipoise.training.pronoun_training import (
    Goal,
    Objective,
    Terms,
    default_rate,
    parameters_of,
    tune,
    tuned_edit,
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FullFinetune(Mitigation):
    """Train every parameter until the words are equal; hints are unlearnt with the bias.

    Tied embeddings are one parameter and are trained once. The options are LFTF's own.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), baseline FPFT"

    objective: Objective = "ce_both"  # ce_both: as the paper's results; parity: mass kept
    terms: Terms = "both"  # "he", "she": one term of ce_both (first, second word), an ablation
    words: tuple[str, ...] = (" he", " she")  # that should be equally likely; leading spaces
    target: tuple[float, ...] | None = None  # shares that ce_both aims at; None: equal ones
    mass_weight: Annotated[float, Field(ge=0)] = 1.0  # parity: of the divergence from before
    keep_hints: Annotated[float, Field(ge=0)] = 0.0  # weight of KL(before||after) after hints
    learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: 1e-5 * 4096 / width
    epochs: Annotated[int, Field(ge=1)] = 2  # over the prompts
    batch_size: Annotated[int, Field(ge=1)] = 32  # prompts a step
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._goal().check()
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train everything on the supply's prompts and return all parameters."""
        rate = self.learning_rate or default_rate(model)
        trained = tune(
            model,
            supply,
            goal=self._goal(),
            names=parameters_of(model, [model.module]),
            start=None,
            schedule=Schedule(
                learning_rate=rate,
                epochs=self.epochs,
                batch_size=self.batch_size,
                seed=seed,
                bf16=self.bf16,
            ),
        )
        return tuned_edit(
            model,
            supply,
            trained,
            maker=maker_of(self, seed=seed),
            report={"learning_rate": rate},
        )

    def _goal(self) -> Goal:
        return Goal(
            objective=self.objective,
            terms=self.terms,
            words=self.words,
            target=self.target,
            mass_weight=self.mass_weight,
            keep_hints=self.keep_hints,
        )
