"""BiasEdit from a supply to changed weights: what its two uses, as mitigations, share.

Inductive: the shift is made from the contrasts that the editor learnt from. Transductive, as in
the paper: from the labelled items that are going to be measured.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass as options
from torch import Tensor

from equipoise.errors import ModelError, RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.bias_edit_reading import pairs_of, queries_of, readable
from equipoise.model_editing.hypernetwork import EditorSize
from equipoise.model_editing.hypernetwork_training import (
    Aim,
    Judged,
    Lesson,
    Losses,
    learn,
    root_mean_square_margin,
    shifts_of,
)
from equipoise.model_editing.target_modules import Part, Sites, sites
from equipoise.records import JSON, OPTIONS, Contrast, Supply
from equipoise.training.loop import Trained


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which weights are edited."""

    blocks: tuple[int, ...] | None = None  # from 0, below 0 from the last; None: the last three
    part: Part = "mlp"  # whose output projection


@options(frozen=True, kw_only=True, config=OPTIONS)
class EditorOptions:
    """What both uses are set by; they inherit it and override nothing."""

    losses: Losses = "fixed"  # squared margin and KL; reference: as the released code
    judged: Judged = "same"  # by the contrasts a shift is made from; other: by as many others
    blocks: tuple[int, ...] | None = None  # from 0, below 0 from the last; None: the last three
    part: Part = "mlp"  # whose output projection is edited
    rank: Annotated[int, Field(ge=1)] = 1920  # hidden features of an editor's layer
    layers: Annotated[int, Field(ge=1)] = 2  # of an editor
    edit_rate: Annotated[float, Field(gt=0)] = 1e-5  # that scales the shifts at first; learnt
    learning_rate: Annotated[float, Field(gt=0)] = 1e-4  # of the editor
    epochs: Annotated[int, Field(ge=1)] = 10  # over the contrasts
    batch_size: Annotated[int, Field(ge=1)] = 64  # contrasts a step, from which one shift is made
    chunk_size: Annotated[int, Field(ge=2)] = 32  # texts a forward pass: memory only
    retention_weight: Annotated[float, Field(ge=0)] = 10.0  # of the retention loss; 0: none

    def weights(
        self, model: LanguageModel, supply: Supply, edited: Sequence[Contrast], *, seed: int
    ) -> tuple[Trained, dict[str, JSON]]:
        """As `edited_weights`, with these options."""
        return edited_weights(
            model,
            supply,
            edited,
            place=Place(blocks=self.blocks, part=self.part),
            size=EditorSize(rank=self.rank, layers=self.layers, rate=self.edit_rate),
            aim=Aim(
                losses=self.losses,
                judged=self.judged,
                retention=self.retention_weight,
                edits=self.batch_size,
                texts=self.chunk_size,
                epochs=self.epochs,
                meta_rate=self.learning_rate,
                seed=seed,
            ),
        )


def edited_weights(
    model: LanguageModel,
    supply: Supply,
    edited: Sequence[Contrast],
    *,
    place: Place,
    size: EditorSize,
    aim: Aim,
) -> tuple[Trained, dict[str, JSON]]:
    """Train an editor on a supply, and take one shift from the contrasts in `edited`.

    The changed weights are in the result's `weights`, its losses are the editor's; beside it what
    an edit's report should say. The model is left bit for bit as it was.
    Raises `RecipeError` when the supply lacks contrasts or texts to be retained, and `ModelError`
    for a masked model, for a loss that is not finite (naming the step), or for weights that are
    not or that did not change.
    """
    _check(supply, aim)
    with readable(model):
        found = sites(model, place.blocks, place.part)
        whole = aim.losses == "reference"
        lesson = _lesson(model, supply, aim, whole=whole)
        alike = edited is supply.contrasts
        pairs = lesson.pairs if alike else pairs_of(model, edited, whole=whole)
        editor, trained = learn(model, found, lesson, size=size, aim=aim)
        shifts = shifts_of(model, found, editor, pairs, aim=aim)
        weights = found.weights(shifts)
        _check_weights(found, weights, aim)
        none = [torch.zeros_like(shift) for shift in shifts]
        before, after = (
            root_mean_square_margin(model, found, some, pairs, aim) for some in (none, shifts)
        )
    report: dict[str, JSON] = {
        "blocks": list(found.blocks),
        "modules": list(found.names),
        "contrasts": len(pairs),
        "root_mean_square_margin_before": before,
        "root_mean_square_margin_after": after,
        "shift_share": [_share(found, index, shifts) for index in range(len(shifts))],
    }
    return replace(trained, weights=weights), report


def _check(supply: Supply, aim: Aim) -> None:
    if not supply.contrasts:
        raise RecipeError(
            f"the supply must have contrasts, got none from '{supply.origin}'; "
            "name a benchmark that teaches them, such as stereoset"
        )
    unrelated = sum(contrast.unrelated is not None for contrast in supply.contrasts)
    neutral = len(supply.texts) if aim.losses == "fixed" else 0
    if aim.retention and not (unrelated or neutral):
        raise RecipeError(
            f"retention needs unrelated texts{_or_neutral(aim)}, got none from '{supply.origin}'; "
            "set retention_weight to 0 or name a supply that has them"
        )


def _or_neutral(aim: Aim) -> str:
    return " or neutral ones" if aim.losses == "fixed" else ""


def _lesson(model: LanguageModel, supply: Supply, aim: Aim, *, whole: bool) -> Lesson:
    """The supply as tokens; neutral texts are no part of the reference losses."""
    own = [
        index for index, contrast in enumerate(supply.contrasts) if contrast.unrelated is not None
    ]
    holders = [supply.contrasts[at] for at in own] if aim.retention else []
    told = queries_of(model, holders, [f"{holder.context}{holder.unrelated}" for holder in holders])
    unrelated = dict(zip(own, told, strict=False))
    texts = supply.texts if aim.losses == "fixed" and aim.retention else ()
    names = [f"neutral text {number} of the supply" for number in range(len(texts))]
    neutral = queries_of(model, names, texts)
    return Lesson(
        pairs=pairs_of(model, supply.contrasts, whole=whole),
        unrelated=tuple(unrelated.get(index) for index in range(len(supply.contrasts))),
        neutral=tuple(one for one in neutral if one is not None),
    )


def _check_weights(found: Sites, weights: dict[str, Tensor], aim: Aim) -> None:
    for name, one in weights.items():
        if not bool(torch.isfinite(one).all()):
            raise ModelError(
                f"weights must be finite after the edit, '{name}' is not; lower the rates "
                f"(meta_rate is {aim.meta_rate:g})"
            )
    none = [torch.zeros(shape) for shape in found.shapes]
    if all(torch.equal(one, weights[name]) for name, one in found.weights(none).items()):
        raise ModelError(
            f"an edit must change weights, all {len(weights)} are as before in their own dtype; "
            "raise the rates or load the model as float32"
        )


def _share(found: Sites, number: int, shifts: Sequence[Tensor]) -> float:
    """The size of a shift as a share of its weight's (Frobenius norms)."""
    return float(shifts[number].norm() / found.norm(number))
