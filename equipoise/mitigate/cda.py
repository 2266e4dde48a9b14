"""Counterfactual data augmentation: fine-tune on texts in which the group is another.

Two methods have this name. Liu et al. 2025 ("BiasUnlearn") train on StereoSet's anti-stereotypes;
Zmigrod et al. 2019 and Webster et al. 2020 swap words of plain text and keep both versions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from equipoise.contrast_training.session import AdapterOptions, ContrastTraining
from equipoise.contrast_training.tokenized import ScoredSpan, TokenizedText, tokenize_texts
from equipoise.edits.adapter import AdapterEdit
from equipoise.errors import RecipeError
from equipoise.group_words.counterfactuals import swapped
from equipoise.group_words.word_lists import Case, WordLists, read_word_lists, word_lists_use
from equipoise.inference.language_model import LanguageModel
from equipoise.mitigate.base import Mitigation
from equipoise.plugins import ReadsFiles
from equipoise.records import OPTIONS, ModelKind, Supply
from equipoise.rows import text_sha256


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class ContrastSource:
    """Learn the anti-stereotypes of contrasts."""

    name: Literal["contrasts"] = "contrasts"
    #: what is scored: the whole text; "span": the ending, as other methods
    over: ScoredSpan = "text"
    keep_originals: bool = False  # learn the stereotypes, too


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class TextSource:
    """Learn the supply's plain texts with swapped words."""

    name: Literal["texts"] = "texts"
    keep_originals: bool = True  # learn the unswapped texts, too
    #: whose words are exchanged; "names": a list of first names
    axes: Annotated[tuple[str, ...], Field(min_length=1)] = ("gender", "race", "religion")
    #: a file of your own word lists; name its axes, too; None: the built-in lists
    lists: str | None = None
    #: "lowered": names are read without capitals, too, in texts that have lost them
    case: Case = "listed"


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Cda(AdapterOptions, Mitigation, ReadsFiles):
    """Causal cross-entropy on whole texts: anti-stereotypes, or plain texts with swapped words.

    Anti-stereotypes alone push past parity, and LMS rises on text like the training text: read
    that rise as contamination, not as quality.
    """

    version: ClassVar[str] = "2"
    paper: ClassVar[str] = "Zmigrod et al. 2019 (texts); Liu et al. 2025, baseline CDA (contrasts)"
    requires: ClassVar[tuple[str, ...]] = ("contrasts",)
    kinds: ClassVar[tuple[ModelKind, ...]] = ("causal",)
    taught_by: ClassVar[str] = "stereoset"

    #: "contrasts": a supply's anti-stereotypes; "texts": its plain texts with exchanged words
    source: ContrastSource | TextSource = ContrastSource()
    batch_size: Annotated[int, Field(ge=1)] = 32  # texts per step

    @property
    def required(self) -> tuple[str, ...]:
        """As `requires`, with what its options ask for."""
        return ("texts",) if isinstance(self.source, TextSource) else self.requires

    def fit(self, model: LanguageModel, supply: Supply, *, seed: int) -> AdapterEdit:
        """Train an adapter; held-out contrasts, if there are any, are evaluated.

        All steps are done unless a limit ends it. Raises as `ContrastTraining` does, and
        `RecipeError` when the supply lacks plain texts with a listed word.
        """
        over: ScoredSpan = "text"
        if isinstance(self.source, ContrastSource):
            training = ContrastTraining.on_contrasts(model, supply, self, seed=seed)
            over = self.source.over
            texts = [contrast.antistereotype for contrast in training.contrasts]
            if self.source.keep_originals:
                texts += [contrast.stereotype for contrast in training.contrasts]
        else:
            lists = read_word_lists(self.source.lists, self.source.axes, case=self.source.case)
            used = word_lists_use(self.source.lists)
            # so that the edit's record has the hash of the lists
            supply = replace(supply, files=(*supply.files, used))
            training = ContrastTraining(model, supply, self, seed=seed)
            groups = _swap_words(training, self.source, lists)
            texts = _tokenize_groups(training, groups)
        return training.fit_likelihood(
            texts, over=over, size=self.batch_size, report={"texts": len(texts)}
        )

    def files(self) -> Mapping[str, str]:
        """sha256 of the user's own word lists."""
        if isinstance(self.source, ContrastSource) or self.source.lists is None:
            return {}
        return {self.source.lists: word_lists_use(self.source.lists).sha256}


def _swap_words(
    training: ContrastTraining, source: TextSource, lists: WordLists
) -> list[tuple[str, ...]]:
    """Each text with swapped words, after its original if that is kept.

    Left out are texts without a listed word, and those of which either is held out.
    """
    held_out = {text_sha256(passage.text.text) for passage in training.passages}
    groups: list[tuple[str, ...]] = []
    for text in training.texts:
        other = swapped(text, lists, seed=training.seed)
        if other is None:
            continue
        group = (text, other) if source.keep_originals else (other,)
        if held_out.isdisjoint(map(text_sha256, group)):
            groups.append(group)
    if not groups:
        raise RecipeError(
            f"the supply must have plain texts with a word of {list(source.axes)}, got "
            f"{len(training.texts)} without any from '{training.supply.origin}'; supply "
            "others (of stereoset, name a corpus), or use source 'contrasts'"
        )
    return groups


def _tokenize_groups(
    training: ContrastTraining, groups: list[tuple[str, ...]]
) -> list[TokenizedText]:
    """All texts of the groups of which every text is short enough."""
    longest = training.method.longest
    texts = list(dict.fromkeys(text for group in groups for text in group))
    tokenized = {text.text: text for text in tokenize_texts(training.model, texts, longest=longest)}
    whole = [group for group in groups if all(text in tokenized for text in group)]
    if not whole:
        raise RecipeError(
            f"the supply must have plain texts of at most {longest} tokens, got {len(groups)} "
            f"longer ones from '{training.supply.origin}'; raise 'longest'"
        )
    return [tokenized[text] for group in whole for text in group]
