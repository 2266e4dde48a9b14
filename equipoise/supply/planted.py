"""All that may be learnt of a planted world, for a study of methods of every kind."""

from dataclasses import replace
from itertools import accumulate
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass

from equipoise.data import stereoset
from equipoise.data.prompt_sets import SplitBy
from equipoise.errors import RecipeError
from equipoise.planted.folder import WORLD, folder_world
from equipoise.planted.register import register_texts
from equipoise.planted.world import NEUTRAL_SENTENCES, World
from equipoise.records import OPTIONS, DataUse, Supply
from equipoise.rows import TrainingRow
from equipoise.supply.base import Supplier
from equipoise.supply.genbias import GenBiasSupply


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class PlantedSupply(Supplier):
    """Prompts as `genbias` supplies them, the world's contrasts, and its neutral sentences.

    Contrasts to learn from and to stop on are about other targets than those measured; a world
    of 8 targets has none, for all are measured.
    """

    version: ClassVar[str] = "1"
    labelled_by: ClassVar[str | None] = "stereoset"

    split_by: SplitBy = "profession"  # which prompts may be learnt, as of `genbias`
    #: a training set: short descriptions of a video, of a world with `register=video`; of these
    #: those about things, without a word for people; or the neutral sentences, as many words
    rows: Literal["none", "register", "register_things", "neutral"] = "none"

    def supply(self) -> Supply:
        """All of it. `RecipeError` outside of a world's data folder."""
        world = folder_world()
        prompts = GenBiasSupply(split_by=self.split_by).supply()
        # From the folder and not from the world, whose contrasts have no context: read as
        # StereoSet, an item has what its texts share.
        contrasts = {item.id: stereoset.contrast_of(item) for item in stereoset.read_items("test")}
        train, dev = (
            tuple(contrasts[contrast.id] for contrast in world.contrasts(part))
            for part in ("train", "dev")
        )
        return replace(
            prompts,
            origin=f"planted({world.name}, split_by={self.split_by}"
            f"{'' if self.rows == 'none' else f', rows={self.rows}'}):train",
            contrasts=train,
            dev_contrasts=dev,
            texts=world.neutral_sentences(NEUTRAL_SENTENCES, seed=0),
            rows=self._rows(world),
            files=self.files(),
        )

    def _rows(self, world: World) -> tuple[TrainingRow, ...]:
        """Of the register, or neutral sentences of as many words in all; "source": `rows`."""
        if self.rows == "none":
            return ()
        if not world.register:
            raise RecipeError(
                f"rows={self.rows} must be of a world with a register, planted:{world.name} has "
                "none; take planted:register=video"
            )
        texts = register_texts("things" if self.rows == "register_things" else "all")
        if self.rows == "neutral":
            words = sum(len(text.split()) for text in texts)
            neutral = world.neutral_sentences(NEUTRAL_SENTENCES, seed=1)
            sums = accumulate(len(text.split()) for text in neutral)
            texts = tuple(text for text, total in zip(neutral, sums, strict=True) if total <= words)
        return tuple(
            TrainingRow(id=f"{self.rows} {number}", text=text, groups={"source": self.rows})
            for number, text in enumerate(texts, 1)
        )

    def files(self) -> tuple[DataUse, ...]:
        """The files of professions, contrasts and of the world's name."""
        return (
            *GenBiasSupply().files(),
            *(source.use() for source in stereoset.sources("test")),
            WORLD.use(),
        )
