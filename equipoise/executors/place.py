"""Where a study's steps run, as `--on` names it."""

from dataclasses import dataclass
from typing import Final, Literal

from equipoise.errors import RecipeError, nearest

FORMS: Final = ("local:N", "ray", "ray:HOST:PORT", "slurm", "submitit-local")
_EXAMPLES: Final = ("local:2", "ray", "slurm", "submitit-local")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An engine, and where it is."""

    engine: Literal["local", "ray", "slurm", "submitit-local"]
    processes: int = 1  # of local
    address: str = ""  # of Ray; empty: one is started here

    @property
    def text(self) -> str:
        """What it is, for a reader."""
        match self.engine:
            case "local":
                return f"{self.processes} processes of this machine"
            case "ray":
                return f"Ray at {self.address}" if self.address else "Ray, started on this machine"
            case "slurm":
                return "Slurm"
            case "submitit-local":
                return "submitit's processes of this machine"


def parse_place(text: str) -> Place:
    """The place that `--on` names. Raises `RecipeError` for any other text."""
    engine, _, rest = text.partition(":")
    match engine:
        case "local" if rest.isascii() and rest.isdigit() and int(rest) > 0:
            return Place(engine="local", processes=int(rest))
        case "ray" if rest or engine == text:
            # ray://HOST:PORT is an address itself
            return Place(engine="ray", address=text if rest.startswith("//") else rest)
        case "slurm" | "submitit-local" if engine == text:
            return Place(engine=engine)
    raise RecipeError(
        f"--on must be one of {', '.join(FORMS)}, got '{text}'; {nearest(text, _EXAMPLES)}"
    )
