"""What the site has beside the pages of this folder: the README as its front, linked files.

Links to files of the repository outside this folder become copies of them, as text.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
_LINK = re.compile(r"\]\((?P<path>[^)#\s:]+)(?P<anchor>#[^)]*)?\)")


def on_config(config: Any) -> Any:
    """A page for each benchmark and method stands in the navigation without being named there."""
    folders = {"BENCHMARKS": "benchmarks", "METHODS": "methods"}
    for section in config.nav:
        for entries in section.values():
            for entry in entries if isinstance(entries, list) else ():
                if isinstance(entry, dict):
                    (title, value) = next(iter(entry.items()))
                    if value in folders:
                        pages = sorted((ROOT / "docs" / folders[value]).glob("*.md"))
                        entry[title] = [f"{folders[value]}/{page.name}" for page in pages]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the front page, the reference, and every file that a page links to from outside."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = {
        "index.md": re.sub(r"(?<=[(])docs/", "", readme),
        "reference.md": _reference(),
    }
    for name, content in pages.items():
        files.append(File.generated(config, name, content=content))
    for page in [*ROOT.glob("docs/**/*.md"), ROOT / "README.md"]:
        for match in _LINK.finditer(page.read_text(encoding="utf-8")):
            source = (page.parent / match["path"]).resolve()
            if _is_outside(source) and source.is_file():
                name = _name(source)
                if files.get_file_from_path(name) is None:
                    files.append(File.generated(config, name, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files outside this folder lead to their copies; folders are named alone."""
    of_readme = page.file.src_uri == "index.md"
    place = ROOT if of_readme else (ROOT / "docs" / page.file.src_uri).parent
    up = "../" * page.file.src_uri.count("/")

    def lead(match: re.Match[str]) -> str:
        source = (place / match["path"]).resolve()
        if not source.exists() and of_readme:
            source = (ROOT / "docs" / match["path"]).resolve()
        if not _is_outside(source):
            return match[0]
        if source.is_dir():
            return f"]({up}index.html)"
        return f"]({up}{_name(source)})"

    return _LINK.sub(lead, markdown)


def _is_outside(source: Path) -> bool:
    return source.is_relative_to(ROOT) and not source.is_relative_to(ROOT / "docs")


def _name(source: Path) -> str:
    """Of a copy: as text, which every browser shows."""
    return f"source/{source.relative_to(ROOT).as_posix()}.txt"


def _reference() -> str:
    """The public names with their docstrings, in the order of `api.md`."""
    names = re.findall(r"^\| `([\w.]+)` \|", (ROOT / "docs/api.md").read_text("utf-8"), re.M)
    lines = ["# Reference", "", "Every public name with what it takes, gives and raises.", ""]
    for name in names:
        if not name.startswith(("eq.", "equipoise.")):
            continue  # of a class, which shows it
        full = name if name.startswith("equipoise.") else _home_of(name.removeprefix("eq."))
        lines += [f"::: {full}", ""]
    return "\n".join(lines)


def _home_of(name: str) -> str:
    """The module in which a name of `import equipoise as eq` is defined."""
    text = (ROOT / "equipoise/__init__.py").read_text(encoding="utf-8")
    match = re.search(rf'"{name}":\s*"([\w.]+)"', text)
    if match is None:
        raise ValueError(f"equipoise/__init__.py must say where {name} is defined; add it there")
    return f"{match[1]}.{name}"
