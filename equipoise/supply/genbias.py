"""Prompts after which a pronoun comes: the training and dev prompts of GenBiasEval.

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3, and A.3
for other answers than pronouns. The splits are those of the benchmark `genbias` with the same
options.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.data.professions import ProfessionList
from equipoise.data.prompt_sets import SplitBy, TemplateSet
from equipoise.data.situations import Situation, situation
from equipoise.own_data.gap_prompts import AxisOptions
from equipoise.records import OPTIONS, DataUse, Prompt, Supply
from equipoise.supply.base import Supplier


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenBiasSupply(AxisOptions, Supplier):
    """The train split, hinted prompts about its professions, and the dev split to stop on.

    The hinted prompts have templates of their own, so that they share no text or template with
    `genhint`; with `split_by` "profession" or "both" they share no profession with that of the
    same seed and split either. All hints of each profession are there.
    """

    version: ClassVar[str] = "1"

    professions: ProfessionList = "prof262"  # as of the benchmark
    templates: TemplateSet = "own"  # as of the benchmark
    split_by: SplitBy = "profession"  # what is kept out of the other splits
    split_seed: int = 0  # which names fall in which share

    def supply(self) -> Supply:
        """Prompts, hinted prompts and dev prompts."""
        prompts = self.resolved_prompts(self.professions, self.templates)
        train, dev = (
            prompts.situations(split, split_by=self.split_by, seed=self.split_seed)
            for split in ("train", "dev")
        )
        seen = {prompt.groups["profession"] for prompt in train}
        hinted = [
            situation(term, template, prompts.axis, answer)
            for template in prompts.training_hints
            for term in prompts.terms
            if term.word in seen and all(answer.hint for answer in prompts.axis.answers)
            for answer in range(len(prompts.axis.answers))
        ]
        # only what differs from the paper's, so that other edits keep the name of their origin
        about = "" if self.axis == "gender" else f"axis={self.axis}, "
        about += "" if self.words is None else f"words={list(self.words)}, "
        about += "" if self.file is None else f"file={self.files()[-1].name}, "
        return Supply(
            origin=f"genbias({about}split_by={self.split_by}, split_seed={self.split_seed}):train",
            prompts=_as_prompts(train),
            hinted=_as_prompts(hinted),
            dev=_as_prompts(dev),
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The file of professions, and that of the user's own."""
        return self.resolved_prompts(self.professions, self.templates).files


def _as_prompts(situations: Sequence[Situation]) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=prompt.id, text=prompt.text, groups=prompt.groups, words=prompt.axis.words)
        for prompt in situations
    )
