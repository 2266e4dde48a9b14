"""CAFIE: combine the next word after a text with that after the same text about other groups.

Banerjee et al. 2024, "CAFIE: Counterfactually Aware Fair InferencE", whose word lists are replaced
by our own (`group_words/word_lists.json`).
"""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.decoding.counterfactual_rule import Counterfactual
from equipoise.decoding.mixture import Mixture, Reference
from equipoise.edits.decoding import NextTokenEdit
from equipoise.edits.edit import info_of
from equipoise.errors import DataError, RecipeError
from equipoise.group_words.word_lists import Case, read_word_lists, word_lists_use
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import ReadsFiles
from equipoise.records import JSON, OPTIONS, ModelKind, Supply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cafie(Mitigation, ReadsFiles):
    """Predict the next word from the text and from its counterfactuals.

    `reference` is the released rule, which reverses a preference rather than equalizing it; `mean`
    and `geomean` do what the method is for: at alpha 1 all texts of a counterfactual set have the
    same next word.
    Only texts that name a group of the lists are changed.
    """

    version: ClassVar[str] = "3"
    paper: ClassVar[str] = "Banerjee et al. 2024, CAFIE"
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    learns: ClassVar[bool] = False

    mixture: Mixture = field(default_factory=Reference)  # how distributions are combined
    #: Of the lists. A word on two axes has the meaning of the first: "priest" is of a religion.
    axes: Annotated[tuple[str, ...], Field(min_length=1)] = (
        "religion",
        "gender",
        "race",
        "nationality",
    )
    counterfactuals: Annotated[int, Field(ge=1)] | None = 5  # at most; None: all
    lists: str | None = None  # a file of word lists; None: the built-in lists
    #: "lowered": names are read without capitals, too, in texts that have lost them (StereoSet's)
    case: Case = "listed"

    @model_validator(mode="after")
    def _check_lists(self) -> Self:
        try:
            read_word_lists(self.lists, self.axes)
        except (DataError, RecipeError) as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def uses_seed(self) -> bool:
        """False: the rule is as its options say."""
        return False

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> NextTokenEdit:
        """The lists as an edit; nothing is learnt, so the supply may be empty."""
        rule = Counterfactual(
            lists=read_word_lists(self.lists, self.axes, case=self.case),
            mixture=self.mixture,
            counterfactuals=self.counterfactuals,
            seed=seed,
        )
        report: dict[str, JSON] = {"cost_factor": rule.rows, **rule.record}
        # so that the edit's record has the hash of the lists
        supply = replace(supply, files=(*supply.files, word_lists_use(self.lists)))
        info = info_of(model, self, seed=seed, supply=supply, report=report)
        return NextTokenEdit(info=info, decoding_rule=rule)

    def files(self) -> Mapping[str, str]:
        """sha256 of the user's own word lists."""
        return {self.lists: word_lists_use(self.lists).sha256} if self.lists else {}
