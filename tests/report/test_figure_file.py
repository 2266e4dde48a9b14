"""Figures as files: names that a user chose are drawn as they are."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure

from equipoise.report.figure_file import write_figure


@pytest.mark.thorough
@pytest.mark.parametrize("ending", ["svg", "png"])
def test_names_are_no_formulas(tmp_path: Path, ending: str) -> None:
    figure = Figure()
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label=r"$\frac$")
    axes.set_yticks([0, 1], [r"$\frac$", "a$b$<c>"])
    axes.legend()
    file = write_figure(tmp_path / f"figure.{ending}", figure)
    assert file.stat().st_size > 0


@pytest.mark.filterwarnings("ignore:Glyph 27")
def test_an_svg_has_no_character_that_xml_forbids(tmp_path: Path) -> None:
    figure = Figure()
    figure.subplots().set_yticks([0], ["a\x1b[1m"])
    file = write_figure(tmp_path / "figure.svg", figure)
    assert "a[1m" in "".join(ElementTree.parse(file).getroot().itertext())
