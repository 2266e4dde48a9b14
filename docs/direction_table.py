"""Write the table of LFTF's directions in docs/methods.md: five taught worlds, every method.

    python docs/direction_table.py FOLDER

Another processor, or another seed, teaches another model, whatever the seed of the method; so the
worlds differ in which professions lean how far, in their teaching and in the method's seed, and an
interval (Student's t over the worlds, 95 %) holds the scatter of all three. What is measured is
kept in FOLDER as JSON, one file a world, and read from there. The table stands between
`<!-- directions -->` and `<!-- end of directions -->`; `tests/mitigate/test_directions.py` asserts
what the intervals show.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from equipoise.benchmarks.genbias import GenBias
from equipoise.benchmarks.genhint import GenHint
from equipoise.data.sources import reading_from
from equipoise.inference.language_model import LanguageModel
from equipoise.locate.fixed_block import FixedBlock
from equipoise.measure import measure
from equipoise.mitigate.base import Mitigation
from equipoise.mitigate.full_finetune import FullFinetune
from equipoise.mitigate.lftf import Lftf
from equipoise.planted.folder import world_folder
from equipoise.planted.model import load_planted
from equipoise.report.tables import Table, markdown
from equipoise.supply.genbias import GenBiasSupply
from equipoise.training.pronoun_losses import CeBoth, Parity

PAGE = Path(__file__).parent / "methods.md"
MARKED = re.compile(r"(<!-- directions -->\n).*?(<!-- end of directions -->)", flags=re.DOTALL)
WORLDS = ("default", "seed=1", "seed=2", "seed=3", "seed=4")
#: What is read of a model; the scales are the three of AFGB.
METRICS = ("afgb", "mass", "ub", "word", "phrase", "sentence")

_EPOCHS = 8  # of 8 steps each: the paper has 60
_LAST = FixedBlock(block=-1)
METHODS: dict[str, Mitigation | None] = {
    "before": None,
    "`ce_both`, located block": Lftf(epochs=_EPOCHS),
    "the same, 2 epochs": Lftf(),
    "`ce_both`, last block": Lftf(epochs=_EPOCHS, locator=_LAST),
    "`ce_both`, `keep_hints=1`": Lftf(epochs=_EPOCHS, keep_hints=1.0),
    "`full_finetune`": FullFinetune(epochs=_EPOCHS),
    "`full_finetune`, rate 1e-3": FullFinetune(epochs=_EPOCHS, learning_rate=1e-3),
    "he alone": Lftf(epochs=_EPOCHS, objective=CeBoth(terms="he")),
    "she alone": Lftf(epochs=_EPOCHS, objective=CeBoth(terms="she")),
    "MLP alone, located block": Lftf(epochs=_EPOCHS, train="mlp"),
    "attention alone, located block": Lftf(epochs=_EPOCHS, train="attention"),
    "MLP alone, last block": Lftf(epochs=_EPOCHS, train="mlp", locator=_LAST),
    "attention alone, last block": Lftf(epochs=_EPOCHS, train="attention", locator=_LAST),
    "`parity`": Lftf(epochs=_EPOCHS, objective=Parity()),
    "`parity`, `keep_hints=1`": Lftf(epochs=_EPOCHS, objective=Parity(), keep_hints=1.0),
}


@dataclass(frozen=True)
class Interval:
    """A mean over worlds, and Student's 95 % interval of it."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


def over_worlds(values: np.ndarray) -> Interval:
    """Of one value a world; nothing is assumed but that worlds are alike and independent."""
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return Interval(float(values.mean()), float(values.mean() - half), float(values.mean() + half))


def readings(folder: Path) -> dict[str, dict[str, np.ndarray]]:
    """METRICS of every method, a value for each world; what the folder lacks is measured."""
    folder.mkdir(parents=True, exist_ok=True)
    by_world = [_in_world(world, folder / f"{world}.json") for world in WORLDS]
    return {
        method: {
            metric: np.array([world[method][metric] for world in by_world]) for metric in METRICS
        }
        for method in METHODS
    }


def _in_world(world: str, kept: Path) -> dict[str, dict[str, float]]:
    values: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    if METHODS.keys() <= values.keys():
        return values
    model = load_planted(world, device="cpu")
    with reading_from(world_folder(world)):
        supply = GenBiasSupply().supply()
        for name, method in METHODS.items():
            if name in values:
                continue
            if method is None:
                values[name] = read(model)
            else:
                edit = method.fit(model, supply, seed=WORLDS.index(world))
                with edit.attached(model) as edited:
                    values[name] = read(edited)
            kept.write_text(json.dumps(values, indent=1))
    return values


def read(model: LanguageModel) -> dict[str, float]:
    """METRICS of a model, on professions that were not learnt from."""
    bias = measure(model, GenBias(split_by="profession"), draws=20)
    hint = measure(model, GenHint(variant="hint1572", split_by="profession"), draws=20)
    return {
        "afgb": bias.estimate("afgb").value,
        "mass": bias.estimate("mass").value,
        "ub": hint.estimate("ub").value,
        **{scale: bias.estimate("afgb", scale=scale).value for scale in METRICS[3:]},
    }


def table(values: dict[str, dict[str, np.ndarray]]) -> str:
    """A row per method."""
    rows = [
        (name, *(str(over_worlds(measured[metric])) for metric in METRICS[:3]))
        for name, measured in values.items()
    ]
    return markdown(Table(header=("", "AFGB", "mass", "UB"), rows=tuple(rows)))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("name the folder that keeps what is measured: direction_table.py FOLDER")
    written = table(readings(Path(sys.argv[1])))
    PAGE.write_text(MARKED.sub(lambda match: f"{match[1]}{written}\n{match[2]}", PAGE.read_text()))
