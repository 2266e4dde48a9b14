"""Forget stereotypes, retain anti-stereotypes, hold the rest, and stop at parity.

Paper: Liu et al. 2025, "BiasUnlearn" (EMNLP 2025), section 3; NPO of Zhang et al. 2024. Where paper
and released code differ, and what is done here: docs/methods/bias_unlearn.md.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.adapter_fitting import AdapterOptions, adapter_of
from equipoise.contrast_training.controllers import (
    Band,
    Controller,
    Equivalence,
    Fixed,
    Judge,
    Printed,
    Proportional,
    Released,
)
from equipoise.contrast_training.losses import Reduction
from equipoise.contrast_training.retention import Divergence, Places, Texts
from equipoise.contrast_training.unlearning import Unlearning, unlearn
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError, nearest
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.records import OPTIONS, Supply, refuse_idle

Rule = Literal["equivalence", "paper", "reference", "proportional", "none"]

#: What `reference_mode` sets.
_RELEASED: Mapping[str, Any] = {
    "weights": (0.5, 0.3, 0.2),
    "reduction": "batch_mean",
    "kl": "ce_all_positions",
    "controller": "reference",
    "bases": {"gender": 49.0, "profession": 49.0, "race": 49.0, "religion": 48.0},
}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasUnlearn(AdapterOptions, Mitigation):
    """Unlearn by an adapter: NPO on stereotypes, likelihood of anti-stereotypes, KL to before.

    A type whose margin turns round is turned round in training, too, and training ends when every
    type's interval on held-out terms is inside the band around parity.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Liu et al. 2025, BiasUnlearn, EMNLP"
    taught_by: ClassVar[str] = "stereoset"

    weights: tuple[float, float, float] = (0.4, 0.4, 0.2)  # of forgetting, retaining, KL
    beta: Annotated[float, Field(gt=0)] = 0.1  # of NPO
    reduction: Reduction = "per_seq_sum"  # of NPO; "batch_mean": as the released code
    retain_by_token: bool = False  # long texts count more in the likelihood
    kl: Divergence = "forward"  # "ce_all_positions": as the released code
    kl_on: Texts = "unrelated"  # "neutral": the supply's plain texts
    kl_places: Places = "all"  # of a text
    adversarial: Annotated[float, Field(ge=0, le=1)] = 0.25  # of anti-stereotypes also forgotten
    adversarial_from: Literal["stratified", "head"] = "stratified"  # "head": as the released code
    forget_batch: Annotated[int, Field(ge=1)] = 4  # texts a step
    retain_batch: Annotated[int, Field(ge=0)] = 28
    kl_batch: Annotated[int, Field(ge=0)] = 28
    controller: Rule = "equivalence"  # when a type is turned, and when it is enough
    band: Annotated[float, Field(gt=0, lt=50)] = 5.0  # points of SS about 50
    judge: Judge = "margin"  # what is held against the band; "ss" needs many held-out contrasts
    #: SS by type that the controller "reference" aims at; None: 50.
    bases: dict[str, Annotated[float, Field(ge=0, le=100)]] | None = None
    look_every: Annotated[int, Field(ge=1)] = 25  # steps between looks at held-out contrasts
    first_look: Annotated[int, Field(ge=0)] = 50  # steps before the controller may act
    longest: Annotated[int, Field(ge=2)] = 100  # tokens; longer contrasts are left out
    reference_mode: bool = False  # the released code's losses, weights and bases at one switch

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if min(self.weights) < 0 or not sum(self.weights) > 0:
            raise ValueError(f"weights must be 0 or more and not all 0, got {self.weights}")
        sizes = (self.forget_batch, self.retain_batch)
        if not any(map(min, self.weights[:2], sizes)):  # the KL alone is least where it begins
            raise ValueError(
                f"forgetting or retaining must have a weight and texts, got {self.weights[:2]} for "
                f"batches of {sizes}"
            )
        if self.reference_mode:
            self._nothing_overruled()
        elif self.bases is not None and self.controller != "reference":
            raise ValueError(f"bases are for controller 'reference', got '{self.controller}'")
        self._nothing_idle()
        return self

    def _nothing_idle(self) -> None:
        forget, retain, kl = self.weights
        if not (forget and self.forget_batch):
            idle = ("beta", "reduction", "adversarial", "adversarial_from")
            refuse_idle(self, *idle, where="nothing to forget")
        if not self.adversarial:
            refuse_idle(self, "adversarial_from", where="adversarial 0")
        if not (retain and self.retain_batch):
            refuse_idle(self, "retain_by_token", where="nothing to retain")
        if not (kl and self.kl_batch):
            refuse_idle(self, "kl", "kl_on", "kl_places", where="no KL")
        batches = ("forget_batch", "retain_batch", "kl_batch")
        for weight, name in zip(self.weights, batches, strict=True):
            if not weight and getattr(self, name):
                refuse_idle(self, name, where="the weight 0")
        controller = "reference" if self.reference_mode else self.controller
        if controller not in ("equivalence", "proportional"):
            refuse_idle(self, "band", "judge", where=f"controller '{controller}'")

    def _nothing_overruled(self) -> None:
        """An option that the mode would silently change is a study of something else."""
        defaults = {field.name: field.default for field in fields(self)}
        for name, released in _RELEASED.items():
            given = getattr(self, name)
            if given not in (defaults[name], released):
                raise ValueError(
                    f"reference_mode sets {name} to {released}, got {given}; leave it out, or "
                    "set the released options one by one without the mode"
                )

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; stop by its held-out ones.

        Raises `RecipeError` when it lacks contrasts, held-out ones of every type (unless the
        controller is "none"), unrelated or neutral texts for the KL, or shares target terms, and
        for a base of a type that it has not; `ModelError` when more than a bound was lost at
        every look.
        """
        types = {contrast.groups.get("axis", "") for contrast in supply.contrasts}
        for name in self.bases or {}:
            if name not in types | _RELEASED["bases"].keys():
                raise RecipeError(
                    f"bases must be of types of '{supply.origin}', got '{name}'; "
                    f"{nearest(name, types)}"
                )
        used = self.as_released() if self.reference_mode else self
        return unlearn(
            model,
            adapter_of(used, seed=seed),
            used.unlearning(),
            maker_of(self, seed=seed),
            supply=supply,
        )

    def as_released(self) -> "BiasUnlearn":
        """With what the released code does: its weights, losses, controller and bases.

        Its defects that change which tokens or items are trained (docs: B1, B4, B6, B9, B11) are
        not among them.
        """
        return replace(self, reference_mode=False, **_RELEASED)

    def unlearning(self) -> Unlearning:
        """The loss and its data."""
        return Unlearning(
            weights=self.weights,
            beta=self.beta,
            reduction=self.reduction,
            retain_by_token=self.retain_by_token,
            kl=self.kl,
            kl_on=self.kl_on,
            kl_places=self.kl_places,
            adversarial=self.adversarial,
            adversarial_from=self.adversarial_from,
            batches=(self.forget_batch, self.retain_batch),
            kl_batch=self.kl_batch,
            controller=self._controller(),
            look_every=self.look_every,
            first_look=self.first_look,
            longest=self.longest,
        )

    def _controller(self) -> Controller:
        if self.controller == "equivalence":
            return Equivalence(band=Band(points=self.band, judge=self.judge))
        if self.controller == "proportional":
            return Proportional(band=Band(points=self.band, judge=self.judge))
        if self.controller == "reference":
            return Released(bases=self.bases or {})
        return Printed() if self.controller == "paper" else Fixed()
