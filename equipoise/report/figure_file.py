"""A matplotlib figure as a file: .svg or .png, the same figure as the same bytes."""

import io
import warnings
from pathlib import Path
from typing import Final

from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.text import Text

from equipoise.errors import RecipeError
from equipoise.files.atomic import write_file

#: Characters that XML may not have.
_NO_CONTROLS: Final = dict.fromkeys(set(range(32)) - {9, 10, 13})


def check_figure(file: Path) -> str:
    """The ending of a figure's name; `RecipeError` for another than .svg and .png."""
    ending = file.suffix.lower()
    if ending not in (".svg", ".png"):
        raise RecipeError(f"a figure must be a .svg or .png file, got '{file.name}'; rename it")
    return ending


def write_figure(file: Path, figure: Figure) -> Path:
    """Write the figure by the file's ending, whole or not at all; gives the file back.

    Raises `RecipeError` for another ending, and `StoreError` where it cannot be written.
    """
    # names of groups are a user's: a $ in one begins no formula
    for text in figure.findobj(Text):
        text.set_parse_math(False)
    if check_figure(file) == ".png":
        FigureCanvasAgg(figure)
        picture = io.BytesIO()
        with rc_context({"text.parse_math": False}):
            figure.savefig(picture, format="png", dpi=200, metadata={"Software": None})
        return write_file(file, picture.getvalue(), what="figure")
    FigureCanvasSVG(figure)
    drawn = io.StringIO()
    # ids that do not depend on chance, and text that stays text
    options = {"svg.hashsalt": "equipoise", "svg.fonttype": "none", "text.parse_math": False}
    with rc_context(options), warnings.catch_warnings():
        # text stays text: what shows the file has fonts of its own
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return write_file(file, drawn.getvalue().translate(_NO_CONTROLS), what="figure")
