"""FPFT: LFTF's loss on every parameter; the baseline for locating a block first.

Paper: LFTF (anonymous ACL submission), baseline "full-parameter fine-tuning".
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.models.quantization import refuse_quantized
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.training.pronoun_training import (
    PronounOptions,
    train_on_prompts,
    tuned_edit,
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class FullFinetune(PronounOptions, Mitigation):
    """Train every parameter until the words are equal; hints are unlearnt with the bias.

    Tied embeddings are a single parameter, trained once.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), baseline FPFT"
    requires: ClassVar[tuple[str, ...]] = ("prompts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return (*self.requires, *(["hinted"] if self.keep_hints else []))

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train everything on the supply's prompts and return all parameters."""
        refuse_quantized(model, "full_finetune")
        words = self.asked_words(supply)
        parameters = dict(model.module.named_parameters())
        trained = train_on_prompts(
            model, supply, self, parameters=parameters, start=None, seed=seed
        )
        report: dict[str, JSON] = {"words": [*words], "learning_rate": self.rate(model)}
        return tuned_edit(model, supply, trained, method=self, seed=seed, report=report)
