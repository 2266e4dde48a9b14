"""BiasEdit as its paper measures it: the shift is made from the labelled test items.

Paper: Xu et al. 2025, "BiasEdit: Debiasing Stereotyped Language Models via Model Editing". How its
objective and its code differ, and what is corrected here: `mitigate/bias_edit.py`.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.edits.weights import WeightEdit
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.bias_edit import BiasEdit
from equipoise.records import OPTIONS, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class BiasEditTransductive(BiasEdit):
    """Train an editor on the supply's contrasts, and shift the weights by the measured items.

    It is given which text of each measured item is the stereotype, so that its numbers there do not
    measure a model on new texts: it compares with no other method. The paper shifts the weights
    anew for each batch of 64 or 128 items; here all of them make a single shift. The options are
    those of `bias_edit`.
    """

    item_info: ClassVar[tuple[str, ...]] = ("labels",)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> WeightEdit:
        """Train the editor; return the weights as the measured items shift them."""
        if not supply.measured:
            raise RecipeError(
                f"the supply must hold the measured items, got none from '{supply.origin}'; "
                "name a supply that has them, such as stereoset"
            )
        return self.fit_shift(model, supply, supply.measured, seed=seed)
