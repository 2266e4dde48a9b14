"""Plain fine-tuning on stereotypes and anti-stereotypes in equal parts.

A baseline of Liu et al. 2025 ("BiasUnlearn", section 4.5), which gives it as a figure only: SS is
said to fall and then to stall above 50.
"""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from equipoise.contrast_training.adapter_options import AdapterOptions
from equipoise.contrast_training.losses import likelihood
from equipoise.contrast_training.sampling import epoch_batch
from equipoise.contrast_training.session import ContrastTraining
from equipoise.contrast_training.tokenized import ScoredSpan
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Sft(AdapterOptions, Mitigation):
    """Supervised fine-tuning 1:1: both texts of every item become likelier by the same loss."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Liu et al. 2025, BiasUnlearn, section 4.5, baseline SFT"
    taught_by: ClassVar[str] = "stereoset"

    over: ScoredSpan = "span"  # what is scored: the ending; "text": the whole text
    batch_size: Annotated[int, Field(ge=1)] = 32  # texts per step

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; held-out ones are evaluated.

        All steps are done unless a limit ends it. Raises `RecipeError` when it lacks contrasts,
        or shares target terms with the held-out ones, `ModelError` when every evaluation was over
        a limit.
        """
        training = ContrastTraining.on_contrasts(model, supply, self, maker_of(self, seed=seed))
        forward, texts = training.forward, training.pairs

        def loss(_module: nn.Module, _rows: Tensor, step: int) -> Tensor:
            """Cross-entropy: the mean over a text's positions, then over the texts of a step."""
            batch = epoch_batch(texts, self.batch_size, step=step, seed=(seed, 0))
            readout = forward.read(batch, [text.part(self.over) for text in batch])
            return likelihood(*forward.text_logprobs(readout))

        return training.fit(loss, training.early_stopping())
