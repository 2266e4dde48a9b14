"""Prompts after which a pronoun comes: the training and dev prompts of GenBiasEval.

Source: LFTF (anonymous ACL submission, "Locating First and Then Fine-Tuning"), section 3. The
splits are those of the benchmark `genbias` with the same options.
"""

from collections.abc import Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.data.professions import ProfessionList
from equipoise.data.prompt_sets import SplitBy, TemplateSet, prompt_set
from equipoise.data.situations import Situation, situation
from equipoise.records import OPTIONS, DataUse, Prompt, Supply
from equipoise.supply.base import Supplier


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class GenBiasSupply(Supplier):
    """The train split, hinted prompts about its professions, and the dev split to stop on.

    The hinted prompts have templates of their own, so that they share no text or template with
    `genhint`; with `split_by` "profession" or "both" they share no profession with that of the
    same seed and split either. Both hints of each profession are there.
    """

    version: ClassVar[str] = "1"

    professions: ProfessionList = "prof262"  # as of the benchmark
    templates: TemplateSet = "own"  # as of the benchmark
    split_by: SplitBy = "profession"  # what is kept out of the other splits
    split_seed: int = 0  # which names fall in which share

    def supply(self) -> Supply:
        """Prompts, hinted prompts and dev prompts."""
        prompts = prompt_set(self.professions, self.templates)
        train, dev = (
            prompts.situations(split, split_by=self.split_by, seed=self.split_seed)
            for split in ("train", "dev")
        )
        seen = {prompt.groups["profession"] for prompt in train}
        hinted = [
            situation(term, template, possessive)
            for template in prompts.training_hints
            for term in prompts.terms
            if term.word in seen
            for possessive in ("his", "her")
        ]
        return Supply(
            origin=f"genbias(split_by={self.split_by}, split_seed={self.split_seed}):train",
            prompts=_as_prompts(train),
            hinted=_as_prompts(hinted),
            dev=_as_prompts(dev),
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The file of professions."""
        return (prompt_set(self.professions, self.templates).source.use(),)


def _as_prompts(situations: Sequence[Situation]) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(id=prompt.id, text=prompt.text, groups=prompt.groups) for prompt in situations
    )
