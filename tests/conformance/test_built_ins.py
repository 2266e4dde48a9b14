"""Every built-in plug-in through the checks that third parties use."""

import os
from pathlib import Path

import pytest
import torch
from tiny_adapters import wanted_tensors
from tiny_classifier import save_classifier
from tiny_folder import save_tiny
from users_files import ASSOCIATED, NOT_AT_HAND, USERS, write_example
from users_files import NEEDED as GIVEN_TO
from worlds import in_world

from equipoise.attribute.base import Attributor
from equipoise.benchmarks.base import AnyBenchmark, Benchmark
from equipoise.data import hellaswag
from equipoise.data.jigsaw_package import converted_files
from equipoise.data.sources import reading_from
from equipoise.edits.adapter import AdapterEdit
from equipoise.edits.edit import EditInfo
from equipoise.files.atomic import sha256
from equipoise.locate.base import Locator
from equipoise.mitigate.base import Mitigation
from equipoise.models.tokenization import vocabulary_of
from equipoise.nulls.base import Null
from equipoise.planted.folder import world_folder
from equipoise.plugins import available, build, find, options_of
from equipoise.records import JSON
from equipoise.supply.base import Supplier
from equipoise.testing import (
    check_attributor,
    check_benchmark,
    check_locator,
    check_mitigation,
    check_null,
    check_supplier,
    check_text_scorer,
    tiny_model,
)
from equipoise.text_scorers.base import TextScorer

BENCHMARKS = available(Benchmark)
#: Those with files in the data folder of a planted world; `planted` has no others.
IN_WORLDS = ("crows_pairs", "facts", "genbias", "genhint", "perplexity", "planted", "stereoset")
#: The harness asks what a task of the user's own asks.
GIVEN = [
    name
    for name in BENCHMARKS
    if name not in ("harness", "planted", *USERS, *ASSOCIATED, *NOT_AT_HAND)
]
#: Options that mitigations do not have a default for.
NEEDED: dict[str, dict[str, JSON]] = {
    "combined": {"first": "prompt_explain", "second": {"name": "lftf", "epochs": 1}},
    "head_steering": {"heads": ["0.1"], "k": 1},
    "prompt_avoid": {"statement": "people from {target} are always late"},
}
#: Attributors whose warm-up learns all rows; the folds of tfidf are drawn by place.
TRAINED = ("gradient_norm", "influence")
TASK = """\
task: local
custom_dataset: !function local.documents
test_split: test
output_type: multiple_choice
doc_to_text: text
doc_to_choice: [" a", " b"]
doc_to_target: answer
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""
DOCUMENTS = """\
import datasets


def documents(**_):
    rows = [{"text": f"Take {at}:", "answer": at % 2} for at in range(9)]
    return {"test": datasets.Dataset.from_list(rows)}
"""


@pytest.mark.thorough
@pytest.mark.parametrize("name", GIVEN)
def test_benchmark_on_its_official_files(name: str) -> None:
    # a category of BBQ has some 2 % of its 58,492 questions, a domain of BOLD 3 % of its prompts
    fewer: dict[str, dict[str, JSON]] = {
        "bbq": {"categories": "Religion"},
        "bold": {"domains": ["religious_ideology"]},
        "fairmt": {"edition": "1K"},
        "scenarios": {"axes": ["wealth"]},
    }
    benchmark: AnyBenchmark = build(Benchmark, name, fewer.get(name, {}) | GIVEN_TO.get(name, {}))
    if not os.environ.get("EQUIPOISE_DATA"):
        pytest.skip("EQUIPOISE_DATA does not name a folder of benchmark files")
    check_benchmark(benchmark)


@pytest.mark.parametrize("name", USERS)
def test_benchmark_on_a_file_of_the_users_own(name: str, tmp_path: Path) -> None:
    check_benchmark(build(Benchmark, name, write_example(name, tmp_path)))


@pytest.mark.parametrize("name", NOT_AT_HAND)
def test_benchmark_of_files_that_are_not_at_hand(name: str, tmp_path: Path) -> None:
    NOT_AT_HAND[name](tmp_path)
    with reading_from(tmp_path):
        check_benchmark(build(Benchmark, name, GIVEN_TO.get(name, {})))


@pytest.mark.parametrize("name", ASSOCIATED)
def test_benchmark_of_an_association(name: str) -> None:
    check_benchmark(build(Benchmark, name, ASSOCIATED[name]))


@pytest.mark.thorough
@pytest.mark.parametrize("name", IN_WORLDS)
def test_benchmark_on_a_planted_world(name: str) -> None:
    with in_world():
        benchmark = build(Benchmark, name)
        check_benchmark(benchmark)
        files = benchmark.files(benchmark.splits[0])
        folder = world_folder("default")
        assert all(file.sha256 == sha256(folder / file.name) for file in files)


@pytest.mark.thorough
@pytest.mark.parametrize("name", available(Supplier))
def test_supplier(name: str, tmp_path: Path) -> None:
    (tmp_path / "texts.txt").write_text("The door is open. The lamp is lit.")
    options: dict[str, JSON] = {}
    if name in ("corpus", "rows", "texts"):
        options["path"] = str(tmp_path / "texts.txt")
    if name == "mix":
        options["mix"] = "planted_mix"
    if name in ("hellaswag", "matched"):  # a quarter of the official file
        lines = hellaswag.source().read().splitlines()
        (tmp_path / "part.jsonl").write_bytes(b"\n".join(lines[: len(lines) // 4]))
        part: dict[str, JSON] = {"path": str(tmp_path / "part.jsonl"), "items": 300}
        options |= part if name == "hellaswag" else {"like": {"name": "hellaswag", **part}}
    with in_world("targets=40"):
        check_supplier(build(Supplier, name, options))


@pytest.mark.usefixtures("harness")
def test_benchmark_on_a_task_of_the_harness(tmp_path: Path) -> None:
    (tmp_path / "local.yaml").write_text(TASK)
    (tmp_path / "local.py").write_text(DOCUMENTS)
    options = {"task": "local", "tasks_folder": str(tmp_path)}
    check_benchmark(build(Benchmark, "harness", options))


@pytest.mark.thorough
@pytest.mark.parametrize("name", available(Locator))
def test_locator(name: str) -> None:
    known = options_of(build(Locator, name))
    # without an edit no token was injected
    smaller: dict[str, JSON] = {"draws": 50, "permutations": 50, "target": "France"}
    options = {option: value for option, value in smaller.items() if option in known}
    check_locator(build(Locator, name, options))


@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in available(Mitigation) if name != "transfer"])
def test_mitigation(name: str) -> None:
    needed = NEEDED.get(name, {})
    known = options_of(build(Mitigation, name, needed))
    smaller: dict[str, JSON] = {"steps": 2, "epochs": 1, "limit": 2, "prefixes": 1}
    smaller |= {"edit_size": 8, "value_steps": 2}
    # the networks of BiasEdit and MEND have 1,920 by default
    if "retention_weight" in known or "locality_weight" in known:
        smaller["rank"] = 32
    if "training" in known:  # on rows
        smaller["training"] = {"epochs": 1, "rank": 2, "learning_rate": 1e-2}
        smaller["attributor"] = "loss"
        smaller["most_rise"] = None
    chosen = {option: value for option, value in smaller.items() if option in known}
    check_mitigation(build(Mitigation, name, {**needed, **chosen}))


@pytest.mark.thorough
@pytest.mark.parametrize("control", ["none", "random"])
def test_mitigation_by_transfer(control: str, tmp_path: Path) -> None:
    model = tiny_model("llama", seed=1)
    info = EditInfo(
        method="by hand",
        version="1",
        options={},
        seed=0,
        base=model.identity,
        base_fingerprint="",
        trained_on=frozenset(),
        origin="",
        base_vocabulary=str(vocabulary_of(model.tokenizer)),
    )
    config: dict[str, JSON] = {"peft_type": "LORA", "r": 2, "target_modules": ["q_proj", "o_proj"]}
    wanted = enumerate(wanted_tensors(model, config).items())
    tensors = {name: torch.full(shape, 0.1 + index / 50) for index, (name, shape) in wanted}
    AdapterEdit(info=info, config=config, tensors=tensors).save(tmp_path / "edit")
    options: dict[str, JSON] = {"edit": str(tmp_path / "edit"), "control": control}
    check_mitigation(build(Mitigation, "transfer", options))


@pytest.mark.thorough
def test_attributor_that_embeds_with_the_model() -> None:
    check_attributor(build(Attributor, "similarity", {"encoder": "model"}))


@pytest.mark.thorough
@pytest.mark.parametrize("name", available(Attributor))
def test_attributor(name: str) -> None:
    attributor = find(Attributor, name)
    if attributor.needs is not None:
        pytest.importorskip(attributor.needs[0])
    known = options_of(build(Attributor, name))
    training: JSON = {"name": "lora", "rank": 2, "epochs": 1, "targets": ["q_proj"]}
    options: dict[str, JSON] = {"training": training} if "training" in known else {}
    check_attributor(
        build(Attributor, name, options),
        reads_labels=name == "label",
        order_matters=name in (*TRAINED, "random", "tfidf"),
        company_matters=name in (*TRAINED, "bm25", "random", "tfidf"),
    )


@pytest.mark.thorough
@pytest.mark.parametrize("name", available(Null))
def test_null(name: str) -> None:
    if name == "english_frequency":
        pytest.importorskip("wordfreq")
    check_null(build(Null, name), tiny_model())


@pytest.mark.thorough
@pytest.mark.parametrize("name", available(TextScorer))
def test_text_scorer(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name == "vader":
        pytest.importorskip("vaderSentiment")
    if name == "jigsaw" and not all(file.is_file() for file in converted_files()):
        pytest.skip("the network of jigsaw is not in the cache; equipoise scorer jigsaw fetches it")
    if name == "occupation":
        request.getfixturevalue("data_folder")
    options: dict[str, JSON] = {}
    if name in ("regard", "toxicity"):
        options["model"] = str(save_classifier(tmp_path, labels=("positive", "negative")))
    if name == "perplexity_of":
        options["model"] = str(save_tiny(tmp_path))
    check_text_scorer(build(TextScorer, name, options), counts=name == "length")
