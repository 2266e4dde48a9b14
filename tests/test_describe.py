"""What a plug-in says of itself: every option has a meaning, and the pages say the same."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Field

from equipoise.commands.describe import plugin_bases
from equipoise.describe import (
    KINDS,
    OptionDescription,
    describe_options,
    find_plugins,
    option_table,
    summaries,
    summary_of,
)
from equipoise.errors import RecipeError
from equipoise.locate.base import Locator
from equipoise.locate.random_block import RandomBlock
from equipoise.plugins import available, find

BASES = plugin_bases()
PLUGINS = [(kind, name) for kind, base in BASES.items() for name in available(base)]
SUMMARIES = {kind: summaries(group) for kind, group in KINDS.items()}


@dataclasses.dataclass(frozen=True)
class Plain:
    """Do nothing. Twice."""

    name: Literal["plain"] = "plain"
    depth: Annotated[int, Field(ge=1, le=9)] = 3  # in blocks


@dataclasses.dataclass(frozen=True)
class Deep:
    """Likewise."""

    name: Literal["deep"] = "deep"
    depth: Annotated[int, Field(ge=1, le=9)] = 3  # in blocks
    #: Hidden features;
    #: None: as the model.
    width: int | None = None


@dataclasses.dataclass(frozen=True)
class Inherited:
    """What several methods share."""

    steps: int = 5  # at most


@dataclasses.dataclass(frozen=True)
class Method(Inherited):
    """Train something. Whatever it is."""

    version: ClassVar[str] = "1"

    kind: Plain | Deep | None = Plain()  # None: no training
    locator: Locator = dataclasses.field(default_factory=RandomBlock)
    words: tuple[str, ...] = (" he", " she")


def test_options_have_types_defaults_and_the_comments_on_their_fields() -> None:
    assert describe_options(Method) == [
        option("kind", "plain | deep | null", "plain", "null: no training"),
        option("kind.depth", "int >= 1, <= 9", "3", "in blocks", "plain", "deep"),
        option("kind.width", "int or null", "null", "Hidden features; null: as the model", "deep"),
        option("locator", "locator", "random_block", ""),
        option("words", "list of text", '[" he", " she"]', ""),
        option("steps", "int", "5", "at most"),
    ]


def option(name: str, kind: str, default: str, meaning: str, *choices: str) -> OptionDescription:
    return OptionDescription(
        name=name, type=kind, default=default, meaning=meaning, choices=choices
    )


def test_a_table_of_options_is_markdown() -> None:
    rows = option_table(describe_options(Method)).splitlines()
    assert rows[2] == "| `kind` | plain \\| deep \\| null | `plain` | null: no training |"
    assert rows[3].endswith("| with `plain`, `deep`: in blocks |")


def test_a_summary_is_the_first_sentence() -> None:
    assert summary_of(Method) == "Train something"


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_plug_in_has_a_summary_and_every_option_a_meaning(kind: str, name: str) -> None:
    cls: type[Any] = find(BASES[kind], name)
    assert SUMMARIES[kind][name] == summary_of(cls) != ""
    assert [item.name for item in describe_options(cls) if not item.meaning] == []


def test_name_shared_by_several_kinds() -> None:
    assert set(find_plugins("stereoset", BASES)) == {"benchmark", "supply"}
    assert set(find_plugins("equipoise.mitigate.cda:Cda", BASES)) == {"mitigation"}


def test_misspelt_name_suggests_the_nearest() -> None:
    with pytest.raises(RecipeError, match="'stereoset'"):
        find_plugins("stereosets", BASES)


def test_a_file_is_described_as_it_is_measured(tmp_path: Path) -> None:
    file = tmp_path / "quick.py"
    file.write_text(
        "from equipoise.benchmarks.base import Benchmark\n\n\nclass Quick(Benchmark):\n    pass\n"
    )
    for name in (f"{file}", f"{file}:Quick"):
        kinds = find_plugins(name, BASES)
        assert [(kind, cls.__name__) for kind, cls in kinds.items()] == [("benchmark", "Quick")]
