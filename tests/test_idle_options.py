"""An option that cannot act, where the others stand as they do, is refused."""

from typing import Any

import pytest

from equipoise.benchmarks.base import Benchmark
from equipoise.errors import RecipeError
from equipoise.plugins import build

IDLE: list[tuple[Any, str, dict[str, Any], dict[str, Any]]] = [
    (Benchmark, "stereoset", {"task": "intrasentence"}, {"intersentence": "pmi"}),
    (Benchmark, "stereoset", {"task": "intersentence"}, {"score": "span"}),
    (Benchmark, "stereoset", {"world": "default"}, {"intersentence": "pmi"}),
    (Benchmark, "stereoset", {"world": "default"}, {"dev_per_type": 7}),
    (Benchmark, "stereoset", {"world": "default"}, {"supply_seed": 1}),
    (Benchmark, "stereoset", {"world": "default"}, {"corpus": "news.txt"}),
]


@pytest.mark.parametrize(("kind", "name", "others", "idle"), IDLE)
def test_it_is_refused_with_its_name_and_the_reason(
    kind: Any, name: str, others: dict[str, Any], idle: dict[str, Any]
) -> None:
    (option,), (where,) = idle, others
    build(kind, name, others)
    with pytest.raises(RecipeError, match=f"{option} does nothing with {where} '{others[where]}'"):
        build(kind, name, others | idle)


def test_how_to_cut_a_corpus_needs_one() -> None:
    for idle in ({"corpus_texts": 5}, {"corpus_characters": 80}):
        with pytest.raises(RecipeError, match=r"corpus_.* does nothing with no corpus, got "):
            build(Benchmark, "stereoset", dict(idle))
        build(Benchmark, "stereoset", {**idle, "corpus": "news.txt"})
