"""Who may import whom: the table of docs/architecture.md, read as a dictionary."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "equipoise"

_LOW = {"records", "findings", "errors"}
ALLOWED: dict[str, set[str]] = {
    "records": set(),
    "findings": {"records"},
    "errors": set(),
    "environment": set(),
    "markdown": set(),
    "plugins": _LOW,
    "metrics": {"records"},
    "stats": {"records", "findings"},
    "data": _LOW,
    "models": _LOW | {"markdown"},
    "planted": _LOW | {"data", "models"},
    "benchmarks": _LOW | {"data", "metrics", "planted.world", "planted.corpus"},
    "locate": _LOW | {"models", "stats"},
    "tuning": _LOW | {"models", "stats"},
    "mitigate": _LOW | {"plugins", "data", "models", "metrics", "stats", "locate", "tuning"},
    "predictions": _LOW | {"benchmarks"},
    "measure": _LOW
    | {"predictions", "environment", "plugins", "models.scorer", "benchmarks", "stats"},
    "compare": _LOW | {"plugins", "benchmarks", "stats"},
    "settings": _LOW,
    "opening": _LOW | {"models", "planted"},
    "study": _LOW
    | {"environment", "plugins", "benchmarks.base", "locate.base", "mitigate.base", "measure"}
    | {"models", "stats", "planted", "verbs", "opening", "compare", "calibrate", "settings"},
    "report": _LOW | {"markdown", "stats", "study.results", "study.studied"},
    "verbs": _LOW
    | {"plugins", "measure", "opening", "models", "benchmarks", "locate", "mitigate", "planted"}
    | {"compare", "predictions", "stats"},
    "calibrate": _LOW | {"plugins", "measure", "models.scorer", "benchmarks", "planted", "stats"},
    "demo": _LOW | {"study.studied", "report.sentences"},
    "conformance": _LOW
    | {"plugins", "measure", "models", "benchmarks", "locate", "mitigate", "stats", "fakes"},
    "fakes": _LOW | {"models"},
    "testing": {"conformance", "fakes"},
    "commands": _LOW
    | {"plugins", "verbs", "measure", "opening", "planted", "study", "report", "calibrate"}
    | {"demo", "benchmarks", "locate", "mitigate", "models", "data", "environment"}
    | {"compare", "settings", "predictions"},
    "cli": {"commands", "errors", "settings"},
    "__main__": {"cli"},
}
NO_TORCH = (
    "records",
    "findings",
    "errors",
    "environment",
    "markdown",
    "plugins",
    "metrics",
    "stats",
    "data",
    "benchmarks",
)
NO_TORCH_FILES = ("planted/world.py", "planted/corpus.py", "models/scorer.py")
FILES = sorted(PACKAGE.rglob("*.py"))


def imports(file: Path) -> list[str]:
    """Absolute names of everything a file imports, inside functions too."""
    names: list[str] = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names += [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            names += [f"{node.module}.{one.name}" for one in node.names]
    return names


def layer(file: Path) -> str:
    relative = file.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_imports_follow_the_table(file: Path) -> None:
    own = layer(file)
    if own == "__init__":
        return
    allowed = ALLOWED[own] | {own}
    for name in imports(file):
        if not name.startswith("equipoise."):
            continue
        inner = name.removeprefix("equipoise.")
        assert any(inner == one or inner.startswith(f"{one}.") for one in allowed), (
            f"equipoise/{file.relative_to(PACKAGE)} may not import {name}"
        )


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_light_layers_import_no_torch(file: Path) -> None:
    relative = file.relative_to(PACKAGE)
    light = layer(file) in (*NO_TORCH, "report") or str(relative) in NO_TORCH_FILES
    heavy = [name for name in imports(file) if name.split(".")[0] in ("torch", "transformers")]
    assert not (light and heavy), f"{relative} imports {heavy}"


def test_the_page_names_every_layer() -> None:
    page = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    table = page[page.index("## Who may import whom") : page.index("Consequences")]
    assert [one for one in ALLOWED if f"`{one}`" not in table] == []


def test_folder_inits_are_empty() -> None:
    for file in PACKAGE.glob("*/__init__.py"):
        assert file.read_text() == "", f"{file.relative_to(PACKAGE)} must stay empty"


def test_importing_does_not_load_torch() -> None:
    """What reads results, and what a command imports before it knows what it is asked."""
    light = [
        "equipoise",
        "equipoise.report.export",
        "equipoise.report.html",
        "equipoise.study.results",
        "equipoise.measure",
        "equipoise.compare",
        "equipoise.study.reading",
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
