"""Prompting: ask for an answer without bias, before the text. No weight changes.

BiasDiff, section 3.4, baseline "Prompt", whose words are not given; ours, in three wordings.
"""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.mitigate.base import WordedPrompt
from equipoise.records import OPTIONS


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PromptDebias(WordedPrompt):
    """Asks, before each text, for a text that favors no group of people."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "BiasDiff, section 3.4, baseline Prompt"

    wordings: ClassVar[tuple[str, ...]] = (
        "The following text is fair to everybody and rests on no stereotype. ",
        "Write without bias: nobody's group says what a person is like or can do. ",
        "What comes next treats people of every group alike and assumes nothing of them. ",
    )
