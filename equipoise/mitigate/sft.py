"""Plain fine-tuning on stereotypes and anti-stereotypes in equal parts.

A baseline of Liu et al. 2025 ("BiasUnlearn", section 4.5), which gives it as a figure only: SS is
said to fall and then to stall above 50.
"""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.tokenized import ScoredSpan
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, ModelKind, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Sft(AdapterOptions, Mitigation):
    """Supervised fine-tuning 1:1: both texts of every item become likelier by the same loss."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Liu et al. 2025, BiasUnlearn, section 4.5, baseline SFT"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    over: ScoredSpan = "span"  # what is scored: the ending; "text": the whole text
    batch_size: Annotated[int, Field(ge=1)] = 32  # texts per step

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; those held out are evaluated.

        All steps are done unless a limit ends it. Raises as `ContrastTraining` does.
        """
        training = ContrastTraining.on_contrasts(model, supply, self, seed=seed)
        return training.fit_likelihood(training.pairs, over=self.over, size=self.batch_size)
