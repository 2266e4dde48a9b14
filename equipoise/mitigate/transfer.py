"""Transfer: put an adapter that was learnt on a base model on its instruction-tuned sibling.

Paper: BiasUnlearn (Liu et al. 2025), "weight transfer", with two controls and a scale that the
paper lacks. What must fit is said in `models/transfer.py`.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.edit import Edit
from equipoise.edits.transfer import VERSION, transferred
from equipoise.edits.transfer_controls import Control, varied
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.pretrained import base_vocabulary, find_edit
from equipoise.mitigate.base import Mitigation, UsesEdits
from equipoise.records import OPTIONS, Supply


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Transfer(Mitigation, UsesEdits):
    """An adapter of another model, attached to this one as it is; or a control in its place.

    The supply is not looked at: what the adapter learnt from is what must not be measured.
    """

    version: ClassVar[str] = VERSION
    paper: ClassVar[str] = "BiasUnlearn (Liu et al. 2025, EMNLP), weight transfer"

    edit: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    # folder of the edit or PEFT adapter; of several, each seed takes the one of its own seed
    control: Control = "none"  # random: of the same norms; shuffled: the same in other layers
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0  # of the update; 0: none
    more_tokens: bool = False  # the model may have tokens that the base has not
    base: str | None = None  # whose tokenizer the adapter knows; None: as the edit says

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:  # noqa: ARG002
        """The adapter as an edit of this model; nothing is trained.

        Raises `ModelError` when it does not fit the model, and `RecipeError` when no edit is of
        this seed.
        """
        edit = self._of_seed(seed)
        made = transferred(
            edit,
            model,
            vocabulary=base_vocabulary(edit.info, base=self.base),
            of=self.base,
            more_tokens=self.more_tokens,
        )
        return varied(made, control=self.control, scale=self.scale, seed=seed)

    def files(self) -> Mapping[str, str]:
        """sha256 over each folder, or the Hub's commit."""
        return {name: find_edit(name)[1].revision for name in self.edit}

    def learnt(self) -> frozenset[str]:
        """What the adapters say they learnt from; none for one of another program."""
        return frozenset().union(*(find_edit(name)[0].info.trained_on for name in self.edit))

    def _of_seed(self, seed: int) -> Edit:
        if len(self.edit) == 1:
            return find_edit(self.edit[0])[0]
        found = [find_edit(name)[0] for name in self.edit]
        own = [one for one in found if one.info.seed == seed]
        if len(own) != 1:
            seeds = [one.info.seed for one in found]
            raise RecipeError(
                f"transfer.edit must name one edit of seed {seed}, or a single edit for all seeds, "
                f"got edits of the seeds {seeds}; name one a seed"
            )
        return own[0]
