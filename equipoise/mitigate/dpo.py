"""Direct preference optimization of anti-stereotypes over stereotypes, and its repair.

Rafailov et al. 2023, equation 7, as a baseline of Liu et al. 2025 ("BiasUnlearn", section 4.5).
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.adapter_fitting import AdapterOptions, adapter_of
from equipoise.contrast_training.losses import Preference
from equipoise.contrast_training.objectives import Preferred
from equipoise.contrast_training.packed_forward import reference_outputs
from equipoise.contrast_training.session import Lesson
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply, refuse_idle


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Dpo(AdapterOptions, Mitigation):
    """Prefer the anti-stereotype: dpo goes on past parity, margin stops at it.

    `margin` is IPO's square (Azar et al. 2024) with target 0 of the model's own margin. To prefer
    both answers half of the time is no third way: it is stationary where training begins.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Rafailov et al. 2023, DPO, equation 7"
    taught_by: ClassVar[str] = "stereoset"

    loss: Preference = "dpo"  # "margin": stationary at parity
    beta: Annotated[float, Field(gt=0)] = 0.1  # of loss "dpo"
    batch_size: Annotated[int, Field(ge=1)] = 32  # pairs a step
    look_every: Annotated[int, Field(ge=1)] = 25  # steps between looks at held-out contrasts
    longest: Annotated[int, Field(ge=2)] = 100  # tokens; longer texts are left out

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        if self.loss == "margin":
            refuse_idle(self, "beta", where="loss 'margin'")
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; held-out ones are looked at.

        All steps are done unless a bound ends it. Raises `RecipeError` when it lacks contrasts,
        or shares target terms with the held-out ones, `ModelError` when more than a bound was
        lost at every look.
        """
        lesson = Lesson.of(model, supply, longest=self.longest, bounds=self.bounds)
        before = reference_outputs(lesson.reader, scored=lesson.pairs, compared=())
        return lesson.fit_to_the_end(
            adapter_of(self, seed=seed),
            maker_of(self, seed=seed),
            loss=Preferred(
                reader=lesson.reader,
                items=lesson.items,
                before=before,
                batch=self.batch_size,
                beta=self.beta,
                loss=self.loss,
                seed=seed,
            ),
            every=self.look_every,
        )
