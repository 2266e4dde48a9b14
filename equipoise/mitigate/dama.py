"""DAMA: project what feed-forward layers put out away from the directions that tell words apart.

Paper: Limisiewicz, Mareček & Musil 2024, "Debiasing Algorithm through Model Adaptation" (ICLR),
section 3. For each prompt a value is found that makes the model say the first word, and another
for the second; partial least squares finds the directions of a layer's output that predict their
difference, and W becomes P W with P = I - Q Q', Q an orthonormal basis of these directions.
"""

import warnings
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.edits.edit import info_of
from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.model_editing.context_templates import rome_prefixes
from equipoise.model_editing.covariance import regular_moments
from equipoise.model_editing.edit_rows import editing
from equipoise.model_editing.edited_weights import edited_weights
from equipoise.model_editing.requests import requests_of_prompts
from equipoise.model_editing.subject_states import last_keys
from equipoise.model_editing.target_modules import TargetModules, select_target_modules
from equipoise.model_editing.trajectory import HELD_OUT_TEXTS, Trajectory
from equipoise.model_editing.values import ValueSettings, optimize_values
from equipoise.models.anatomy import blocks
from equipoise.models.quantization import refuse_quantized
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.training.weight_checks import check_weights

_DEPTH = (21 / 32, 30 / 32)  # of LLaMA-7B's 32 blocks the paper takes 21 to 29
_SMALLEST = 1e-6  # singular value of a basis: partial least squares gives orthonormal weights

Basis = Float[Tensor, "feature direction"]  # orthonormal columns
PerPrompt = Float[Tensor, "prompt feature"]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Dama(Mitigation):
    """Project the outputs of upper-middle feed-forward layers to tell two words apart less.

    Nothing is asked for: neither word is made likely, their difference is made harder to say.
    `projection: random` removes as many directions at random, which shows what the number does.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Limisiewicz et al. 2024, Debiasing Algorithm through Model Adaptation"
    requires: ClassVar[tuple[str, ...]] = ("prompts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    words: tuple[str, str] = (" he", " she")  # each with its leading space
    #: from 0, or below 0 from the last; None: from 66 to 94 % of the depth, as the paper
    blocks: tuple[int, ...] | None = None
    #: directions removed from an output; None: a quarter, as the paper, if there are more prompts
    components: Annotated[int, Field(ge=0)] | None = None
    projection: Literal["pls", "random"] = "pls"  # "random": a control of the same rank
    iterative: bool = True  # each layer on the model that has the layers before it projected
    #: of the layers' inputs, which whitens keys; "texts": of neutral texts, or prompts without any
    covariance: Literal["texts", "identity"] = "texts"
    covariance_weight: Annotated[float, Field(gt=0)] = 20_000.0  # as the paper
    #: texts of 5 tokens, and as many of 10, which the model writes and a prompt is put after
    prefixes: Annotated[int, Field(ge=0)] = 5
    value_steps: Annotated[int, Field(ge=2)] = 20  # losses, for each value; as the paper
    value_rate: Annotated[float, Field(gt=0)] = 0.5  # of Adam, for each value; as the paper
    clamp: Annotated[float, Field(gt=0)] = 4.0  # longest change, in lengths of the value before

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Project one layer after another, from the lowest, and return their weights.

        Raises `RecipeError` when the supply lacks prompts, has too few for so many components, or
        scikit-learn is not installed; `ModelError` for a quantized or masked model, a block
        without an output projection, and a value whose loss is not finite.
        """
        refuse_quantized(model, "dama")
        for part in self.lacks(supply):
            raise RecipeError(
                f"dama needs {part}, got none from '{supply.origin}'; name a supply that has "
                "them, such as genbias"
            )
        targets = select_target_modules(model, self.blocks or _upper_middle(model))
        count = self._count(targets.shapes[0][1], len(supply.prompts))
        trajectory = Trajectory(model, supply, supply.texts, self.words)
        layers = None
        if self.projection == "pls":
            layers = _Layers(self, model, supply, targets, seed=seed)
        changes: list[Tensor] = []
        with editing(model), edited_weights(targets) as weights:
            trajectory.look(0)
            for index, matrix in enumerate(targets.matrices):  # [input, output] each
                if layers is None:
                    basis = random_directions(matrix.shape[1], count, seed=seed + index)
                else:
                    basis = removed_directions(*layers.outputs_and_contrast(index), count)
                basis = basis.to(matrix.device)
                changes.append(-basis @ (basis.T @ matrix.detach().double().T))  # P W - W
                if self.iterative:
                    weights.add(index, changes[index])
                    trajectory.look(index + 1)
            if not self.iterative:
                for index, change in enumerate(changes):
                    weights.add(index, change)
                trajectory.look(len(changes))
            tensors, shares = weights.tensors(), weights.shares()
        if count:
            before = dict(zip(targets.names, weights.originals, strict=True))
            check_weights(tensors, before, rates=f"components ({count})")
        info = info_of(
            model,
            self,
            seed=seed,
            names=tensors,
            supply=supply,
            trained_on=supply.learnt_hashes(),
            report={
                "blocks": [*targets.blocks],
                "modules": [*targets.names],
                "components": count,
                "shift_share": [*shares],  # Frobenius norms, as shares of the weights'
                **(layers.report if layers else {}),
                **trajectory.report(),
            },
        )
        return WeightEdit(info=info, tensors=tensors)

    def _count(self, width: int, prompts: int) -> int:
        """How many directions are removed; partial least squares has fewer than prompts."""
        most = width if self.projection == "random" else min(width, prompts - 1)
        count = min(width // 4, most) if self.components is None else self.components
        if count > most:
            raise RecipeError(
                f"components must be at most {most} with outputs of {width} features and {prompts} "
                f"prompts, got {count}; lower it, or give more prompts"
            )
        return count


def removed_directions(outputs: PerPrompt, contrast: PerPrompt, count: int) -> Basis:
    """An orthonormal basis of the directions of `outputs` that best predict `contrast`, float64.

    The weights of partial least squares with `count` components, without scaling; fewer where
    fewer predict all there is. Raises `RecipeError` when scikit-learn is not installed.
    """
    features = outputs.shape[-1]
    if not count:
        return torch.zeros(features, 0, dtype=torch.float64)
    try:
        from sklearn.cross_decomposition import PLSRegression
    except ImportError as error:
        raise RecipeError(
            f"dama takes the extra 'editing', {error.name} is not installed; "
            "pip install 'equipoise[editing]', or take memit"
        ) from error
    regression = PLSRegression(n_components=count, scale=False)
    with warnings.catch_warnings():
        # that nothing is left to predict, or that the last components are not found to 1e-6
        warnings.simplefilter("ignore")
        regression.fit(outputs.cpu().double().numpy(), contrast.cpu().double().numpy())
    directions = torch.from_numpy(regression.x_weights_)  # 0 where nothing was left to predict
    left, sizes, _ = torch.linalg.svd(directions[:, directions.any(0)], full_matrices=False)
    basis: Tensor = left[:, sizes > _SMALLEST]
    return basis


def random_directions(features: int, count: int, *, seed: int) -> Basis:
    """An orthonormal basis of as many random directions, float64."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(features, count, generator=generator, dtype=torch.float64)
    basis: Tensor = torch.linalg.qr(drawn).Q
    return basis


class _Layers:
    """What each layer puts out after the prompts, and the contrast of the values for two words."""

    def __init__(
        self,
        method: Dama,
        model: LanguageModel,
        supply: Supply,
        targets: TargetModules,
        *,
        seed: int,
    ) -> None:
        self.method, self.model, self.targets = method, model, targets
        self.requests = [requests_of_prompts(supply.prompts, (word,)) for word in method.words]
        self.prefixes = rome_prefixes(model, each=method.prefixes, seed=seed)
        self.settings = ValueSettings(
            steps=method.value_steps,
            learning_rate=method.value_rate,
            norms=(2, 1),  # as DAMA's code: 0.5 |delta|^2 / |value|
            clamp=method.clamp,
            position="last",
        )
        self.contrasts: list[JSON] = []  # mean length of the difference of two values, per layer
        prompts = tuple(prompt.text for prompt in (*supply.prompts, *supply.hinted))
        texts = supply.texts[:-HELD_OUT_TEXTS] or supply.texts or prompts
        corpus = "texts" if supply.texts else "prompts"
        if method.covariance == "identity":
            texts, corpus = (), "identity"
        self.moments, said = regular_moments(model, targets, texts)
        self.report: dict[str, JSON] = {"covariance": corpus, "contrasts": self.contrasts, **said}

    def outputs_and_contrast(self, index: int) -> tuple[PerPrompt, PerPrompt]:
        """Of a layer, the outputs for whitened keys, and v(first word) - v(second word)."""
        block, module = self.targets.blocks[index], self.targets.modules[index]
        first, second = (
            optimize_values(
                self.model,
                requests,
                self.prefixes,
                block=block,
                module=module,
                settings=self.settings,
            )
            for requests in self.requests
        )
        keys = last_keys(self.model, self.requests[0], self.prefixes, module).double()
        weighted = self.method.covariance_weight * self.moments[block].to(keys.device)
        # each key k becomes (lambda C + K' K)^-1 k
        whitened = torch.linalg.solve(weighted + keys.T @ keys, keys.T).T
        outputs = whitened @ self.targets.matrices[index].detach().double()
        contrast = first.delta - second.delta
        self.contrasts.append(float(contrast.norm(dim=-1).mean()))
        return outputs, contrast


def _upper_middle(model: LanguageModel) -> tuple[int, ...]:
    """The paper's share of the blocks, and at least one."""
    first, end = (round(share * len(blocks(model.module))) for share in _DEPTH)
    return tuple(range(min(first, end - 1), end)) or (0,)
