"""R-ROME: ROME with the same key on both sides of its update, which does not break the model.

Paper: Gupta et al. 2024, "Rebuilding ROME: Resolving Model Collapse during Sequential Model
Editing". ROME's released code turns the mean key over prefixes by C^-1 but divides by its product
with the plain prompt's key, which may be near 0; single edits then disable a model. Here one key,
the mean over prefixes, is used throughout.
"""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.rome import middle_block, random_update
from equipoise.model_editing.context_templates import rome_prefixes
from equipoise.model_editing.editing_session import EditingSession, EditorOptions
from equipoise.model_editing.subject_states import subject_states
from equipoise.model_editing.values import optimize_values
from equipoise.records import OPTIONS, ModelKind, Supply

Vector = Float[Tensor, " feature"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class RRome(EditorOptions, Mitigation):
    """As `rome`, with the mean key and the mean output over prefixes in place of the plain ones."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Gupta et al. 2024, Rebuilding ROME, EMNLP"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    #: the block whose MLP is edited, below 0 from the last; null: at 35 % of the depth (17 of 48)
    block: int | None = None
    #: requests whose values are found on the same model; null: all; 1: the paper's
    batch_size: Annotated[int, Field(ge=1)] | None = 1
    prefixes: Annotated[int, Field(ge=0)] = 10  # texts before the prompt, of either length
    weight_decay: Annotated[float, Field(ge=0)] = 0.5  # of a value's optimization
    clamp: Annotated[float, Field(gt=0)] = 4.0  # longest change of a value, in its own lengths

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Edit request by request in an order drawn by the seed; raises as `rome`."""
        block = middle_block(model) if self.block is None else self.block
        session = EditingSession(self, model, supply, name="r_rome", blocks=(block,), seed=seed)
        (block,), (module,) = session.targets.blocks, session.targets.modules
        (covariance,) = session.covariance
        prefixes = rome_prefixes(model, each=self.prefixes, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        with session.editing() as weights:
            for requests in session.batches(self.batch_size):
                settings = self.value_settings(
                    requests, clamp=self.clamp, weight_decay=self.weight_decay
                )
                values = optimize_values(
                    model, requests, prefixes, block=block, module=module, settings=settings
                )
                session.note(values)
                (keys,), (outputs,) = subject_states(
                    model, requests, prefixes, inputs=[module], outputs=[module]
                )
                mean_keys = keys.cpu().double().mean(1)  # [request, feature]
                mean_outputs = outputs.cpu().double().mean(1)
                wanted = values.wanted.cpu().double()
                change = torch.zeros_like(weights.changes[0])
                for number, key in enumerate(mean_keys):
                    residual = wanted[number] - mean_outputs[number] - change @ key
                    update = same_key_update(key, residual, covariance)
                    if self.key == "random":
                        update = random_update(update, covariance, generator)
                    change += update
                weights.add(0, change)
        return session.edit(weights)


def same_key_update(
    key: Vector,
    residual: Float[Tensor, " output"],
    covariance: Float[Tensor, "feature feature"] | None,
) -> Float[Tensor, "output feature"]:
    """The change of W after which it puts out `residual` more at `key`; None: C = I.

    residual (C^-1 key)^T / (key^T C^-1 key), of all such changes the least on the corpus's keys;
    the divisor is above 0. Source: Gupta et al. 2024, equation 4.
    """
    direction = key if covariance is None else torch.linalg.solve(covariance, key)
    return torch.outer(residual, direction) / (key @ direction)
