"""Transfer: put an adapter that was learnt on a base model on its instruction-tuned sibling.

Paper: BiasUnlearn (Liu et al. 2025), "weight transfer", with a control and a scale that the paper
lacks. What must fit is in `edits/transfer.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.base import Edit
from equipoise.edits.transfer import (
    VERSION,
    norm_matched_random,
    scale_update,
    transfer_adapter,
)
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.loading.checkpoint import Checkpoint
from equipoise.loading.load import base_vocabulary, find_edit
from equipoise.mitigate.base import Mitigation, UsesEdits
from equipoise.records import OPTIONS, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Transfer(Mitigation, UsesEdits):
    """An adapter of another model, attached to this model as it is; or a control in its place.

    The supply is not used: what the adapter learnt from is what must not be measured.
    """

    version: ClassVar[str] = VERSION
    paper: ClassVar[str] = "BiasUnlearn (Liu et al. 2025, EMNLP), weight transfer"

    #: folder or Hub id of the edit or PEFT adapter; of several, each seed takes that of its seed
    edit: str | Annotated[tuple[str, ...], Field(min_length=1)]
    #: "random": matrices drawn by the seed, with the rank and the Frobenius norms of the update
    control: Literal["none", "random"] = "none"
    #: multiplies the update (every B, in float32); 0 adds exactly nothing
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0
    #: a model (folder or Hub id) whose tokenizer the adapter knows; None: as the edit says
    base: str | None = None

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:  # noqa: ARG002
        """The adapter as an edit of this model; nothing is trained.

        Raises `ModelError` when it does not fit the model, and `RecipeError` when no edit is of
        this seed.
        """
        edit = self._edit_of_seed(seed)
        adapter = transfer_adapter(
            edit,
            model,
            vocabulary=base_vocabulary(
                edit.info,
                base=self.base,
                # as the user decided for the sibling
                trust_remote_code=bool(model.source.get("remote_code")),
            ),
            vocabulary_of_model=self.base or "",
        )
        if self.control == "random":
            adapter = norm_matched_random(adapter, seed=seed)
        # only then, since an adapter that is not plain LoRA can be transferred but not scaled
        if self.scale != 1.0:
            adapter = scale_update(adapter, self.scale)
        return replace(adapter, info=replace(adapter.info, seed=seed))

    def files(self) -> Mapping[str, str]:
        """sha256 over each folder, or the Hub's commit."""
        return {name: checkpoint.revision for name, (_, checkpoint) in self._edits().items()}

    def learnt(self) -> frozenset[str]:
        """What the adapters say they learnt from; none for an adapter of another program."""
        return frozenset().union(*(edit.info.trained_on for edit, _ in self._edits().values()))

    def _edits(self) -> dict[str, tuple[Edit, Checkpoint]]:
        names = (self.edit,) if isinstance(self.edit, str) else self.edit
        return {name: find_edit(name) for name in names}

    def _edit_of_seed(self, seed: int) -> Edit:
        edits = [edit for edit, _ in self._edits().values()]
        matching = [edit for edit in edits if edit.info.seed == seed or len(edits) == 1]
        if len(matching) != 1:
            raise RecipeError(
                f"transfer.edit must name an edit of seed {seed}, or a single edit for all seeds, "
                f"got edits of the seeds {[edit.info.seed for edit in edits]}; name an edit per "
                "seed"
            )
        return matching[0]
