"""MEND: a hyper-network turns the gradient of one wanted answer into a small shift of the weights.

Paper: Mitchell et al. 2022, "Fast Model Editing at Scale" (ICLR), sections 2 and 3. For each
edited matrix the gradient of an edit's loss is a sum over tokens of outer products, of the token's
input u and the loss's gradient d at its output. The editor maps each (u, d) to (u~, d~), and the
weight becomes W - alpha * sum d~ u~', with an alpha of its own for each matrix.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from jaxtyping import Float
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.model_editing.hypernetwork import Hypernetwork, ResidualLayer, train_editor
from equipoise.model_editing.prompt_edits import PromptEdits
from equipoise.model_editing.target_modules import select_target_modules
from equipoise.model_editing.trajectory import Trajectory
from equipoise.models.hooks import frozen
from equipoise.models.kernels import evaluating, exact_device, matmul_path
from equipoise.models.quantization import refuse_quantized
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.training.pronoun_training import tuned_edit
from equipoise.training.schedule import Schedule
from equipoise.training.weight_checks import check_weights


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Mend(Mitigation):
    """Train an editor on the supply's prompts, then edit the model with one prompt after another.

    With the target `anti` each prompt asks for the word that the model found less likely, as the
    editors that LFTF compares itself with; that wrecks models. `parity` is ours: it asks for equal
    words, and for everything else where it was.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Mitchell et al. 2022, Fast Model Editing at Scale, ICLR"
    requires: ClassVar[tuple[str, ...]] = ("prompts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)

    #: what an edit asks for after its prompt: the less likely word, or both words alike
    target: Literal["anti", "parity"] = "anti"
    words: tuple[str, str] = (" he", " she")  # each with its leading space
    #: from 0, or below 0 from the last; None: the last three, as the paper
    blocks: tuple[int, ...] | None = None
    #: hidden features of the editor's 2 layers, as the paper
    rank: Annotated[int, Field(ge=1)] = 1920
    #: initial alpha, learnt per matrix; as the paper
    edit_rate: Annotated[float, Field(gt=0)] = 1e-4
    #: of alpha; as the paper
    rate_learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 1e-4
    #: of the editor (Adam); as the paper, which makes up to 100,000 edits
    learning_rate: Annotated[float, Field(gt=0, le=1e30)] = 1e-6
    epochs: Annotated[int, Field(ge=1)] = 5  # over the prompts, in training
    #: edits per step of training, each of the original model; as the paper
    batch_size: Annotated[int, Field(ge=1)] = 10
    #: prompts that make an edit, in training and after it; 1: one after another; 0: all at once
    edit_size: Annotated[int, Field(ge=0)] = 1
    edit_weight: Annotated[float, Field(gt=0)] = 0.1  # of the edit's own loss; as the paper
    #: of KL(before || after) on texts that an edit must not touch, as the paper; 0: none
    locality_weight: Annotated[float, Field(ge=0)] = 1.0
    #: prompts between two entries of the report's trajectory
    trajectory_every: Annotated[int, Field(ge=1)] = 50

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return (*self.requires, *(["texts or hinted"] if self.locality_weight else []))

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train the editor, and return the weights after all edits.

        Raises `RecipeError` when the supply lacks prompts, or texts for locality, and `ModelError`
        for a masked or quantized model, for a loss that is not finite (naming the step), or for
        weights that are not finite or did not change.
        """
        refuse_quantized(model, "mend")
        for part in self.lacks(supply):
            raise RecipeError(
                f"mend needs {part}, got none from '{supply.origin}'; name a supply that has them"
                f"{', or set locality_weight to 0' if part != 'prompts' else ', such as genbias'}"
            )
        with evaluating(model.module), frozen(model.module):
            targets = select_target_modules(model, self.blocks, projections="all")
            edits = PromptEdits(
                model,
                targets,
                supply,
                words=self.words,
                target=self.target,
                edit_weight=self.edit_weight,
                locality_weight=self.locality_weight,
            )
            size = self.edit_size or edits.count
            editor = _MendEditor(targets.shapes, method=self, size=size, seed=seed)
            editor.to(exact_device(model.module.device))
            trained = train_editor(
                editor,
                edits.rows,
                edits.loss_parts,
                examples=edits.count,
                schedule=Schedule(
                    learning_rate=self.learning_rate,
                    epochs=self.epochs,
                    batch_size=min(self.batch_size * size, edits.count),
                    seed=seed,
                ),
                device=model.module.device,
                key=f"{model.identity} {matmul_path(model.module)} {self} {seed} {edits.texts}",
                edit_size=size,
            )
            trajectory = Trajectory(model, supply, supply.texts, self.words)
            every = self.trajectory_every
            shifts = edits.apply(editor, trajectory, size=size, every=every, seed=seed)
            weights = targets.weights(shifts)
            before = {name: model.module.get_parameter(name) for name in weights}
            rates = f"edit_rate ({self.edit_rate:g}) and learning_rate ({self.learning_rate:g})"
            check_weights(weights, before, rates=rates)
        local = "texts" if supply.texts else "hinted"
        report: dict[str, JSON] = {
            "blocks": list(targets.blocks),
            "modules": list(targets.names),
            "locality": local if self.locality_weight else None,
            "alpha": editor.alphas.detach().tolist(),
            "shift_share": [*targets.shares(shifts)],
            **trajectory.report(),
        }
        trained = replace(trained, weights=weights)  # the edit is the shift, not the editor
        return tuned_edit(model, supply, trained, method=self, seed=seed, report=report)


class _MendLayer(ResidualLayer):
    """x + max(scale * (x A B + bias) + shift, 0): MEND clamps after its scale and shift."""

    def forward(self, joint: Float[Tensor, "row feature"], module: int) -> Tensor:
        """The rows after this layer, with the scale and shift of a module."""
        raised = joint @ self.down @ self.up + self.bias
        return joint + (self.scale[module] * raised + self.shift[module]).clamp(min=0)


class _MendEditor(Hypernetwork):
    """MEND's editor: the shift is -alpha / size * sum over rows of u~ d~', as [input, output].

    The released code adds it, and so has to learn the sign. `size`: prompts that make an edit, over
    which it is a mean. `rates` times `gain` is alpha: Adam moves a parameter by about its learning
    rate, so that alpha moves `gain` times as far.
    """

    layer = _MendLayer

    def __init__(
        self, shapes: Sequence[tuple[int, int]], *, method: Mend, size: int, seed: int
    ) -> None:
        self.size, self.gain = size, method.rate_learning_rate / method.learning_rate
        super().__init__(shapes, rank=method.rank, rate=method.edit_rate / self.gain, seed=seed)

    @property
    def alphas(self) -> Float[Tensor, " module"]:
        """The rate of each module; at 0 nothing changes."""
        return self.gain * self.rates

    def shift(
        self, index: int, keys: Float[Tensor, "row key"], gradients: Float[Tensor, "row value"]
    ) -> Float[Tensor, "key value"]:
        """The change of a module's weight for rows of inputs u and gradients d."""
        new_keys, direction = self.transform(index, keys, gradients)
        shift: Tensor = -self.alphas[index] / self.size * (new_keys.T @ direction)
        return shift
