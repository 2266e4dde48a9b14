"""All that may be learnt of a planted world, for a study of methods of every kind."""

from dataclasses import replace
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.data import stereoset
from equipoise.data.prompt_sets import SplitBy
from equipoise.planted.folder import WORLD, folder_world
from equipoise.planted.world import NEUTRAL_SENTENCES
from equipoise.records import OPTIONS, DataUse, Supply
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
            origin=f"planted({world.name}, split_by={self.split_by}):train",
            contrasts=train,
            dev_contrasts=dev,
            texts=world.neutral_sentences(NEUTRAL_SENTENCES, seed=0),
            files=self.files(),
        )

    def files(self) -> tuple[DataUse, ...]:
        """The files of professions, contrasts and of the world's name."""
        return (
            *GenBiasSupply().files(),
            *(source.use() for source in stereoset.sources("test")),
            WORLD.use(),
        )
