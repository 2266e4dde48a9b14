"""Direct preference optimization of anti-stereotypes over stereotypes, and its repair.

Rafailov et al. 2023, equation 7, as a baseline of Liu et al. 2025 ("BiasUnlearn", section 4.5);
IPO, Azar et al. 2024, equation 17.
"""

from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from equipoise.contrast_training.packed_forward import reference_outputs
from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.steps import epoch_batch
from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, ModelKind, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class DpoObjective:
    """-log sigmoid(beta (margin - before)), which has no minimum at any finite margin."""

    name: Literal["dpo"] = "dpo"
    beta: Annotated[float, Field(gt=0)] = 0.1  # a higher beta holds closer to the base

    def __call__(self, margin: Tensor, before: Tensor) -> Tensor:
        """The mean over items; of log p(anti-stereotype) - log p(stereotype) in nats: [item]."""
        return -logsigmoid(self.beta * (margin - before)).mean()


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class MarginObjective:
    """IPO's square with the target 0 of the model's own margin, stationary at parity."""

    name: Literal["margin"] = "margin"

    def __call__(self, margin: Tensor, before: Tensor) -> Tensor:
        """The mean over items; of log p(anti-stereotype) - log p(stereotype) in nats: [item]."""
        del before
        return margin.square().mean()


PreferenceObjective: TypeAlias = DpoObjective | MarginObjective


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Dpo(AdapterOptions, Mitigation):
    """Prefer the anti-stereotype: dpo goes on past parity, margin stops at it.

    To prefer both answers half of the time is no third way: it is stationary where training begins.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Rafailov et al. 2023, DPO, equation 7"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    loss: PreferenceObjective = DpoObjective()  # "margin": stationary at parity
    batch_size: Annotated[int, Field(ge=1)] = 32  # pairs per step

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the supply's contrasts; those held out are evaluated.

        All steps are done unless a limit ends it. Raises as `ContrastTraining` does.
        """
        training = ContrastTraining.on_contrasts(model, supply, self, seed=seed)
        forward, contrasts = training.forward, training.contrasts
        reference = reference_outputs(forward, scored=training.pairs)

        def loss(_module: nn.Module, _rows: Tensor, step: int) -> Tensor:
            """Of the margins of whole endings: sums of log-probabilities, not means."""
            batch = epoch_batch(contrasts, self.batch_size, step=step, seed=(seed, 0))
            texts = [text for item in batch for text in (item.antistereotype, item.stereotype)]
            readout = forward.read(texts, [text.target_positions for text in texts])
            now, _tokens = forward.text_logprobs(readout)
            before = reference.target_logprobs(texts).to(now.device)
            return self.loss(now[0::2] - now[1::2], before[0::2] - before[1::2])

        return training.fit(loss, training.early_stopping())
