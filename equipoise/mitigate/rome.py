"""ROME: one fact at a time is written into one layer, as a change of rank one.

Paper: Meng et al. 2022, "Locating and Editing Factual Associations in GPT". An MLP's output
projection W is read as a memory of keys and values. For a request, k* is what W reads at the
subject's last token, v* what it would have to put out there; W is changed as little as possible on
the keys of a corpus so that W k* = v* (equation 2). LFTF's table 3 has it as a debiasing baseline.
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
from equipoise.model_editing.context_templates import rome_prefixes
from equipoise.model_editing.editing_session import EditingSession, EditorOptions
from equipoise.model_editing.subject_states import subject_states
from equipoise.model_editing.values import optimize_values
from equipoise.models.anatomy import blocks
from equipoise.records import OPTIONS, ModelKind, Supply

Vector = Float[Tensor, " feature"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Rome(EditorOptions, Mitigation):
    """Rank-one edits of one MLP, one request after the other, each on the model of those before.

    The defaults are the paper's. With many requests the model wears out: see the trajectory.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Meng et al. 2022, Locating and Editing Factual Associations in GPT"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    #: the block whose MLP is edited, below 0 from the last; null: at 35 % of the depth (17 of 48)
    block: int | None = None
    #: requests whose values are found on the same model; null: all; 1: the paper's
    batch_size: Annotated[int, Field(ge=1)] | None = 1
    prefixes: Annotated[int, Field(ge=0)] = 10  # texts before the prompt, of either length
    weight_decay: Annotated[float, Field(ge=0)] = 0.5  # of a value's optimization
    clamp: Annotated[float, Field(gt=0)] = 4.0  # longest change of a value, in its own lengths

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Edit request by request in an order drawn by the seed.

        Raises `RecipeError` when the supply lacks what the target needs, and `ModelError` for
        quantized weights, for a masked model, for a block without an MLP output projection, or
        naming the request when the loss of a value is not finite.
        """
        block = middle_block(model) if self.block is None else self.block
        session = EditingSession(self, model, supply, blocks=(block,), seed=seed)
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
                # [request, prefix, feature]
                (keys,), (outputs,) = subject_states(
                    model, requests, prefixes, inputs=[module], outputs=[module]
                )
                keys, outputs = keys.cpu().double(), outputs.cpu().double()
                wanted = values.wanted.cpu().double()
                change = torch.zeros_like(weights.changes[0])
                for number, value in enumerate(wanted):
                    # `change`: what the requests before it in the batch have added
                    update = self._update(keys[number], outputs[number], value, change, covariance)
                    if self.key == "random":
                        update = random_update(update, covariance, generator)
                    change += update
                weights.add(0, change)
        return session.edit(weights)

    def _update(
        self,
        keys: Float[Tensor, "prefix feature"],
        outputs: Float[Tensor, "prefix output"],
        wanted: Float[Tensor, " output"],
        change: Float[Tensor, "output feature"],
        covariance: Float[Tensor, "feature feature"] | None,
    ) -> Float[Tensor, "output feature"]:
        """The update for a request whose first prefix is none, beside a change that is there."""
        plain = keys[0]
        missing = wanted - (outputs[0] + change @ plain)
        return rank_one_update(keys.mean(0), plain, missing, covariance)


def rank_one_update(
    key: Vector,
    plain: Vector,
    residual: Float[Tensor, " output"],
    covariance: Float[Tensor, "feature feature"] | None,
) -> Float[Tensor, "output feature"]:
    """The change of W after which it puts out `residual` more at the key `plain`.

    residual u^T / <plain, u> with u = C^-1 key, which is the mean key over prefixes; None: C = I.
    Source: ROME, equation 2, and the released code, which divides by the plain prompt's key.
    """
    direction = key if covariance is None else torch.linalg.solve(covariance, key)
    direction = direction / direction.norm()
    return torch.outer(residual / (plain @ direction), direction)


def random_update(
    update: Float[Tensor, "output feature"],
    covariance: Float[Tensor, "feature feature"] | None,
    generator: torch.Generator,
) -> Float[Tensor, "output feature"]:
    """A change of the same rank, output direction and Frobenius norm, on a key of N(0, C)."""
    draw = torch.randn(update.shape[1], generator=generator, dtype=torch.float64)
    if covariance is not None:  # C^-1 L z = L^-T z
        factor = torch.linalg.cholesky(covariance)
        draw = torch.linalg.solve_triangular(factor.T, draw[:, None], upper=True)[:, 0]
    strongest = update[:, update.norm(dim=0).argmax()]
    change: Tensor = torch.outer(strongest / strongest.norm(), draw / draw.norm()) * update.norm()
    return change


def middle_block(model: LanguageModel) -> int:
    """The block at 35 % of the depth, where the papers edit: 17 of GPT-2 XL's 48."""
    count = len(blocks(model.module))
    return min(round(0.35 * count), max(count - 2, 0))
