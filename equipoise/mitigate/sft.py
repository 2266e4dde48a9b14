"""Plain fine-tuning on stereotypes and anti-stereotypes in equal parts.

A baseline of Liu et al. 2025 ("BiasUnlearn", section 4.5), which gives it as a figure only: SS is
said to fall and then to stall above 50.
"""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.adapter_fitting import AdapterOptions, adapter_of
from equipoise.contrast_training.objectives import Likelihood, Over
from equipoise.contrast_training.session import Lesson
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

    over: Over = "span"  # what is scored: the ending, or the whole "text"
    batch_size: Annotated[int, Field(ge=1)] = 32  # texts a step
    look_every: Annotated[int, Field(ge=1)] = 25  # steps between looks at held-out contrasts
    longest: Annotated[int, Field(ge=2)] = 100  # tokens; longer texts are left out

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; held-out ones are looked at.

        All steps are done unless a bound ends it. Raises `RecipeError` when it lacks contrasts,
        or shares target terms with the held-out ones, `ModelError` when more than a bound was
        lost at every look.
        """
        lesson = Lesson.of(model, supply, longest=self.longest, bounds=self.bounds)
        return lesson.fit_to_the_end(
            adapter_of(self, seed=seed),
            maker_of(self, seed=seed),
            loss=Likelihood(
                reader=lesson.reader,
                texts=lesson.pairs,
                batch=self.batch_size,
                over=self.over,
                seed=seed,
            ),
            every=self.look_every,
        )
