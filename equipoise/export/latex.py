"""A table in LaTeX, for pdflatex with UTF-8 as for its successors; whatever a cell holds is text.

No character keeps a meaning of its own: commands, comments, ligatures and shorthands are undone. A
character that pdflatex cannot set without further packages stands as its number, "U+4E2D".
"""

import re
import unicodedata
from itertools import pairwise

from equipoise.export.table_data import is_numeric
from equipoise.report.tables import Table

LONGEST = 40  # rows on one page; more of them break over pages

_ASCII = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "%": r"\%", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\char34}",
    "`": r"{\char96}", "'": r"{'}",
}  # fmt: skip
_SYMBOLS = {
    "→": r"$\rightarrow$", "←": r"$\leftarrow$", "↔": r"$\leftrightarrow$", "−": "$-$",
    "±": r"$\pm$", "×": r"$\times$", "·": r"$\cdot$", "≤": r"$\leq$", "≥": r"$\geq$",
    "≠": r"$\neq$", "≈": r"$\approx$", "∞": r"$\infty$", "Δ": r"$\Delta$", "α": r"$\alpha$",
    "β": r"$\beta$", "λ": r"$\lambda$", "μ": r"$\mu$", "µ": r"$\mu$", "σ": r"$\sigma$",
    "ρ": r"$\rho$", "τ": r"$\tau$", "°": r"$^{\circ}$", "–": "{--}", "—": "{---}",
    "…": r"\ldots{}", "‘": "{`}", "’": "{'}", "“": "{``}", "”": "{''}", "§": r"\S{}",
    "©": r"\copyright{}", "£": r"\pounds{}", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}",
    "ı": r"\i{}", "¿": "{?`}", "¡": "{!`}",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u",
    "\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip
_MINUS = re.compile(r"(?<![\w.])-(?=\d|inf)")


def latex(table: Table) -> str:
    """The table as a `tabular` with booktabs' rules; from 41 rows on a `longtable`.

    Numbers stand to the right. Its first line names the packages it needs.
    """
    long = len(table.rows) > LONGEST
    kind = "longtable" if long else "tabular"
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.header)
    layout = "".join("r" if all(map(_is_right, cells)) else "l" for cells in columns)
    head = [_line(table.header), r"\midrule"]
    return "\n".join(
        [
            r"% \usepackage{booktabs}" + (r" \usepackage{longtable}" if long else ""),
            rf"\begin{{{kind}}}{{{layout}}}",
            r"\toprule",
            *head,
            *([r"\endhead"] if long else []),
            *(_line(row) for row in table.rows),
            r"\bottomrule",
            rf"\end{{{kind}}}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """The text as LaTeX that sets the text and does nothing else.

    White space becomes single spaces.
    """
    plain = unicodedata.normalize("NFC", " ".join(text.split()))
    return "".join(_parted(*pair) + _set(pair[1]) for pair in pairwise(" " + plain))


def _parted(before: str, one: str) -> str:
    """What keeps two characters from becoming one: two hyphens are no dash."""
    return "{}" if one == before and one in "-," else ""


def _is_right(cell: str) -> bool:
    return not cell or cell == "n/a" or is_numeric(cell)


def _line(cells: tuple[str, ...]) -> str:
    r"""One row; the empty group keeps a star or a bracket from being read by the `\\` before it."""
    return "{}" + " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    found = latex_text(text)
    return _MINUS.sub("$-$", found) if is_numeric(text) else found


def _set(one: str) -> str:
    if one in _ASCII:
        return _ASCII[one]
    if " " <= one < "\x7f":
        return one
    if one in _SYMBOLS:
        return _SYMBOLS[one]
    apart = unicodedata.normalize("NFD", one)
    base, mark = apart[0], apart[1:]
    if mark in _ACCENTS and base.isascii() and base.isalpha():
        return rf"\{_ACCENTS[mark]}{{{base}}}"
    return rf"\texttt{{U+{ord(one):04X}}}"
