"""Bring the mean margin of every type of bias to zero, and hold the rest.

Ours: what BiasUnlearn's swapping aims at, as one loss that is stationary at parity.
"""

from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.adapter_fitting import AdapterOptions, adapter_of
from equipoise.contrast_training.held_out_bias import spreads_of
from equipoise.contrast_training.objectives import Lean
from equipoise.contrast_training.objectives import Parity as Loss
from equipoise.contrast_training.packed_forward import reference_outputs
from equipoise.contrast_training.retention import Places, Texts
from equipoise.contrast_training.session import Lesson
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply, refuse_idle


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Parity(AdapterOptions, Mitigation):
    """Minimize the squared mean margin of each type, with KL to before on unrelated texts.

    A type is neither turned nor dropped on the way: at parity its gradient is zero, on whichever
    side it began.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "ours; see docs/methods/parity.md"
    taught_by: ClassVar[str] = "stereoset"

    of: Lean = "mean"  # what is brought to parity: the mean margin, or the share of preferences
    batch_size: Annotated[int, Field(ge=2)] = 28  # pairs a step, equally many of each type
    kl_weight: Annotated[float, Field(ge=0)] = 1.0  # of the divergence from before
    kl_on: Texts = "unrelated"  # "neutral": the supply's plain texts
    kl_places: Places = "all"  # of a text
    kl_batch: Annotated[int, Field(ge=1)] = 28  # texts a step
    look_every: Annotated[int, Field(ge=1)] = 25  # steps between looks at held-out contrasts
    longest: Annotated[int, Field(ge=2)] = 100  # tokens; longer texts are left out

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        if self.kl_weight == 0:
            refuse_idle(self, "kl_on", "kl_places", "kl_batch", where="kl_weight 0")
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; held-out ones are looked at.

        All steps are done unless a bound ends it. Raises `RecipeError` when it lacks contrasts
        or the texts of the KL, or shares target terms with the held-out ones, `ModelError` when
        more than a bound was lost at every look.
        """
        lesson = Lesson.of(model, supply, longest=self.longest, bounds=self.bounds)
        holding = lesson.holding(
            self.kl_on,
            places=self.kl_places,
            batch=self.kl_batch if self.kl_weight > 0 else 0,
            seed=seed,
        )
        before = reference_outputs(lesson.reader, scored=(), compared=holding.texts)
        return lesson.fit_to_the_end(
            adapter_of(self, seed=seed),
            maker_of(self, seed=seed),
            loss=Loss(
                reader=lesson.reader,
                items=lesson.items,
                holding=holding,
                before=before,
                batch=self.batch_size,
                of=self.of,
                spreads=spreads_of(lesson.reader, lesson.items),
                kl_weight=self.kl_weight,
                seed=seed,
            ),
            every=self.look_every,
            others=holding.texts,
        )
