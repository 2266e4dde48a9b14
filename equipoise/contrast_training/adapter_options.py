"""The options that all methods share which train an adapter on contrasts."""

import math
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.side_effects import LMS, PERPLEXITY, SideEffectLimits
from equipoise.inference.language_model import LanguageModel
from equipoise.records import JSON, OPTIONS
from equipoise.training.loop import Schedule
from equipoise.training.lora import lora_config

_PAPER_RATE, _PAPER_WIDTH = 5e-5, 1024


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class AdapterOptions:
    """Which adapter a method trains, and how; the methods inherit it and override nothing.

    Defaults are BiasUnlearn's.
    """

    rank: Annotated[int, Field(ge=1)] = 8  # of LoRA
    alpha: Annotated[float, Field(gt=0)] = 16.0  # of LoRA; its update is scaled by alpha / rank
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1  # of the adapter alone
    #: ends of module names, or "all-linear"; "auto": the attention of the architecture
    targets: Annotated[tuple[str, ...], Field(min_length=1)] = ("auto",)
    #: None: 5e-5 * 1024 / width, the paper's rate at the width of GPT-2 medium
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    steps: Annotated[int, Field(ge=1)] = 1000  # at most
    #: steps in which the rate rises; it then falls linearly, to 0 at 1.2 times `steps`
    warmup: Annotated[int, Field(ge=0)] = 10
    weight_decay: Annotated[float, Field(ge=0)] = 0.0  # of AdamW
    #: the norm of the gradient is clipped to this; 0: never
    max_gradient: Annotated[float, Field(ge=0)] = 1.0
    bf16: bool = False  # compute in bfloat16; the adapter is float32 in any case
    #: tokens; an example with a longer text is left out, nothing is cut
    longest: Annotated[int, Field(ge=2)] = 100
    #: steps between evaluations of held-out contrasts
    evaluate_every: Annotated[int, Field(ge=1)] = 25
    #: points of held-out LMS that may be lost; a larger loss is undone and ends training; None: any
    keep_lms: Annotated[float, Field(ge=0, lt=100)] | None = None
    #: percent by which perplexity of held-out plain texts may rise; likewise; None: any
    keep_perplexity: Annotated[float, Field(ge=0)] | None = None

    @property
    def limits(self) -> SideEffectLimits:
        """The limits of side effects that were set."""
        limits = {LMS: self.keep_lms, PERPLEXITY: self.keep_perplexity}
        return {effect: limit for effect, limit in limits.items() if limit is not None}

    def lora(self, model: LanguageModel) -> dict[str, JSON]:
        """PEFT's configuration; raises `ModelError` when a target is not in the model."""
        return lora_config(
            model.module,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
        )

    def schedule(self, model: LanguageModel, *, seed: int) -> Schedule:
        """Linear, with a horizon of 1.2 times the steps (methods-unlearning 1.4)."""
        return Schedule(
            learning_rate=self.learning_rate or default_rate(model),
            epochs=1,
            batch_size=1,  # an example is the number of a step; the loss draws the batch
            seed=seed,
            weight_decay=self.weight_decay,
            max_gradient=self.max_gradient,
            bf16=self.bf16,
            warmup=min(self.warmup, self.steps),
            horizon=math.ceil(1.2 * self.steps),
        )


def default_rate(model: LanguageModel) -> float:
    """BiasUnlearn's 5e-5 for GPT-2 medium (width 1024), scaled: 5e-5 * 1024 / width.

    It gives 4e-5 for GPT-2 large, as the released script has it, and 1.25e-5 at width 4096, where
    the paper has 2e-5.
    """
    return _PAPER_RATE * _PAPER_WIDTH / int(model.module.config.get_text_config().hidden_size)
