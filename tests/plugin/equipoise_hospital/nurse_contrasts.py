"""Contrasts about nurses, to learn from."""

from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.records import OPTIONS, Contrast, DataUse, Supply
from equipoise.supply.base import Supplier


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class NurseContrasts(Supplier):
    """Nurses of some towns."""

    version: ClassVar[str] = "1"

    towns: tuple[str, ...] = ("Turin", "Lyon")

    def supply(self) -> Supply:
        """One contrast per town."""
        contrasts = tuple(
            Contrast(
                id=town,
                context=f"The nurse from {town} said that",
                stereotype=" she",
                antistereotype=" he",
                groups={"axis": "gender", "target": town},
            )
            for town in self.towns
        )
        return Supply(origin="nurses", contrasts=contrasts)

    def files(self) -> tuple[DataUse, ...]:
        """None: they are in the code."""
        return ()
