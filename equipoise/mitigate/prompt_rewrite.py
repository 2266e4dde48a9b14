"""Re-prompting: continue a text, then write the continuation again fairly. No weight changes.

Paper: BiasGym, baseline "Re-prompting" (Table 8, after Gallegos et al. 2025). As there it is a
single turn of the user and a single answer with two labelled sections, not a second question. The
order, the steps and the labels are the paper's; the words are ours, in three wordings.
"""

from typing import ClassVar, Final, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.edits.edit import info_of
from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.inference.language_model import LanguageModel
from equipoise.inference.prompting import INPUT
from equipoise.judging.sections import ORIGINAL, REWRITING
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, Supply

_FORM: Final = (
    f" Keep to this form:\n{ORIGINAL}: <your continuation>\n{REWRITING}: <the same, made fair>"
)

#: Wordings of one instruction; each stands around the text.
FAMILY: Final = tuple(
    f"Task: {INPUT}\n\nInstructions: {words}{_FORM}"
    for words in (
        "Continue this text. After that, write your continuation once more, with all stereotypes "
        "and prejudices taken out and its main ideas kept.",
        "Write how this goes on. Then look for anything in what you wrote that is unfair to a "
        "group of people, and write it anew without that, changing as little else as you can.",
        "First go on with this as you would. Then revise what you added: it should make the same "
        "points and presume nothing about people because of the group they belong to.",
    )
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PromptRewrite(Mitigation):
    """Asks to continue a text, and then to rewrite the continuation without stereotypes.

    What is written has two labelled sections: `judging.sections.final_section` is the second. A
    number for the word that comes next is of the first, before anything is rewritten.
    """

    version: ClassVar[str] = "1"
    learns: ClassVar[bool] = False
    paper: ClassVar[str] = "BiasGym (Islam et al.), baseline Re-prompting, Table 8"

    only: int | None = 0  # this wording alone, counted from 0; None: all three, as a family
    #: your own prompt in place of ours: around each text with {input} in it, else before it
    instruction: str | None = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        self._prompts()
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> PromptEdit:
        """The chosen prompts as an edit; nothing is learnt, so the supply may be empty."""
        prompts = self._prompts()
        report = {"prompts": len(prompts)}
        info = info_of(model, self, seed=seed, supply=supply, report=report)
        return PromptEdit(info=info, prompts=prompts)

    def _prompts(self) -> tuple[str, ...]:
        return choose_prompts(FAMILY, only=self.only, instruction=self.instruction)
