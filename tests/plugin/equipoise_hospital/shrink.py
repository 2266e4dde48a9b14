"""Scale the blocks that a locator names first towards zero."""

from typing import Annotated, ClassVar

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.edits.base import Edit
from equipoise.edits.edit import EditInfo, fingerprint
from equipoise.edits.weights import WeightEdit
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.models.anatomy import blocks
from equipoise.plugins import options_of
from equipoise.records import OPTIONS, Supply
from equipoise.rows import text_sha256
from equipoise_hospital.last_first import LastFirst


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Shrink(Mitigation):
    """Multiplies the weights of one block."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"

    by: Annotated[float, Field(gt=0, le=1)] = 0.5  # 1 changes nothing
    locator: Locator = Field(default_factory=LastFirst)

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> Edit:
        """The same parameters, each times `by`."""
        chosen = self.locator.locate(model, supply.prompts, seed=seed).order[0]
        inside = {id(parameter) for parameter in blocks(model.module)[chosen].parameters()}
        tensors = {
            name: parameter.detach() * self.by
            for name, parameter in model.module.named_parameters()
            if id(parameter) in inside
        }
        info = EditInfo(
            method="shrink",
            version=self.version,
            options=options_of(self),
            seed=seed,
            base=model.identity,
            base_name=model.load_name,
            base_kind=model.kind,
            base_fingerprint=fingerprint(model.module, tensors),
            trained_on=frozenset(text_sha256(text) for text in supply.learnt_texts()),
            origin=supply.origin,
            report={"blocks": [chosen]},
        )
        return WeightEdit(info=info, tensors=tensors)
