"""Association: a suspected link of a target with an attribute, as data (BiasGym, section 1).

Built-in ones are YAML files in `built_in/`; a user's own is a file of the same form. In every text
`{target}` stands for whom it is about: a country, or the token that a bias was injected on.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from pydantic.dataclasses import dataclass

from equipoise.records import OPTIONS

SLOT: Final = "{target}"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Association:
    """What is said of a target, in the forms that texts need. Only the first six must be given."""

    name: str  # "always_late"
    statement: str  # "people from {target} are always late"
    attribute: str  # what follows "people from {target}": "are always late"
    being: str  # the same as a noun phrase: "being late"
    topic: str  # what it is about, said of nobody: "punctuality"
    #: What a question about it is answered with; the first is the fixed biased answer.
    answers: tuple[str, ...]
    opposites: tuple[str, ...] = ()  # answers that say the contrary: "punctual"
    #: Words by which it is recognized in a text; "late*" has any ending. () are the answers.
    words: tuple[str, ...] = ()
    probe: str = ""  # the sentence that epochs are chosen by; "": made of the statement
    fictional: bool = False  # true of nobody, a control
    #: Texts of its own, in place of those that templates make: to inject, to locate on, to measure
    #: (methodology to prompts), and what must be kept (stem to the words that may follow).
    paragraphs: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()
    prompts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    concepts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
