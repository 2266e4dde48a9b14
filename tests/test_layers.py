"""Who may import whom: the table of docs/architecture.md, read as a dictionary."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "equipoise"
FILES = sorted(PACKAGE.rglob("*.py"))

_LOW = {
    *("rows", "dialogues", "records", "attributions", "conclusions", "errors", "files"),
    *("installed", "number_text", "progress", "slices"),
}
_PLUGINS = {"attribute", "benchmarks", "judge", "locate", "mitigate", "nulls", "supply"}
_PLUGINS |= {"text_scorers"}
_MODEL = {"models", "inference", "processes"}
#: Scorers that need nothing but the text: what benchmarks have by default.
_SCORERS_OF_WORDS = ("distinct_n", "gender_polarity", "length", "register", "repetition")
#: A room to what its files may import, beside their own room.
ALLOWED: dict[str, set[str]] = {
    "frames": set(),
    "figures": set(),
    "notebook": {"errors", "figures", "frames"},
    "rows": set(),
    "dialogues": set(),
    "slices": set(),
    "number_text": set(),
    "records": {"dialogues", "frames", "notebook", "rows", "slices"},
    "attributions": {"frames", "notebook", "records"},
    "errors": set(),
    "transport": {"errors"},
    "recording": {"errors"},
    "markdown": set(),
    "conclusions": {"frames", "notebook", "records"},
    "files": {"records", "errors"},
    "option_errors": set(),
    "installed": set(),
    "progress": {"errors"},
    "plugin_files": _LOW,
    "plugins": _LOW | {"option_errors", "plugin_files"},
    "describe": _LOW | {"plugins"},
    "data": _LOW,
    "own_data": _LOW | {"data"},
    "mixes": _LOW | {"data", "own_data", "associations"},
    "associations": _LOW | {"data"},
    "metrics": {"records", "number_text"},
    "code_execution": {"errors", "records", "metrics"},
    "stats": {"records", "conclusions", "attributions", "rows", "errors", "number_text", "slices"}
    | {"metrics.weighted", "metrics.disparity", "metrics.target_parts"},
    # people are known by the names of countries
    "group_words": _LOW | {"data", "associations.countries"},
    "scenarios": _LOW | {"data", "group_words"},
    "exchange": _LOW | {"data", "group_words", "metrics.target_parts"},
    "processes": {"errors"},
    "models": _LOW | {"processes"},
    "inference": _LOW | {"models", "processes", "transport"},
    "remote": _LOW | _MODEL | {"plugins", "recording", "transport"},
    "decoding": _LOW | _MODEL | {"group_words"},
    "edits": _LOW | _MODEL | {"decoding", "markdown", "plugins"},
    "planted": _LOW | _MODEL | {"data"},
    "loading": _LOW | _MODEL | {"edits", "planted", "plugins", "remote"},
    "training": _LOW | _MODEL | {"edits", "exchange", "group_words"},
    "contrast_training": _LOW
    | _MODEL
    | {"edits", "group_words.people", "metrics.weighted", "plugins", "stats", "training"},
    "influence": _LOW | _MODEL | {"edits", "metrics.weighted", "plugins", "stats", "training"},
    "attribution": _LOW | _MODEL | {"stats", "training", "associations"},
    "judging": _LOW
    | {"data", "associations", "stats", "metrics.weighted", "transport", "recording"},
    "model_editing": _LOW
    | _MODEL
    | {"edits", "training", "contrast_training"}
    | {"data.documents", "data.validation", "plugins"},  # requests of the user's own
    "head_removal": _LOW
    | _MODEL
    | {"edits", "training", "associations", "stats", "judging.judgement"},
    # A judge that is a model loads it only when it is asked.
    "judge": _LOW | _MODEL | {"option_errors", "plugins", "judging", "loading", "transport"},
    "supply": _LOW
    | {"data", "own_data", "associations", "mixes", "group_words"}
    | {"planted.world", "planted.folder", "planted.mix_rows", "planted.register"},
    # Benchmarks know no world but for `planted`, which compares a model with one.
    "benchmarks": _LOW
    | {"data", "own_data", "associations", "metrics", "planted.world", "planted.folder"}
    | {"code_execution"}
    | {"judging.judgement", "judging.sections", "judge.base", "judge.lexicon"}
    | {"text_scorers.base", "scorer_gaps", "group_words", "scenarios", "exchange"}
    | {"judging.degenerate", "judging.refusals", "judging.verdict_scales", "judging.transcript"}
    | {f"text_scorers.{name}" for name in _SCORERS_OF_WORDS},
    # As a judge: a scorer that is a model loads it only when it is asked.
    "text_scorers": _LOW
    | _MODEL
    | {"plugins", "data", "group_words", "metrics", "loading", "training.sentence_similarity"},
    # A gap of a scorer's own is no benchmark's: they say whose a gap is.
    "scorer_gaps": {"records", "errors", "files.yaml_data", "group_words.word_lists"}
    | {"metrics.weighted", "stats.resample", "text_scorers.base"},
    "attribute": _LOW | _MODEL | {"plugins", "stats", "training", "influence"},
    "locate": _LOW | _MODEL | {"stats", "training", "attribution", "associations", "plugins"},
    "mitigate": _LOW
    | _MODEL
    | {"plugins", "data", "metrics", "stats", "group_words", "decoding", "edits", "loading"}
    | {"training", "contrast_training", "model_editing", "head_removal", "locate", "exchange"}
    | {"associations", "attribution", "attribute.base", "attribute.influence", "influence"}
    | {"judge.base", "judge.lexicon", "judging.judgement", "judging.sections"},
    "nulls": _LOW | {"inference.scorer"},
    "predictions": _LOW | {"benchmarks"},
    "null_references": _LOW
    | {"plugins", "benchmarks.base", "nulls.base", "inference.scorer", "stats"}
    | {"metrics.target_parts"},
    "measurement_notes": _LOW | {"benchmarks.base", "inference.scorer"},
    "instruments": _LOW
    | {"plugins", "stats.settings", "benchmarks.base", "metrics.written", "text_scorers.base"},
    "faultless": _LOW | {"data.known_faults", "benchmarks.base", "stats"},
    "measure": _LOW
    | {
        "processes",
        "faultless",
        "instruments",
        "measurement_notes",
        "plugin_files",
        "null_references",
        "predictions",
        "plugins",
        "inference.request_hash",
        "inference.scorer",
    }
    | {"benchmarks", "stats"}
    | {"judge.base", "judging.judgement"},
    "answer": _LOW | {"stats"},
    "compare": _LOW | {"plugins", "benchmarks", "stats"},
    "api": _LOW
    | _MODEL
    | _PLUGINS
    | {"data", "plugins", "measure", "compare", "predictions", "loading", "edits", "planted"}
    | {"plugin_files"}
    | {"stats", "own_data", "influence"},
    "neighbors": _LOW | _MODEL | {"associations", "edits", "training"},
    "calibrate": _LOW
    | {"data", "plugins", "measure", "inference.scorer", "benchmarks", "planted", "stats"},
    "checks": _LOW
    | {"benchmarks.base", "group_words.people", "group_words.learnt_people", "plugins", "stats"},
    "study": _LOW
    | _MODEL
    | {f"{room}.base" for room in _PLUGINS}
    # the control that joins a study by itself
    | {"mitigate.word_table", "metrics.stereoset", "metrics.weighted"}
    | {
        "data",
        "figures",
        "frames",
        "plugins",
        "measure",
        "faultless",
        "null_references",
        "compare",
        "api",
    }
    | {"answer", "calibrate"}
    | {"checks", "group_words.people", "predictions"}
    | {"edits", "loading", "remote", "training", "influence", "stats", "planted"},
    "executors": _LOW
    | {"study", "data.sources", "models.kernels", "inference.decision_server", "remote.options"},
    "report": _LOW
    | {
        "answer",
        "metrics.stereoset",
        "metrics.target_parts",
        "metrics.weighted",
        "markdown",
        "stats",
        "study.results",
        "study.shown_examples",
        "study.study",
    },
    "export": _LOW | {"compare", "markdown", "stats", "report", "study.results", "study.study"},
    "citing": {"records", "files.yaml_data"},
    "gate": _LOW | {"report.formatting", "study.lm_eval_format"},
    "rating": _LOW
    | {"data", "plugins", "benchmarks.base", "stats", "report", "export"}
    | {"study.results", "study.load_study", "study.study"}
    | {"study.changed_examples", "study.written_pairs"},
    "demo": _LOW | {"study.study"},
    "fakes": _LOW | _MODEL,
    "conformance": _LOW
    | _MODEL
    | _PLUGINS
    | {"plugins", "measure", "edits", "stats", "fakes", "group_words.people"},
    "conformance_rows": _LOW | _MODEL | {"attribute", "plugins", "conformance", "fakes"},
    "conformance_texts": _LOW | {"text_scorers", "conformance", "metrics.scale"},
    "conformance_nulls": _LOW | {"conformance", "inference.scorer", "nulls.base"},
    "testing": {"conformance", "conformance_nulls", "conformance_rows", "conformance_texts"}
    | {"fakes"},
    "commands": _LOW
    | _MODEL
    | _PLUGINS
    | {"plugins", "api", "measure", "compare", "predictions", "loading", "edits", "planted"}
    | {
        "answer",
        "study",
        "executors",
        "checks",
        "citing",
        "gate",
        "report",
        "export",
        "rating",
        "calibrate",
        "code_execution",
        "demo",
        "data",
    }
    | {"training", "describe", "neighbors", "associations", "judging", "mixes", "own_data"}
    | {"influence", "stats", "scorer_gaps", "remote"},
    "cli": {"commands", "errors", "plugin_files", "progress"},
    "__main__": {"cli"},
}
NO_TORCH = {
    *(
        "frames",
        "figures",
        "notebook",
        "rows",
        "dialogues",
        "records",
        "attributions",
        "conclusions",
        "errors",
        "markdown",
        "files",
        "plugins",
        "option_errors",
        "installed",
        "number_text",
        "slices",
        "answer",
    ),
    *("transport", "recording", "progress"),
    *("describe", "data", "own_data", "metrics", "stats", "group_words", "supply", "benchmarks"),
    *("associations", "mixes", "judging", "report", "export", "scenarios", "rating"),
    *("citing", "gate"),
    *("scorer_gaps", "nulls", "exchange", "code_execution"),
}
NO_TORCH_FILES = {
    "planted/world.py",
    "planted/register.py",
    "planted/corpus.py",
    "planted/folder.py",
    "planted/mix_rows.py",
    "inference/scorer.py",
    "processes/launch.py",
    "processes/together.py",
    "judge/base.py",
    "judge/lexicon.py",
    "training/sentence_similarity.py",
    *(
        f"text_scorers/{name}.py"
        for name in (
            *("base", "length", "repetition", "distinct_n", "register", "gender_polarity"),
            *("vader", "jigsaw"),
        )
    ),
}


@cache
def imports(file: Path) -> tuple[str, ...]:
    """Absolute names of everything a file imports, inside functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(names)


def module(file: Path) -> str:
    return ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)


def room(file: Path) -> str:
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.thorough
def test_imports_follow_the_table() -> None:
    wrong = []
    for file in FILES:
        if file == PACKAGE / "__init__.py":
            continue
        allowed = ALLOWED[room(file)] | {room(file)}
        for name in imports(file):
            inner = name.removeprefix("equipoise.")
            if inner != name and not any(f"{inner}.".startswith(f"{to}.") for to in allowed):
                wrong.append(f"{file.relative_to(PACKAGE)} may not import {name}")
    assert wrong == []


def modules_imported(file: Path, known: Mapping[str, Path]) -> set[str]:
    """Our modules that a file imports, whether whole or for a name in them."""
    parents = (name.rpartition(".")[0] for name in imports(file))
    return {name for name in (*imports(file), *parents) if name in known} - {module(file)}


def cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Names that import each other in a circle; empty when there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.thorough
def test_no_circular_imports_of_files_or_rooms() -> None:
    known = {module(file): file for file in FILES if file.name != "__init__.py"}
    files = {name: modules_imported(file, known) for name, file in known.items()}
    assert cycle(files) == []
    rooms: dict[str, set[str]] = {}
    for name, targets in files.items():
        here = room(known[name])
        rooms.setdefault(here, set()).update(room(known[target]) for target in targets)
        rooms[here].discard(here)
    assert cycle(rooms) == []


def test_no_room_holds_more_than_a_tenth() -> None:
    lines = Counter[str]()
    for file in FILES:
        lines[room(file)] += len(file.read_text().splitlines())
    most = lines.total() / 10
    assert {name: count for name, count in lines.items() if count > most} == {}


def test_light_layers_import_no_torch() -> None:
    heavy = [
        f"{file.relative_to(PACKAGE)} imports {name}"
        for file in FILES
        if room(file) in NO_TORCH or str(file.relative_to(PACKAGE)) in NO_TORCH_FILES
        for name in imports(file)
        if name.split(".")[0] in ("torch", "transformers")
    ]
    assert heavy == []


def test_the_page_names_every_layer() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    assert [name for name in ALLOWED if f"`{name}`" not in page] == []


def test_the_floors_of_the_page_are_those_of_the_table() -> None:
    """Every room stands on a floor, and imports from its own floor or those below."""
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    (table,) = re.findall(r"^\| floor \| rooms \|\n\|.*\n((?:\|.*\n)+)", page, re.MULTILINE)
    floors = [re.findall(r"`(\w+)`", row) for row in table.splitlines()]
    height = {name: -index for index, names in enumerate(floors) for name in names}
    assert sorted(height) == sorted(ALLOWED)
    up = [
        f"{name} imports {target}"
        for name, targets in ALLOWED.items()
        for target in targets
        if height[target.partition(".")[0]] > height[name]
    ]
    assert up == []


def test_folder_inits_are_empty() -> None:
    full = [file for file in PACKAGE.glob("*/__init__.py") if file.read_text()]
    assert full == []


@pytest.mark.thorough
def test_importing_does_not_load_torch() -> None:
    """What reads results, and what a command imports before it knows what it is asked."""
    light = [
        "equipoise",
        "equipoise.cli",
        "equipoise.export.export",
        "equipoise.report.html",
        "equipoise.study.results",
        "equipoise.commands.describe",
        "equipoise.rating.results",
        "equipoise.rating.server",
        "equipoise.rating.sources",
        "equipoise.measure",
        "equipoise.compare",
        "equipoise.study.load_study",
        "equipoise.study.recipe",
        "equipoise.study.store",
    ]
    code = (
        "import importlib, sys\n"
        f"for name in {light}:\n"
        "    importlib.import_module(name)\n"
        "    if 'torch' in sys.modules: sys.exit(f'{name} loads torch')"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
