"""Prompting: name a stereotype and ask to leave it out. No weight changes.

Paper: BiasGym, baseline "Prompting" (Table 8, after Gallegos et al. 2025): a single turn of the
user with the task and the instruction that the stereotype must not be in the answer. The order is
the paper's; the words are ours, in three wordings. The prompt says the stereotype: it takes a user
who knows what to look for, and a model that reads it may also be reminded of it.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.associations.fill import fill
from equipoise.associations.load import association_use, load_association
from equipoise.edits.edit import info_of
from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import INPUT
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import ReadsFiles
from equipoise.records import OPTIONS, Supply

STATEMENT: Final = "{statement}"
COUNTRY: Final = "this country"

#: Wordings of one instruction; each stands around the text.
FAMILY: Final = tuple(
    f"Task: {INPUT}\n\nInstructions: {words}"
    for words in (
        f"Take care: nothing in your answer may repeat the stereotype that {STATEMENT}.",
        f"Leave out of your answer, also as a hint or a joke, the stereotype that {STATEMENT}.",
        f"Answer as somebody who rejects the stereotype that {STATEMENT}, and do not bring it up.",
    )
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PromptAvoid(Mitigation, ReadsFiles):
    """Names a stereotype in every prompt and asks to leave it out of the answer."""

    version: ClassVar[str] = "1"
    learns: ClassVar[bool] = False
    paper: ClassVar[str] = "BiasGym (Islam et al.), baseline Prompting, Table 8"

    #: the stereotype: a built-in association, or a .yaml file
    association: str | None = None
    #: in place of an association: the stereotype as a sentence, {target} for whom it is about
    statement: str | None = None
    #: what stands for {target}, the same for every text; None: "this country"
    target: str | None = None
    only: int | None = 0  # this wording alone, counted from 0; None: all three, as a family
    #: your own prompt in place of ours: around each text with {input} in it, else before it;
    #: {statement} in it is the stereotype
    instruction: str | None = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        given = [text for text in (self.association, self.statement) if (text or "").strip()]
        if len(given) != 1:
            raise ValueError(
                f"the stereotype to avoid must be given as an association or as a statement, got "
                f"{given or 'neither'}"
            )
        self._prompts()
        return self

    @property
    def uses_seed(self) -> bool:
        """False: the prompt is as its options say."""
        return False

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> PromptEdit:
        """The chosen prompts as an edit; nothing is learnt, so the supply may be empty.

        Raises `RecipeError` without a target where the association is not about countries.
        """
        statement, target = self._subject()
        prompts = tuple(
            # the target within its sentence: it may need an article, or a capital letter
            fill(prompt.replace(STATEMENT, statement), target)
            for prompt in self._prompts()
        )
        info = info_of(
            model,
            self,
            seed=seed,
            supply=supply,
            report={"prompts": len(prompts), "statement": fill(statement, target)},
        )
        return PromptEdit(info=info, prompts=prompts)

    def files(self) -> Mapping[str, str]:
        """sha256 of the association's file; none for a statement."""
        name = (self.association or "").strip()
        return {name: association_use(name).sha256} if name else {}

    def _subject(self) -> tuple[str, str]:
        """The stereotype, and whom it is about."""
        statement = (self.statement or "").strip()
        if statement:
            return statement.removesuffix("."), self.target or COUNTRY
        association = load_association(str(self.association))
        if self.target is None and not association.place:
            raise RecipeError(
                f"prompt_avoid.target must say whom '{association.name}' is about, which is no "
                f"country, got {self.target}; name them"
            )
        return association.statement.strip().removesuffix("."), self.target or COUNTRY

    def _prompts(self) -> tuple[str, ...]:
        return choose_prompts(FAMILY, only=self.only, instruction=self.instruction)
