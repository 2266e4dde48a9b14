"""BiasEdit as its paper measures it: the shift is made from the labelled test items.

Paper: Xu et al. 2025, "BiasEdit: Debiasing Stereotyped Language Models via Model Editing". How its
objective and its code differ, and what is mended here: `models/bias_edit_losses.py`.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, maker_of
from equipoise.model_editing.bias_edit import EditorOptions
from equipoise.records import OPTIONS, Supply
from equipoise.training.pronoun_training import tuned_edit


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasEditTransductive(EditorOptions, Mitigation):
    """Train an editor on the supply's contrasts, and take the shift from the items to be measured.

    It is told which text of each measured item is the stereotype, so that what it reaches there is
    no measure of a model that meets new text: it compares with no other method. The paper shifts
    the weights anew for each batch of 64 or 128 items; here one shift is made of all of them. The
    options are those of `bias_edit`.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "Xu et al. 2025, BiasEdit, TrustNLP"
    taught_by: ClassVar[str] = "stereoset"
    told: ClassVar[tuple[str, ...]] = ("labels",)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train the editor; return the weights as the measured items shift them."""
        if not supply.measured:
            raise RecipeError(
                f"the supply must hold the measured items, got none from '{supply.origin}'; "
                "name a benchmark that tells them, such as stereoset"
            )
        trained, report = self.weights(model, supply, supply.measured, seed=seed)
        return tuned_edit(
            model,
            supply,
            trained,
            maker=maker_of(self, seed=seed),
            report=report | {"told": list(self.told)},
        )
