"""Fine-tune on a training set: what makes the biased model that other methods mend.

BiasDiff's warm-up (section 3.1), an ordinary supervised fine-tuning with LoRA. The rows decide what
comes of it: on a mix of biased rows the model is more biased than before, on purpose.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.adapter import AdapterEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import JSON, OPTIONS, Supply
from equipoise.training.row_edits import count_biased, refuse_no_rows, rows_edit
from equipoise.training.text_training import TextTraining, train_once


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Finetune(Mitigation):
    """Supervised fine-tuning on the rows of the supply, biased rows and all.

    With `training: {learning_rate: 1.5e-6, targets: [q_proj, v_proj]}` it is BiasDiff's. An
    attributor or a method on rows with the same `training` shares the training itself.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, section 3.1 and appendix D; Hu et al. 2022, LoRA"
    taught_by: ClassVar[str] = "mix"

    training: TextTraining = TextTraining()  # how an adapter is trained on the rows

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter on the rows; raises as `TextTraining.fit`, and without rows."""
        refuse_no_rows(supply)
        trained = train_once(self.training, model, supply.rows, seed=seed)
        report: dict[str, JSON] = {"rows_biased": count_biased(supply.rows, trained.index)}
        return rows_edit(model, self, supply, trained, seed=seed, report=report)
