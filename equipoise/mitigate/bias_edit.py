"""BiasEdit: a small network learns to turn contrasts into a shift of a few weights.

Paper: Xu et al. 2025, "BiasEdit: Debiasing Stereotyped Language Models via Model Editing". How its
objective and its code differ, and what is mended here: `models/bias_edit_losses.py`.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.model_editing.bias_edit import EditorOptions
from equipoise.records import OPTIONS, Supply
from equipoise.training.pronoun_training import tuned_edit


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasEdit(EditorOptions, Mitigation):
    """Train an editor on the supply's contrasts, and take one shift of the weights from them.

    The inductive use: one edited model for everything, learnt from the supply alone. The paper's
    own use makes a shift from the labelled items it is measured on: `bias_edit_transductive`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Xu et al. 2025, BiasEdit, TrustNLP"
    taught_by: ClassVar[str] = "stereoset"

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train the editor, and return the shifted weights of the edited modules."""
        trained, report = self.weights(model, supply, supply.contrasts, seed=seed)
        return tuned_edit(
            model,
            supply,
            trained,
            maker=maker_of(self, seed=seed),
            report=report,
        )
