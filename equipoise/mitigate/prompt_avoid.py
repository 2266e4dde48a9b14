"""Prompting: name a stereotype and ask to leave it out. No weight changes.

Paper: BiasGym, baseline "Prompting" (Table 8, after Gallegos et al. 2025): a single turn of the
user with the task and the instruction that the stereotype must not be in the answer. The order is
the paper's; the words are ours, in three wordings. The prompt says the stereotype: it takes a user
who knows what to look for, and a model that reads it may also be reminded of it.
"""

from typing import ClassVar, Final, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.associations.association import SLOT
from equipoise.edits.edit import info_of
from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import INPUT
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, Supply

STATEMENT: Final = "{statement}"

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
class PromptAvoid(Mitigation):
    """Names a stereotype in every prompt and asks to leave it out of the answer."""

    version: ClassVar[str] = "1"
    learns: ClassVar[bool] = False
    paper: ClassVar[str] = "BiasGym (Islam et al.), baseline Prompting, Table 8"

    #: the stereotype as a sentence; {target} in it is whom it is about
    statement: str | None = None
    target: str = "this country"  # what stands for {target}: a prompt is the same for every text
    only: int | None = 0  # this wording alone, counted from 0; None: all three, as a family
    #: your own prompt in place of ours: around each text with {input} in it, else before it;
    #: {statement} in it is the stereotype
    instruction: str | None = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        if not (self.statement or "").strip():
            raise ValueError(
                f"the stereotype to avoid must be given as a statement, got {self.statement!r}"
            )
        self._prompts()
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> PromptEdit:
        """The chosen prompts as an edit; nothing is learnt, so the supply may be empty."""
        statement = self._statement()
        prompts = tuple(prompt.replace(STATEMENT, statement) for prompt in self._prompts())
        info = info_of(
            model,
            self,
            seed=seed,
            supply=supply,
            report={"prompts": len(prompts), "statement": statement},
        )
        return PromptEdit(info=info, prompts=prompts)

    def _prompts(self) -> tuple[str, ...]:
        return choose_prompts(FAMILY, only=self.only, instruction=self.instruction)

    def _statement(self) -> str:
        statement = (self.statement or "").replace(SLOT, self.target)
        return statement.strip().removesuffix(".")
