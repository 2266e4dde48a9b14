"""Counterfactual data augmentation: fine-tune on texts in which who is meant is changed.

Two methods have this name. Liu et al. 2025 ("BiasUnlearn") train on StereoSet's anti-stereotypes;
Zmigrod et al. 2019 and Webster et al. 2020 swap words of plain text and keep both versions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.adapter_fitting import (
    AdapterOptions,
    adapter_of,
    check_apart,
    check_causal,
)
from equipoise.contrast_training.objectives import Likelihood, Over
from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.session import Lesson, plain_texts
from equipoise.contrast_training.tokenized import TokenizedText, tokenize_contrasts, tokenize_texts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.group_words.counterfactuals import swapped
from equipoise.group_words.word_lists import WordLists, read_word_lists, word_lists_use
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation, ReadsFiles, maker_of
from equipoise.records import OPTIONS, Supply, refuse_idle, text_sha256


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cda(AdapterOptions, Mitigation, ReadsFiles):
    """Causal cross-entropy on whole texts: anti-stereotypes, or plain texts with swapped words.

    Anti-stereotypes alone push past parity, and LMS rises on text like the training text: read
    that rise as contamination, not as quality.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "Zmigrod et al. 2019 (texts); Liu et al. 2025, baseline CDA (contrasts)"
    taught_by: ClassVar[str] = "stereoset"

    over: Over = "text"  # what is scored: the whole text, or the ending as the other methods
    source: Literal["contrasts", "texts"] = "contrasts"  # "texts": the supply's plain ones, swapped
    keep_originals: bool | None = None  # stereotypes, unswapped texts, too; None: of "texts" only
    #: Whose words are swapped in texts.
    axes: Annotated[tuple[str, ...], Field(min_length=1)] = ("gender", "race", "religion")
    lists: str | None = None  # a file of word lists; None: the built-in ones
    batch_size: Annotated[int, Field(ge=1)] = 32  # texts a step
    look_every: Annotated[int, Field(ge=1)] = 25  # steps between looks at held-out contrasts
    longest: Annotated[int, Field(ge=2)] = 100  # tokens; longer texts are left out

    @model_validator(mode="after")
    def _nothing_idle(self) -> Self:
        if self.source == "texts":
            refuse_idle(self, "over", where="source 'texts'")
        else:
            refuse_idle(self, "axes", "lists", where="source 'contrasts'")
        return self

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter; held-out contrasts, if there are any, are looked at.

        All steps are done unless a bound ends it. Raises `RecipeError` when the supply lacks
        contrasts, or plain texts with a listed word, `ModelError` when more than a bound was lost
        at every look.
        """
        if self.source == "contrasts":
            lesson = Lesson.of(model, supply, longest=self.longest, bounds=self.bounds)
            texts = self._of_contrasts(lesson)
        else:
            lists = read_word_lists(self.lists, self.axes)
            supply = replace(supply, files=(*supply.files, word_lists_use(self.lists)))
            lesson = self._looked_at(model, supply)
            texts = self._of_texts(lesson, lists, seed=seed)
        return lesson.fit_to_the_end(
            adapter_of(self, seed=seed),
            maker_of(self, seed=seed),
            loss=Likelihood(
                reader=lesson.reader,
                texts=texts,
                batch=self.batch_size,
                over=self.over,
                seed=seed,
            ),
            every=self.look_every,
            others=texts,
            report={"texts": len(texts)},
        )

    def files(self) -> Mapping[str, str]:
        """sha256 of the user's own word lists."""
        return {self.lists: word_lists_use(self.lists).sha256} if self.lists else {}

    def _looked_at(self, model: LanguageModel, supply: Supply) -> Lesson:
        """The supply's held-out contrasts alone: plain texts are learnt from."""
        check_causal(model)
        check_apart(supply)
        dev = tokenize_contrasts(model, supply.dev_contrasts, longest=self.longest)
        return Lesson(
            model=model,
            supply=supply,
            longest=self.longest,
            reader=PackedForward(model),
            dev=dev,
            plain=plain_texts(model, supply, longest=self.longest, bounds=self.bounds),
            bounds=self.bounds,
        )

    def _of_contrasts(self, lesson: Lesson) -> list[TokenizedText]:
        originals = [item.stereotype for item in lesson.items] if self.keep_originals else []
        return [item.antistereotype for item in lesson.items] + originals

    def _of_texts(self, lesson: Lesson, lists: WordLists, *, seed: int) -> list[TokenizedText]:
        """Texts with swapped words, with the originals: both are short enough, or neither is."""
        groups = self._swapped(lesson, lists, seed=seed)
        texts = list(dict.fromkeys(text for group in groups for text in group))
        coded = {
            coded_text.text: coded_text
            for coded_text in tokenize_texts(lesson.model, texts, longest=self.longest)
        }
        whole = [group for group in groups if all(text in coded for text in group)]
        if not whole:
            raise RecipeError(
                f"the supply must have plain texts of at most {self.longest} tokens, got "
                f"{len(groups)} longer ones from '{lesson.supply.origin}'; raise 'longest'"
            )
        return [coded[text] for group in whole for text in group]

    def _swapped(self, lesson: Lesson, lists: WordLists, *, seed: int) -> list[tuple[str, ...]]:
        """Each text with swapped words, after its original if that is kept.

        Left out are texts without a listed word, and those of which one is looked at.
        """
        apart = {text_sha256(one.text.text) for one in lesson.plain.apart}
        found: list[tuple[str, ...]] = []
        for text in lesson.plain.learnt:
            other = swapped(text, lists, seed=seed)
            if other is not None:
                group = (other,) if self.keep_originals is False else (text, other)
                if apart.isdisjoint(map(text_sha256, group)):
                    found.append(group)
        if not found:
            raise RecipeError(
                f"the supply must have plain texts with a word of {list(self.axes)}, got "
                f"{len(lesson.plain.learnt)} without any from '{lesson.supply.origin}'; supply "
                "others (of stereoset, name a corpus), or use source 'contrasts'"
            )
        return found
