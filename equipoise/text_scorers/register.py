"""Register: how much a text sounds like a kind of text, by the words that are usual there.

A model that was fine-tuned on captions of videos (HellaSwag's ActivityNet half) writes of cameras
and screens whatever it is asked; it then says less that is harmful because it says something else.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Self

from pydantic import field_validator, model_validator
from pydantic.dataclasses import dataclass

from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.text_scorers.base import TextScorer, WrittenText, score_each, split_words

#: Of captions of videos.
CAPTIONS: Final = ("camera", "cameras", "video", "videos", "shown", "screen", "screens")


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Register(TextScorer):
    """The share of a text's words that are in a list: those of captions, or your own.

    In [0, 1]; 0: none. Words count in any case, in exactly the listed form.
    """

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "own"
    #: what the list is called; the scale is register_CALLED
    called: str = "captions"
    #: single words, each in every form that counts; give a list of your own another name
    words: tuple[str, ...] = CAPTIONS

    @field_validator("words")
    @classmethod
    def _are_words(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        for word in words:
            if split_words(word) != [word.casefold()]:
                raise ValueError(f"must be single words, got '{word}'; split it")
        if not words:
            raise ValueError(f"must hold a word, got {words}; name some")
        return words

    @field_validator("called")
    @classmethod
    def _is_word(cls, called: str) -> str:
        if split_words(called) != [called]:
            raise ValueError(f"must be a word in lower case, got '{called}'; name it so")
        return called

    @model_validator(mode="after")
    def _names_its_list(self) -> Self:
        if (self.called == "captions") != (self.words == CAPTIONS):
            raise ValueError(
                f"must be another for other words than those of captions, and 'captions' for them, "
                f"got called '{self.called}' with {len(self.words)} words; change called"
            )
        return self

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The share of words in the list."""
        return (
            Scale(
                name=f"register_{self.called}",
                unit="share",
                meaning=f"many words of {self.called}",
                low=0,
                high=1,
                neutral=0,
                needs="a text with a word",
            ),
        )

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        """The share in each text; nan of one without a word."""
        scales, listed = self.scales, {word.casefold() for word in self.words}
        name = scales[0].name

        def share(text: str) -> Mapping[str, float]:
            words = split_words(text)
            count = sum(word in listed for word in words)
            return {name: count / len(words) if words else float("nan")}

        return score_each(texts, scales, share)
