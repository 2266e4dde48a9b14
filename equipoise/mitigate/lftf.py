"""Find the block that carries a bias, then fine-tune that block alone.

Paper: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 4; what its
printed loss must mean is worked out in `training/pronoun_losses.py`.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from pydantic_core import to_jsonable_python
from torch import nn

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.locate.block_influence import BlockInfluence
from equipoise.mitigate.base import Mitigation
from equipoise.models.anatomy import attention, block, blocks, mlp, norms
from equipoise.models.quantization import refuse_quantized
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.pronoun_training import (
    PronounOptions,
    parameters_of,
    train_on_prompts,
    tuned_edit,
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Lftf(PronounOptions, Mitigation):
    """Locate first, then fine-tune: train the highest-ranked blocks until the words are equal.

    `ce_both` is the paper's: it equalizes, but moves all mass to the words, also after a hint.
    `parity` is ours: it equalizes inside the mass the words had. The others are the printed loss
    taken literally, for the ablation; some make things worse.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), section 4"
    requires: ClassVar[tuple[str, ...]] = ("prompts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    #: ranks the blocks; a name, or a mapping with its options
    locator: Locator = Field(default_factory=BlockInfluence)
    blocks: Annotated[int, Field(ge=1)] = 1  # how many of the highest-ranked to train
    train: Literal["all", "attention", "mlp"] = "all"  # which part of them is trained
    norms: bool = True  # train the norms inside that part, too

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return (*self.requires, *(["hinted"] if self.keep_hints else []))

    def refuses(self, supply: Supply) -> str | None:
        """Why its words, or those of its locator, do not fit the supply; None: they do."""
        return super().refuses(supply) or self.locator.refuses(supply.prompts)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Rank the blocks on the supply's prompts, train, and return the trained parameters."""
        refuse_quantized(model, "lftf")
        words = self.asked_words(supply)
        ranking = self.locator.locate(model, supply.prompts, seed=seed)
        count = len(blocks(model.module))
        if self.blocks > count:
            raise RecipeError(
                f"lftf.blocks must be at most {count} in {model.identity}, got {self.blocks}; "
                "lower it"
            )
        chosen = ranking.order[: self.blocks]
        parameters = self._trained_parameters(model, chosen)
        trained = train_on_prompts(
            model, supply, self, parameters=parameters, start=min(chosen), seed=seed
        )
        return tuned_edit(
            model,
            supply,
            trained,
            method=self,
            seed=seed,
            report={
                "blocks": list(chosen),
                "words": list(words),
                # null, as in results: a single prompt has no interval
                "ranking": to_jsonable_python(ranking, inf_nan_mode="null"),
                "learning_rate": self.rate(model),
            },
        )

    def _trained_parameters(
        self, model: LanguageModel, chosen: tuple[int, ...]
    ) -> dict[str, nn.Parameter]:
        parts: list[nn.Module] = []
        frozen: list[nn.Module] = []
        for index in chosen:
            if self.train == "all":
                parts.append(block(model.module, index))
            elif self.train == "attention":
                parts.append(attention(model.module, index))
            else:
                parts += mlp(model.module, index)
            frozen += () if self.norms else norms(model.module, index)
        without = parameters_of(model, frozen)
        trained = parameters_of(model, parts).items()
        return {name: parameter for name, parameter in trained if name not in without}
