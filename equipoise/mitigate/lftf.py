"""Find the block that carries a bias, then fine-tune that block alone.

Paper: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 4; what its
printed loss must mean is worked out in `models/pronoun_losses.py`.
"""

from dataclasses import asdict
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass
from torch import nn

from equipoise.conclusions import Ranking
from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.locate.block_influence import BlockInfluence
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.models.anatomy import attention, block, blocks, mlp, norms
from equipoise.records import JSON, OPTIONS, Supply
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
class Lftf(Mitigation):
    """Locate first, then fine-tune: train the highest-ranked blocks until the words are equal.

    `ce_both` is the paper's: it equalizes, but moves all mass to the words, also after a hint.
    `parity` is ours: it equalizes inside the mass the words had. The others are the printed loss
    taken literally, for the ablation; some make things worse.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), section 4"

    objective: Objective = "ce_both"  # ce_both: as the paper's results; parity: mass kept
    terms: Terms = "both"  # "he", "she": one term of ce_both (first, second word), an ablation
    words: tuple[str, ...] = (" he", " she")  # that should be equally likely; leading spaces
    target: tuple[float, ...] | None = None  # shares that ce_both aims at; None: equal ones
    mass_weight: Annotated[float, Field(ge=0)] = 1.0  # parity: of the divergence from before
    keep_hints: Annotated[float, Field(ge=0)] = 0.0  # weight of KL(before||after) after hints
    locator: Locator = Field(default_factory=BlockInfluence)  # that ranks the blocks
    blocks: Annotated[int, Field(ge=1)] = 1  # how many of the highest-ranked to train
    train: Literal["all", "attention", "mlp"] = "all"  # which part of them
    norms: bool = True  # train the norms inside that part, too
    learning_rate: Annotated[float, Field(gt=0)] | None = None  # None: 1e-5 * 4096 / width
    epochs: Annotated[int, Field(ge=1)] = 2  # over the prompts
    batch_size: Annotated[int, Field(ge=1)] = 32  # prompts a step
    bf16: bool = False  # compute in bfloat16; weights in training are float32 in any case

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        self._goal().check()
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Rank the blocks on the supply's prompts, train, and return the trained parameters."""
        ranking = self.locator.locate(model, supply.prompts, seed=seed)
        chosen = self._chosen(ranking, model)
        rate = self.learning_rate or default_rate(model)
        trained = tune(
            model,
            supply,
            goal=self._goal(),
            names=self._names(model, chosen),
            start=min(chosen),
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
            report={
                "blocks": list(chosen),
                "ranking": _as_json(ranking),
                "learning_rate": rate,
            },
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

    def _chosen(self, ranking: Ranking, model: LanguageModel) -> tuple[int, ...]:
        there = len(blocks(model.module))
        if self.blocks > there:
            raise RecipeError(
                f"lftf.blocks must be at most {there} in {model.identity}, got {self.blocks}; "
                "lower it"
            )
        return ranking.order[: self.blocks]

    def _names(self, model: LanguageModel, chosen: tuple[int, ...]) -> tuple[str, ...]:
        parts: list[nn.Module] = []
        left_out: list[nn.Module] = []
        for number in chosen:
            if self.train == "all":
                parts.append(block(model.module, number))
            elif self.train == "attention":
                parts.append(attention(model.module, number))
            else:
                parts += mlp(model.module, number)
            left_out += () if self.norms else norms(model.module, number)
        without = set(parameters_of(model, left_out))
        return tuple(name for name in parameters_of(model, parts) if name not in without)


def _as_json(ranking: Ranking) -> dict[str, JSON]:
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(ranking).items()
    }
