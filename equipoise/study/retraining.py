"""What a recipe asks to be trained on parts of the rows, to judge attributions by."""

from equipoise import plugins
from equipoise.influence.leave_out import LeaveOut
from equipoise.influence.removal import Removal
from equipoise.study.recipe import AttributionSpec
from equipoise.training.text_training import TextTraining


def leave_out_of(spec: AttributionSpec) -> LeaveOut | None:
    """The leave-out check; None: not asked for. Raises `RecipeError` for options of training."""
    if not spec.subsets:
        return None
    return LeaveOut(
        subsets=spec.subsets, fraction=spec.fraction, seeds=spec.seeds, training=_training(spec)
    )


def removal_of(spec: AttributionSpec) -> Removal | None:
    """The removal curve; None: not asked for. Raises `RecipeError` for options of training."""
    if not spec.removal:
        return None
    return Removal(shares=spec.removal, seeds=spec.seeds, training=_training(spec))


def _training(spec: AttributionSpec) -> TextTraining:
    return plugins.construct(TextTraining, "attribution.training", spec.training)
