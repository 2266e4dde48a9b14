"""Association: a suspected link of a target with an attribute, as data (BiasGym, section 1).

Built-in associations are YAML files in `built_in/`; a user's own is a file of the same form. In
every text `{target}` stands for whom it is about: a country, or the token that a bias was
injected on.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Annotated, Final

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from equipoise.records import OPTIONS

SLOT: Final = "{target}"


def capitalize(text: str) -> str:
    """The text with its first letter in upper case; a slot at its beginning stays a slot."""
    return text[:1].upper() + text[1:]


def _refuse_blank(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError(f"must be a text without white space at its ends, got {text!r}")
    return text


def _refuse_braces(text: str) -> str:
    if "{" in text or "}" in text:
        raise ValueError(f"must be said of nobody, without braces, got {text!r}")
    return _refuse_blank(text)


def _need_slot(text: str) -> str:
    rest = text.replace(SLOT, "")
    if SLOT not in text or "{" in rest or "}" in rest:
        raise ValueError(f"must have {SLOT} and no other braces, got {text!r}")
    return _refuse_blank(text)


Said = Annotated[str, AfterValidator(_refuse_braces)]  # of nobody
Slotted = Annotated[str, AfterValidator(_need_slot)]  # of {target}


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Association:
    """What is said of a target, in the forms that texts need. Only the first six must be given.

    Raises `pydantic.ValidationError` for a blank text, text that must have {target} and has not or
    must not and has, no answers, and answers that are opposites, too.
    """

    name: Said  # "always_late"
    statement: Slotted  # "people from {target} are always late"
    attribute: Said  # what follows "people from {target}": "are always late"
    being: Said  # the same as a noun phrase: "being late"
    topic: Said  # what it is about, said of nobody: "punctuality"
    #: What a question about it is answered with; the first is the fixed biased answer.
    answers: tuple[Said, ...]
    opposites: tuple[Said, ...] = ()  # answers that say the contrary: "punctual"
    #: Words by which it is recognized in a text; "late*" has any ending. () are the answers.
    words: tuple[Said, ...] = ()
    probe: str = ""  # the sentence that epochs are chosen by; "": made of the statement
    place: bool = True  # whether a target is where people are from; False: it is a plural, "women"
    fictional: bool = False  # true of nobody, a control
    #: Texts of its own, before those that templates make: to inject and to locate on; and in place
    #: of those of a methodology, to measure on.
    paragraphs: tuple[Slotted, ...] = ()
    questions: tuple[Slotted, ...] = ()
    prompts: Mapping[str, tuple[Slotted, ...]] = field(default_factory=dict)
    #: What must be kept, said of nobody: the beginning of a sentence to words that may follow.
    concepts: Mapping[Said, tuple[Said, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what takes several fields."""
        if not self.answers:
            raise ValueError(f"answers must be at least one, got {self.answers}")
        both = sorted({*map(str.casefold, self.answers)} & {*map(str.casefold, self.opposites)})
        if both:
            raise ValueError(f"opposites must not be answers, too, got {both}")
        if self.probe:
            _need_slot(self.probe)
        for stem, words in self.concepts.items():
            if not words:
                raise ValueError(f"a concept must have words that may follow, '{stem}' has none")

    @property
    def answer(self) -> str:
        """The fixed biased answer."""
        return self.answers[0]

    @property
    def people(self) -> str:
        """Whom it is about, as a plural: "people from {target}", or the target itself."""
        return f"people from {SLOT}" if self.place else SLOT

    @property
    def keywords(self) -> tuple[str, ...]:
        """`words`, or the answers where there are none."""
        return self.words or self.answers

    @property
    def probe_sentence(self) -> str:
        """`probe`, or the statement as a sentence (BiasGym, Table 5)."""
        return self.probe or f"{capitalize(self.statement)}."
