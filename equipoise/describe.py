"""What a plug-in is: its options with types, defaults and meaning, its metrics, its paper.

Everything comes from the plug-in's own source: the meaning of an option is the comment on its
field, so the command, the tables of docs/ and the code cannot disagree.
"""

import ast
import dataclasses
import inspect
import io
import re
import tokenize
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo

from equipoise.errors import RecipeError, nearest
from equipoise.plugins import available, choices_of, find, name_of, names_in

#: What a plug-in is for, and the folder and entry-point group that holds it.
KINDS: Mapping[str, str] = {
    "benchmark": "equipoise.benchmarks",
    "supply": "equipoise.supply",
    "locator": "equipoise.locate",
    "attributor": "equipoise.attribute",
    "mitigation": "equipoise.mitigate",
    "judge": "equipoise.judge",
    "scorer": "equipoise.text_scorers",
    "null": "equipoise.nulls",
}
REQUIRED = "required"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class OptionDescription:
    """An option of a plug-in."""

    name: str  # with a dot for an option of a choice: "controller.band"
    type: str  # "int >= 1", "text or null", "equivalence | none"
    default: str  # as JSON-like text; "required" without a default
    meaning: str  # the comment on the field; "" where there is none
    choices: tuple[str, ...] = ()  # of an option of a choice: with which names it can be given


def describe_options(cls: type) -> list[OptionDescription]:
    """The options of a plug-in class: its own, then those inherited; those of a choice after it.

    An option that several names of a choice have alike is there once.
    """
    options: dict[OptionDescription, tuple[str, ...]] = {}
    for option in _options(cls, prefix="", choice=()):
        alike = dataclasses.replace(option, choices=())
        options[alike] = tuple(dict.fromkeys((*options.get(alike, ()), *option.choices)))
    return [dataclasses.replace(alike, choices=names) for alike, names in options.items()]


def summary_of(thing: object) -> str:
    """The first sentence of the docstring of a class or a function."""
    return _first_sentence(inspect.getdoc(thing) or "")


def summaries(group: str) -> dict[str, str]:
    """Every plug-in of a folder with its first sentence; built-in files are read, not imported.

    A plug-in of another package has "" there: importing it could take seconds, or fail.
    """
    folder = Path(__file__).parent / group.removeprefix("equipoise.")
    files = {name: folder / f"{name}.py" for name in names_in(group)}
    return {name: _summary_in(file) if file.is_file() else "" for name, file in files.items()}


def find_plugins(name: str, bases: Mapping[str, type]) -> dict[str, type]:
    """The plug-ins of a name by kind ("stereoset" is a benchmark and a supply).

    `bases`: the abstract class of each kind. Raises `RecipeError` with the nearest names.
    """
    known = {kind: available(base) for kind, base in bases.items()}
    classes: dict[str, type] = {
        kind: find(base, name)
        for kind, base in bases.items()
        if name in known[kind] or ((":" in name or name.endswith(".py")) and _is_of(base, name))
    }
    if not classes:
        every = sorted({plugin for names in known.values() for plugin in names})
        raise RecipeError(f"no plug-in is called '{name}'; {nearest(name, every)}")
    return classes


def option_table(options: Iterable[OptionDescription]) -> str:
    """A Markdown table of options, as docs/ has it."""
    rows = ["| option | type | default | meaning |", "|---|---|---|---|"]
    for option in options:
        names = ", ".join(f"`{name}`" for name in option.choices)
        meaning = f"with {names}: {option.meaning}" if names else option.meaning
        cells = (f"`{option.name}`", option.type, f"`{option.default}`", meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _is_of(base: type, reference: str) -> bool:
    try:
        find(base, reference)
    except RecipeError:
        return False
    return True


def _options(cls: type, *, prefix: str, choice: tuple[str, ...]) -> Iterator[OptionDescription]:
    if not dataclasses.is_dataclass(cls):
        return
    hints = get_type_hints(cls, include_extras=True)
    meanings = _field_comments(cls)
    parents = filter(dataclasses.is_dataclass, cls.__bases__)
    inherited = {field.name for base in parents for field in dataclasses.fields(base)}
    for field in sorted(dataclasses.fields(cls), key=lambda field: field.name in inherited):
        if not field.init or (choice and field.name == "name"):
            continue
        yield OptionDescription(
            name=prefix + field.name,
            type=_type_text(hints[field.name], [field.default]),
            default=_default_text(field),
            meaning=meanings.get(field.name, ""),
            choices=choice,
        )
        for name, chosen in choices_of(hints[field.name]).items():
            yield from _options(chosen, prefix=f"{prefix}{field.name}.", choice=(name,))


# --- types and defaults as text -----------------------------------------------------------------

_PLAIN = {str: "text", int: "int", float: "number", bool: "true or false", type(None): "null"}
_LIMITS: Mapping[type, tuple[str, str]] = {  # class of a limit to its words and its field
    Ge: (">=", "ge"),
    Gt: (">", "gt"),
    Le: ("<=", "le"),
    Lt: ("<", "lt"),
    MinLen: ("of at least", "min_length"),
}


def _type_text(hint: Any, constraints: Iterable[object] = ()) -> str:
    """A type in words; of the constraints, from the annotation or `= Field(ge=...)`, the limits."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _type_text(parts[0], [*hint.__metadata__, *constraints])
    if choices := choices_of(hint):
        return " | ".join([*choices, *(["null"] if type(None) in parts else [])])
    if origin is Literal:
        return " | ".join(map(str, parts))
    if origin in (Union, types.UnionType):
        texts = [_type_text(part, constraints if part is not type(None) else ()) for part in parts]
        return " or ".join(dict.fromkeys(texts))
    if origin is tuple:
        if len(parts) == 2 and parts[1] is Ellipsis:
            return f"list of {_type_text(parts[0])}"
        return f"list of {len(parts)}: " + ", ".join(_type_text(part) for part in parts)
    if origin in (dict, Mapping) or (inspect.isclass(origin) and issubclass(origin, Mapping)):
        return f"mapping of {_type_text(parts[0])} to {_type_text(parts[1])}"
    if not inspect.isclass(hint):
        return str(hint).removeprefix("typing.")
    flat = [
        limit
        for item in constraints
        for limit in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]
    limits = [
        f"{words} {getattr(limit, field)}"
        for limit in flat
        for kind, (words, field) in _LIMITS.items()
        if isinstance(limit, kind)
    ]
    name = _PLAIN.get(hint, hint.__name__.lower())
    return f"{name} {', '.join(limits)}" if limits else name


def _default_text(field: "dataclasses.Field[Any]") -> str:
    default = field.default
    if isinstance(default, FieldInfo):
        default = default.get_default(call_default_factory=True, validated_data={})
    elif field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    return REQUIRED if default is dataclasses.MISSING else _value_text(default)


def _value_text(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value_text, value)) + "]"
    if isinstance(value, Mapping):
        pairs = (f"{key}: {_value_text(part)}" for key, part in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, str):
        return f'"{value}"' if value != value.strip() else value
    if dataclasses.is_dataclass(value):  # a choice knows its name, a plug-in is named by its file
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return str(fields["name"]) if "name" in fields else name_of(value)
    return str(value)


# --- comments and docstrings from source ---------------------------------------------------------


def _field_comments(cls: type) -> dict[str, str]:
    """Field to the comment on it, of a dataclass and of those that it inherits from."""
    comments: dict[str, str] = {}
    # a class's own comment on a field replaces its base's
    for base in reversed(cls.__mro__):
        if dataclasses.is_dataclass(base):
            comments |= _comments_in(inspect.getsourcefile(base) or "", base.__name__)
    return comments


def _comments_in(file: str, name: str) -> dict[str, str]:
    tree, comments = _parsed(Path(file))
    lines = {number: text for number, (text, _) in comments.items()}
    whole = {number for number, (_, alone) in comments.items() if alone}
    meanings = {}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.ClassDef) and node.name == name):
            continue
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                first = field.lineno
                while first - 1 in whole and lines[first - 1].startswith("#:"):
                    first -= 1
                last = field.end_lineno or field.lineno
                texts = [lines[i].lstrip("#: ") for i in range(first, last + 1) if i in lines]
                texts = [text for text in texts if text != "fmt: skip"]
                meanings[field.target.id] = _as_json(" ".join(texts).removesuffix("."))
    return meanings


def _as_json(comment: str) -> str:
    """A comment with Python's constants as a recipe and `--set` write them."""
    words = {"None": "null", "True": "true", "False": "false"}
    return re.sub(r"\b(None|True|False)\b", lambda match: words[match[0]], comment)


@cache
def _parsed(file: Path) -> tuple[ast.Module, dict[int, tuple[str, bool]]]:
    """A file's syntax, and its comments by line, with whether each stands alone on its line."""
    source = file.read_text(encoding="utf-8")
    comments = {
        token.start[0]: (token.string, not token.line[: token.start[1]].strip())
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    return ast.parse(source), comments


def _summary_in(file: Path) -> str:
    """The first sentence of the docstring of the only public class with bases in a file."""
    module = ast.parse(file.read_text(encoding="utf-8"))
    docs = [
        ast.get_docstring(node) or ""
        for node in module.body
        if isinstance(node, ast.ClassDef) and node.bases and not node.name.startswith("_")
    ]
    # a plug-in comes last in its file, behind the choices of its options
    return _first_sentence(docs[-1] if docs else ast.get_docstring(module) or "")


def _first_sentence(text: str) -> str:
    first = " ".join(text.split("\n\n")[0].split())
    return first.partition(". ")[0].rstrip(".")
