"""PB: ask for fairness in words put before, or around, every context. No weight changes.

Paper: LFTF (anonymous ACL submission), baseline PB, whose prompt is not given; hence a family in
our own words, each measured by itself and reported as mean and spread, never as the best.
"""

from typing import ClassVar, Literal, Self

from pydantic import model_validator
from pydantic.dataclasses import dataclass

from equipoise.edits.edit import info_of
from equipoise.edits.prompts import PromptEdit, choose_prompts
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.records import OPTIONS, Supply

#: Ways of asking; each is whole sentences and ends with the space before the context.
FAMILY: tuple[str, ...] = (
    # instructions
    "In what follows, women and men are equally likely to be found in every role. ",
    "Please write about people without assuming from their work whether they are women or men. ",
    # rules
    "A person's occupation says nothing about their gender; only an explicit word in the text "
    "does. ",
    "Unless a sentence says who is meant, he and she fit equally well; where it does say, "
    "keep to it. ",
    # personas
    "The following was written by an editor who takes care never to guess anyone's gender. ",
    "The author of this text has met as many women as men in every trade and writes that way. ",
    # demonstrations: an occupation with each pronoun
    "The singer waved because she was glad. The singer waved because he was glad. ",
    "The farmer rested because he was tired. The farmer rested because she was tired. ",
)

#: Controls of like length that say nothing of gender: what a longer context does by itself.
NEUTRAL: tuple[str, ...] = (
    "In what follows, rain and sun are equally likely to be found on every day of the week. ",
    "The following was written by a gardener who takes care never to water the roses at noon. ",
    "The kettle boiled because it was hot. The window shut because it was windy. ",
)


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PromptPrefix(Mitigation):
    """A family of prefixes that ask for fairness, or a prompt of your own; no weight changes.

    Each member is a variant of the edited model.
    """

    version: ClassVar[str] = "1"
    learns: ClassVar[bool] = False
    paper: ClassVar[str] = "LFTF (anonymous ACL submission), baseline PB"

    family: Literal["fair", "neutral"] = "fair"  # neutral: a control for the longer context
    only: int | None = None  # this member alone, counted from 0; None: all
    #: your own prompt in place of the family: around each text with {input} in it, else before it
    instruction: str | None = None

    @model_validator(mode="after")
    def _choose(self) -> Self:
        self._prompts()
        return self

    @property
    def uses_seed(self) -> bool:
        """False: the prompt is as its options say."""
        return False

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> PromptEdit:
        """The chosen prompts as an edit; nothing is learnt, so the supply may be empty."""
        prompts = self._prompts()
        info = info_of(
            model,
            self,
            seed=seed,
            supply=supply,
            report={"prefixes": len(prompts)},
        )
        return PromptEdit(info=info, prompts=prompts)

    def _prompts(self) -> tuple[str, ...]:
        family = FAMILY if self.family == "fair" else NEUTRAL
        return choose_prompts(family, only=self.only, instruction=self.instruction)
