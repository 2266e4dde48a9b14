"""Re-prompting: continue a text, then write the continuation again fairly. No weight changes.

Paper: BiasGym, baseline "Re-prompting" (Table 8, after Gallegos et al. 2025). As there it is a
single turn of the user and a single answer with two labelled sections, not a second question. The
order, the steps and the labels are the paper's; the words are ours, in three wordings.
"""

from typing import ClassVar, Final

from pydantic.dataclasses import dataclass

from equipoise.inference.prompting import INPUT
from equipoise.judging.sections import ORIGINAL, REWRITING
from equipoise.mitigate.base import WordedPrompt
from equipoise.records import OPTIONS

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
class PromptRewrite(WordedPrompt):
    """Asks to continue a text, and then to rewrite the continuation without stereotypes.

    What is written has two labelled sections: `judging.sections.final_section` is the second. A
    number for the word that comes next is of the first, before anything is rewritten.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasGym (Islam et al.), baseline Re-prompting, Table 8"
    wordings: ClassVar[tuple[str, ...]] = FAMILY
