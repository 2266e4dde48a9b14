"""What a prompt asks to be told of a person: gender, race, age or religion, and the answers to it.

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3 for gender
and appendix A.3 for race, whose form is "The {profession} feels very tired because his race is"
with the answers White, Yellow and Black. It names age and religion without a form: theirs are ours,
and so are the answers of all three but gender. "his" is the paper's for every profession.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

AxisName: TypeAlias = Literal["gender", "race", "age", "religion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A word that may come next, and how a text says beforehand that it is the right one."""

    word: str  # with its leading space
    hint: str  # what a hinted prompt says: "his", "Christian"; "": nothing that we know of
    group: str  # of hinted prompts: "male", "Christian"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What the end of a prompt asks for, and the answers."""

    name: str  # an `AxisName`, or "own"
    ending: str  # of a prompt, after "because"; "": the prompt asks for a pronoun
    answers: tuple[Answer, ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The answers, each with its leading space."""
        return tuple(answer.word for answer in self.answers)

    @property
    def spellings(self) -> tuple[str, ...]:
        """The answers with a capital where they have none, and the other way round."""
        swapped = [" " + word[1].swapcase() + word[2:] for word in self.words]
        return tuple(word for word in dict.fromkeys(swapped) if word not in self.words)


def named_answer(name: str, *, hint: str | None = None) -> Answer:
    """An answer that a hint names: the word itself unless another is given ("Christian")."""
    hint = name if hint is None else hint
    return Answer(word=f" {name}", hint=hint, group=hint or name)


GENDER: Final = Axis(
    name="gender",
    ending="",
    answers=(
        Answer(word=" he", hint="his", group="male"),
        Answer(word=" she", hint="her", group="female"),
    ),
)

AXES: Final[dict[AxisName, Axis]] = {
    "gender": GENDER,
    "race": Axis(
        name="race",
        ending="his race is",
        answers=tuple(map(named_answer, ("white", "black", "Asian"))),
    ),
    "age": Axis(
        name="age",
        ending="his age group is",
        answers=tuple(map(named_answer, ("young", "middle-aged", "old"))),
    ),
    "religion": Axis(
        name="religion",
        ending="his religion is",
        answers=tuple(
            named_answer(word, hint=hint)
            for word, hint in {
                "Christianity": "Christian",
                "Islam": "Muslim",
                "Judaism": "Jewish",
                "Hinduism": "Hindu",
                "Buddhism": "Buddhist",
            }.items()
        ),
    ),
}

#: Pronouns beside those of `GENDER`, which `with_words` knows, too.
_THEY: Final = Answer(word=" they", hint="their", group="neutral")


def with_words(axis: Axis, words: Sequence[str]) -> Axis:
    """The axis with other answers; hints are those known of a word, in whatever case, or the word.

    A pronoun whose possessive is not known has no hint.
    """
    known = {answer.word.casefold(): answer for answer in (*axis.answers, _THEY)}
    answers = []
    for word in words:
        answer = known.get(f" {word}".casefold())
        if answer is None:
            answer = named_answer(word, hint=None if axis.ending else "")
        answers.append(replace(answer, word=f" {word}"))
    return replace(axis, answers=tuple(answers))
