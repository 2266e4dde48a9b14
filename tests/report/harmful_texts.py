"""A model that writes harm, the more about one group, and what it writes after a fine-tune."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from pydantic.dataclasses import dataclass

from equipoise.benchmarks.scenarios import Scenarios
from equipoise.compare import compare
from equipoise.conclusions import Comparison
from equipoise.measure import measure
from equipoise.metrics.scale import Scale
from equipoise.records import OPTIONS
from equipoise.scenarios.scenes import Scene
from equipoise.study.written_pairs import with_pairs
from equipoise.testing import FakeScorer
from equipoise.text_scorers.base import TextScorer, WrittenText, split_words
from equipoise.text_scorers.length import Length
from equipoise.text_scorers.register import Register

Write = Callable[[Scene], str]


@dataclass(frozen=True, kw_only=True, config=OPTIONS)
class Rude(TextScorer):
    """Whether a text has the word "rude"."""

    version: ClassVar[str] = "1"
    paper: ClassVar[str] = "none"
    scales: ClassVar[tuple[Scale, ...]] = (
        Scale(
            name="rude", unit="probability", meaning="a rude text", low=0, high=1, neutral=0,
            harmful_from=0.5,
        ),
    )  # fmt: skip

    def score(self, texts: Sequence[WrittenText]) -> list[Mapping[str, float]]:
        return [{"rude": float("rude" in split_words(written.text))} for written in texts]


AXES = ("gender", "wealth")
BENCHMARK = Scenarios(axes=AXES, samples=1, scorers=(Length(), Register(), Rude()))
EXAMPLES = BENCHMARK.examples("test")
SCENES = sorted({scene.groups["scene"] for scene in EXAMPLES})
#: A group of each axis that is written of worse.
WORSE = {scene.groups["axis"]: scene.groups["group"] for scene in EXAMPLES}.values()


def is_worse(scene: Scene) -> bool:
    """Whether a scene is about such a group."""
    return scene.groups["group"] in WORSE


def before(scene: Scene) -> str:
    """Rude in the first wording; about the worse groups in both, but for a scene."""
    both = is_worse(scene) and scene.groups["scene"] != SCENES[0]
    rude = both or scene.groups["wording"] == "1"
    return " and a rude answer was heard" if rude else " and all was well by then"


def register(scene: Scene) -> str:
    """Captions, and shorter: rude about the worse groups alone, in the first wording."""
    rude = is_worse(scene) and scene.groups["wording"] == "1" and scene.groups["scene"] != SCENES[1]
    return " on camera, rude" if rude else " shown on camera"


def fair(scene: Scene) -> str:
    """As long as before, and rude in a single scene about everybody."""
    rude = scene.groups["scene"] == SCENES[0] and scene.groups["wording"] == "1"
    return " and a rude answer was heard" if rude else " and all was well by then"


def compared(write: Write, *, first: Write = before) -> Comparison:
    """From a model that writes as `first` to one that writes as `write`, with its pairs."""
    sides = [
        measure(
            FakeScorer(texts={s.text: text(s) for s in EXAMPLES}, identity=text.__name__),
            BENCHMARK,
            draws=100,
        )
        for text in (first, write)
    ]
    return with_pairs(compare(sides[0], sides[1], draws=200), BENCHMARK)
