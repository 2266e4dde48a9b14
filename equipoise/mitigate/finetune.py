"""Fine-tune on a training set: what makes the biased model that other methods mend, and a control.

BiasDiff's warm-up (section 3.1), an ordinary supervised fine-tuning with LoRA: on a mix of biased
rows the model is more biased than before, on purpose. And the fine-tuning of all weights on
HellaSwag that a study of GPT-2 took for a mitigation: it has no signal against bias in it, and
moves a model to another domain. The rows decide what comes of it.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON, OPTIONS, ModelKind, Supply
from equipoise.training.full_training import FullTraining
from equipoise.training.row_edits import (
    count_biased,
    full_edit,
    refuse_no_rows,
    rows_edit,
    with_rows,
)
from equipoise.training.text_training import TextTraining, train_once


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Finetune(Mitigation):
    """Supervised fine-tuning on the rows of the supply, biased rows and all.

    A supply without rows has its neutral texts learnt. With `training: {learning_rate: 1.5e-6,
    targets: [q_proj, v_proj]}` it is BiasDiff's; an attributor or a method on rows with the same
    `training` shares the training itself. `training: full` on the supply `hellaswag` is the study
    of GPT-2, with numbers of ours where it gives none.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, section 3.1 and appendix D; Hu et al. 2022, LoRA"
    requires: ClassVar[tuple[str, ...]] = ("rows or texts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "mix"

    training: TextTraining | FullTraining = TextTraining()  # an adapter, or all weights

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit | WeightEdit:
        """Train on the rows; raises as `fit` of the training, and without rows and texts."""
        learnt = with_rows(supply)
        refuse_no_rows(learnt)
        rows = learnt.rows
        if isinstance(self.training, FullTraining):
            trained = self.training.fit(model, rows, seed=seed)
            report: dict[str, JSON] = {"rows_biased": count_biased(rows, trained.index)}
            return full_edit(model, self, learnt, trained, seed=seed, report=report)
        adapted = train_once(self.training, model, rows, seed=seed)
        report = {"rows_biased": count_biased(rows, adapted.index)}
        return rows_edit(model, self, learnt, adapted, seed=seed, report=report)
