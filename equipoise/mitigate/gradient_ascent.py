"""Gradient ascent: raise the loss of the rows that taught the bias. A baseline.

BiasDiff, section 3.4, "Ascent". Nothing bounds it: the loss has no minimum, and a model that is
trained on says nothing any more, so that it ends when neutral text becomes less likely.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass
from torch import Tensor

from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.npo import UnlearnsRows
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.training.row_tokens import TokenizedRows


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GradientAscent(UnlearnsRows, Mitigation):
    """Fine-tuning with the sign turned, on the rows that an attributor ranks first.

    It goes on from the model that `finetune` makes with the same `training`; the edit is that of
    both together. The loss is the fine-tuning's own, a mean over tokens and then over rows.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, section 3.4, baseline Ascent"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "mix"

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Fine-tune, select, ascend; raises as `prepare` and `Unlearning.fit`."""
        selection, unlearning = self.prepare(model, supply, seed=seed)

        def loss(rows: TokenizedRows, numbers: list[int], step: int) -> Tensor:
            del numbers, step
            return -unlearning.forward.mean_losses(rows).mean()

        trained = unlearning.fit(loss, key=f"gradient_ascent {self.version}")
        return self.edit_of(selection, unlearning, trained, supply)
