"""Published per-item predictions, measured in place of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from equipoise.benchmarks.base import AnyBenchmark, AsksAboutOthers, ReadsPredictions
from equipoise.errors import DataError, RecipeError
from equipoise.files.atomic import sha256
from equipoise.records import JSON, Example, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictions:
    """Published per-item predictions, measured in place of a model."""

    file: Path
    column: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Predictions":
        """Read "predictions:FILE" or "predictions:FILE#COLUMN". Raises `RecipeError`."""
        kind, _, rest = text.partition(":")
        name, _, column = rest.partition("#")
        if kind != "predictions" or not name:
            raise RecipeError(
                f"predictions are given as predictions:FILE[#COLUMN], got '{text}'; write that"
            )
        return cls(file=Path(name), column=column or None)

    @property
    def identity(self) -> str:
        """The name that results carry."""
        return f"predictions:{self.file.name}" + (f"#{self.column}" if self.column else "")


def read_predictions(
    model: Predictions,
    benchmark: AnyBenchmark,
    name: str,
    *,
    split: str,
    examples: Sequence[Example],
) -> tuple[list[Outcome], dict[str, JSON]]:
    """The outcomes of the predictions of these examples, and what a result records of the file.

    Raises `RecipeError` for a benchmark that reads none, or that asks about others in its targets'
    place, of whom no file of predictions speaks; `DataError` for a file that is missing or
    has none of the examples.
    """
    if not isinstance(benchmark, ReadsPredictions):
        raise RecipeError(
            f"{name} reads no published predictions, got {model.identity}; name a model"
        )
    if isinstance(benchmark, AsksAboutOthers) and benchmark.exchange:
        raise RecipeError(
            f"published predictions are of each item's own target, got {name}.exchange="
            f"{benchmark.exchange}; leave it out"
        )
    if not model.file.is_file():
        why = "is a folder" if model.file.is_dir() else "does not exist"
        raise DataError(f"predictions file '{model.file}' {why}; check the path")
    known = {example.id for example in examples}
    outcomes = [
        outcome
        for outcome in benchmark.predicted(split, model.file, model.column)
        if outcome.example in known
    ]
    if not outcomes:
        raise DataError(
            f"{model.file} must hold predictions of {name} ({split}), got none of its examples; "
            "check the split"
        )
    info: dict[str, JSON] = {"kind": "predictions", "column": model.column}
    return outcomes, {**info, "sha256": sha256(model.file)}
