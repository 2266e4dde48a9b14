"""What a result rests on, as BibTeX; every plug-in here is known, and every entry is used."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from equipoise import cli
from equipoise.citing.cite import Used, bibtex, read_citations, read_references, used_in
from equipoise.commands.describe import plugin_bases
from equipoise.plugins import names_in
from equipoise.records import DataUse, Estimate, Measurement, Reference
from equipoise.study.results import results_document, to_json

BASES = plugin_bases()
EDIT = {
    "method": "lftf",
    "options": {"locator": {"name": "head_patching", "draws": 5}, "epochs": 1},
    "origin": "genbias(split_by=profession):train",
}


def measured(benchmark: str, **change: object) -> Measurement:
    fields: dict[str, object] = {
        "model": "tiny@0", "benchmark": benchmark, "version": "1", "options": {}, "split": "dev",
        "seed": 0, "draws": 10, "limit": None, "examples_sha256": "0", "data": (),
        "model_info": {}, "environment": {"equipoise": "0.1.0"}, "cluster": None,
        "estimates": (), "outcomes": (),
    }  # fmt: skip
    return Measurement(**(fields | change))  # type: ignore[arg-type]


def keys_in(text: str) -> list[str]:
    return re.findall(r"^@\w+\{([\w-]+),$", text, re.MULTILINE)


def built_in(base: type) -> set[str]:
    group = base.__module__.removesuffix(".base")
    files = (Path(__file__).parents[2] / group.replace(".", "/")).glob("*.py")
    return {file.stem for file in files} - {"__init__", "base"}


def test_every_plug_in_is_known_and_no_other() -> None:
    known = {(used.kind, used.name) for used in read_citations()}
    assert known == {(kind, name) for kind, base in BASES.items() for name in built_in(base)}
    assert all(
        built_in(base) <= set(names_in(base.__module__.removesuffix(".base")))
        for base in BASES.values()
    )


def test_every_entry_is_used_and_whole() -> None:
    references = read_references()
    assert {key for keys in read_citations().values() for key in keys} == set(references)
    text = (Path(__file__).parents[2] / "equipoise" / "citing" / "references.bib").read_text()
    assert Counter(keys_in(text)) == Counter(list(references))  # none is overlooked or twice
    for key, entry in references.items():
        fields = dict(re.findall(r"^  (\w+) = \{(.*)\},$", entry, re.MULTILINE))
        assert {"title", "author", "year"} <= fields.keys(), key
        assert re.fullmatch(r"(19|20)\d\d", fields["year"]), key
        assert entry.count("{") == entry.count("}"), key
        year = re.search(r"-(\d{4})-", key)
        assert year is None or year[1] == fields["year"], key
        if entry.startswith("@inproceedings"):
            assert "booktitle" in fields, key
        if entry.startswith("@article"):
            assert "journal" in fields, key


def test_papers_that_plug_ins_name_are_those_of_their_entries() -> None:
    """A year and a first author that a plug-in names stand in an entry of its."""
    for kind in ("benchmark", "supply", "locator", "attributor", "mitigation", "scorer"):
        for name in built_in(BASES[kind]):
            entries = " ".join(read_references()[key] for key in read_citations()[Used(kind, name)])
            base = BASES[kind].__module__.removesuffix(".base")
            source = (Path(__file__).parents[2] / base.replace(".", "/") / f"{name}.py").read_text()
            paper = re.search(r'paper: ClassVar\[str\] = "(.*)"', source)
            for author, year in re.findall(
                r"([A-Z]\w+) et al\.,? (\d{4})", paper[1] if paper else ""
            ):
                assert author in entries, (name, author)
                assert year in entries, (name, year)


def test_benchmarks_methods_scorers_and_supplies_of_a_result() -> None:
    words = Reference(kind="null", name="English frequency, sum", says="", items=1, estimates=())
    used = used_in(
        [
            measured("stereoset", references=(words,), model_info={"edits": [EDIT]}),
            measured("bold", options={"scorers": ["vader", {"name": "regard", "model": "x"}]}),
        ],
        {"attributors": [{"name": "bm25", "as": "bm25", "options": {}}], "supply": {"name": "mix"}},
    )
    assert {(item.kind, item.name) for item in used} == {
        ("attributor", "bm25"), ("benchmark", "bold"), ("benchmark", "stereoset"),
        ("locator", "head_patching"), ("mitigation", "lftf"), ("null", "english_frequency"),
        ("scorer", "regard"), ("scorer", "vader"), ("supply", "genbias"), ("supply", "mix"),
    }  # fmt: skip
    text = bibtex(used, [], title="x")
    keys = keys_in(text)
    assert len(keys) == len(set(keys))
    assert {"equipoise", "nadeem-2021-stereoset", "anonymous-lftf", "hutto-2014-vader"} <= set(keys)
    assert "% mitigation lftf, supply genbias\n@misc{anonymous-lftf,\n" in text


def test_what_is_not_known_is_said_and_no_line_leaves_its_comment() -> None:
    use = DataUse(name="my\nfile.csv", sha256="0" * 64, licence="", verified=None)
    text = bibtex(
        [Used("benchmark", "mine.py:\nMine"), Used("benchmark", "planted")], [use], title="a\nb"
    )
    assert keys_in(text) == ["equipoise"]
    assert "% Not known here, see `equipoise describe NAME`: benchmark mine.py: Mine." in text
    assert "% No paper of others: benchmark planted." in text
    assert "%   my file.csv, sha256 000000000000, no licence stated" in text


@pytest.mark.thorough
def test_the_command_reads_a_result_and_a_study(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = Estimate(metric="ss", value=1.0, low=0.0, high=2.0, n=1, clusters=1, unit="%")
    steps = tmp_path / "run" / "steps" / "measure-1" / "results"
    steps.mkdir(parents=True)
    document = results_document([measured("stereoset", estimates=(row,))])
    (steps / "results.json").write_text(to_json(document))
    recipe = {"locators": [{"name": "block_influence", "options": {}}]}
    (tmp_path / "run" / "study.json").write_text(json.dumps({"recipe": recipe}))
    assert cli.run(["cite", str(steps)]) == 0
    assert keys_in(capsys.readouterr().out) == ["equipoise", "nadeem-2021-stereoset"]
    file = tmp_path / "references.bib"
    assert cli.run(["cite", str(tmp_path / "run"), "--out", str(file)]) == 0
    assert "version = {0.1.0}" in file.read_text()
    assert keys_in(file.read_text()) == ["equipoise", "nadeem-2021-stereoset", "anonymous-lftf"]
    assert cli.run(["cite", str(tmp_path)]) == 2


@pytest.mark.thorough
def test_it_loads_no_torch() -> None:
    code = (
        "import sys; from equipoise.cli import run; run(['cite', 'nowhere'])\n"
        "assert not {'torch', 'transformers', 'scipy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
