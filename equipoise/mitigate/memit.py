"""MEMIT: many facts at once, written into several layers by least squares.

Paper: Meng et al. 2023, "Mass-Editing Memory in a Transformer". The residual stream after the last
of some consecutive blocks is to be z_i at the subject of each request; from the first block on,
each MLP takes its share of what is still missing, as the ridge solution that leaves the keys of a
corpus alone (equation 14). LFTF's table 3 has it as a debiasing baseline.
"""

from typing import Annotated, ClassVar

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.rome import middle_block
from equipoise.model_editing.context_templates import memit_prefixes
from equipoise.model_editing.editing_session import EditingSession, EditorOptions
from equipoise.model_editing.subject_states import subject_states
from equipoise.model_editing.values import optimize_values
from equipoise.models.anatomy import block as block_of
from equipoise.models.anatomy import blocks as blocks_of
from equipoise.records import OPTIONS, ModelKind, Supply

Square = Float[Tensor, "feature feature"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Memit(EditorOptions, Mitigation):
    """All requests in one least-squares edit of a few MLPs.

    The defaults are the paper's for GPT-2 XL, but for the blocks of a smaller model.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Meng et al. 2023, Mass-Editing Memory in a Transformer, ICLR"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    #: consecutive blocks that are edited, in ascending order; null: five around 35 % of the depth
    #: (three below 20 blocks, one below 8); paper: 13 to 17 of 48
    blocks: tuple[int, ...] | None = None
    batch_size: Annotated[int, Field(ge=1)] | None = None  # requests of an edit; null: all at once
    prefixes: Annotated[int, Field(ge=0, le=5)] = 5  # texts before the prompt
    #: weight of the corpus's covariance, as so many tokens of it; paper: 15,000 or 20,000
    covariance_weight: Annotated[float, Field(gt=0)] = 20_000.0
    weight_decay: Annotated[float, Field(ge=0)] = 0.5  # of a value's optimization
    clamp: Annotated[float, Field(gt=0)] = 0.75  # longest change of a value, in its own lengths

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Edit all requests together, or batch after batch in an order drawn by the seed.

        Raises as `rome`, and `RecipeError` for blocks that do not follow one another.
        """
        chosen = default_blocks(model) if self.blocks is None else self.blocks
        session = EditingSession(self, model, supply, blocks=chosen, seed=seed)
        numbers, modules = session.targets.blocks, session.targets.modules
        if numbers != tuple(range(numbers[0], numbers[-1] + 1)):
            raise RecipeError(
                f"memit.blocks must follow one another, got {list(numbers)}; name all"
            )
        last = block_of(model.module, numbers[-1])
        prefixes = memit_prefixes(model, words=self.prefixes, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        left = wanted = 0.0  # of the lengths of all changes of the stream
        with session.editing() as weights:
            for requests in session.batches(self.batch_size):
                settings = self.value_settings(
                    requests, clamp=self.clamp, weight_decay=self.weight_decay
                )
                values = optimize_values(
                    model, requests, prefixes, block=numbers[-1], module=last, settings=settings
                )
                session.note(values)
                for number, module in enumerate(modules):
                    # after each block the next ones read something else
                    (by_prefix,), (states,) = subject_states(
                        model, requests, prefixes, inputs=[module], outputs=[last]
                    )
                    missing = (values.wanted - states[:, 0]).cpu().double()
                    residual = missing.T / (len(modules) - number)  # [output, request]
                    keys = mean_keys(by_prefix).cpu().double().T  # [feature, request]
                    covariance = session.covariance[number]
                    if covariance is None:  # as large as the keys
                        covariance = keys.square().mean() * torch.eye(len(keys)).double()
                    weighted = self.covariance_weight * covariance
                    update = ridge_update(keys, residual, weighted)
                    if self.key == "random":
                        drawn = torch.randn(keys.shape, generator=generator, dtype=torch.float64)
                        drawn = torch.linalg.cholesky(covariance) @ drawn
                        control = ridge_update(drawn, residual, weighted)
                        update = control * (update.norm() / control.norm())
                    weights.add(number, update)
                _, (states,) = subject_states(model, requests, ("",), outputs=[last])
                left += float((values.wanted - states[:, 0]).norm(dim=-1).sum())
                wanted += float(values.delta.norm(dim=-1).sum())
        session.report["residual_left"] = left / wanted if wanted else None
        return session.edit(weights)


def mean_keys(
    keys: Float[Tensor, "request prefix feature"],
) -> Float[Tensor, "request feature"]:
    """Half the plain prompt's key and half the mean of those after prefixes."""
    if keys.shape[1] == 1:
        return keys[:, 0]
    return (keys[:, 0] + keys[:, 1:].mean(1)) / 2


def ridge_update(
    keys: Float[Tensor, "feature request"],
    residual: Float[Tensor, "output request"],
    weighted: Square,
) -> Float[Tensor, "output feature"]:
    """R K^T (A + K K^T)^-1 for A = `weighted`, the covariance times its weight; symmetric.

    With fewer requests than features by Woodbury's identity, which solves for as many unknowns as
    there are requests: R (I + K^T A^-1 K)^-1 K^T A^-1. Source: MEMIT, equation 14.
    """
    features, requests = keys.shape
    if requests >= features:
        whole: Tensor = torch.linalg.solve(weighted + keys @ keys.T, keys @ residual.T)
        return whole.T
    factor = torch.linalg.cholesky(weighted)
    solved = torch.cholesky_solve(keys, factor)  # A^-1 K
    inner = torch.eye(requests, dtype=keys.dtype) + keys.T @ solved
    change: Tensor = residual @ torch.linalg.solve(inner, solved.T)
    return change


def default_blocks(model: LanguageModel) -> tuple[int, ...]:
    """Five blocks around 35 % of the depth, fewer of a model of fewer blocks."""
    count, center = len(blocks_of(model.module)), middle_block(model)
    around = 2 if count >= 20 else 1 if count >= 8 else 0
    return tuple(range(center - around, center + around + 1))
