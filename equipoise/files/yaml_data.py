"""YAML as data with line numbers, and nothing that YAML can do beyond data.

Scalars follow YAML 1.2's core schema: `no` is a text and `1e-5` a number. Tags, anchors, aliases,
several documents, repeated keys and keys that are not texts are refused with their line.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import yaml

from equipoise.errors import RecipeError
from equipoise.records import JSON

MOST_BYTES = 200_000
MOST_DEPTH = 30

#: Line, from 1, of each value by its path: a value in a mapping has the line of its key.
Lines: TypeAlias = dict[tuple[str | int, ...], int]

_TAG = "tag:yaml.org,2002:"


#: Kinds of plain scalar: how they are written, and what they are.
_SCALARS: dict[str, tuple[str, Callable[[str], JSON]]] = {
    "bool": ("true|True|TRUE|false|False|FALSE", lambda text: text.lower() == "true"),
    "null": ("~|null|Null|NULL|", lambda _: None),
    # before the float, whose pattern takes whole numbers, too: the first that matches decides
    "int": ("[-+]?[0-9]{1,18}", int),
    "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", float),
}


class _Loader(yaml.SafeLoader):
    """Resolves plain scalars as YAML 1.2 does; PyYAML's own loaders follow YAML 1.1."""

    # without a table of its own a class gets a copy of its parent's, which is YAML 1.1's
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _kind, (_pattern, _) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_pattern})$"), None)


def read_yaml(file: Path, what: str = "recipe") -> tuple[JSON, Lines]:
    """The document of a YAML file, and the lines of its values; `what` is what errors call it.

    Raises `RecipeError` naming file and line: not there, not UTF-8, too large, too deep, not YAML,
    or using what is refused.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise RecipeError(
            f"a {what} must be a file that can be read, got '{file}': {error.strerror}; "
            "check the path"
        ) from None
    if len(raw) > MOST_BYTES:
        raise RecipeError(
            f"{file} must have at most {MOST_BYTES:,} bytes, got {len(raw):,}; name the {what}"
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"{file} must be UTF-8, got byte {raw[error.start]:#04x} at {error.start}; "
            "save it as UTF-8"
        ) from None
    return parse_yaml(text, str(file), what)


def parse_yaml(text: str, name: str, what: str = "recipe") -> tuple[JSON, Lines]:
    """`read_yaml` of a text; `name` is what errors call the file."""
    try:
        _refuse_more_than_data(text, name, what)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise RecipeError(
            f"{name} line {line}: YAML must be well formed, got: {error.problem}; fix this line"
        ) from None
    except yaml.YAMLError as error:  # a character that YAML forbids
        raise RecipeError(
            f"{name} must be YAML, got: {' '.join(str(error).split())}; fix it"
        ) from None
    if node is None:
        raise RecipeError(f"{name} must hold a {what}, got 0 documents; write it")
    lines: Lines = {}
    return _to_data(node, (), lines, name), lines


def _refuse_more_than_data(text: str, name: str, what: str) -> None:
    """Refuse anchors, aliases, tags, a second document and deep nesting before nodes are built."""
    depth = documents = 0
    # events come one by one, where composing recurses: deep nesting would be a RecursionError
    for event in yaml.parse(text, Loader=_Loader):
        refused = ""
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            refused = f"is one document, got {documents}; split the file" if documents > 1 else ""
        elif isinstance(event, yaml.AliasEvent):
            refused = f"has no aliases, got *{event.anchor}; write the value out"
        elif isinstance(event, yaml.NodeEvent) and event.anchor is not None:
            refused = f"has no anchors, got &{event.anchor}; write the value out"
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
            refused = f"has no tags, got {event.tag!r}; leave it out"
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MOST_DEPTH:
            refused = f"is at most {MOST_DEPTH} levels deep, got more; flatten it"
        if refused:
            line = event.start_mark.line + 1 if event.start_mark else 1
            raise RecipeError(f"{name} line {line}: a {what} {refused}")


def _to_data(node: yaml.Node, path: tuple[str | int, ...], lines: Lines, name: str) -> JSON:
    """The value of a node; fills `lines`."""
    lines.setdefault(path, _line(node))
    if isinstance(node, yaml.ScalarNode):
        return _to_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [
            _to_data(item, (*path, index), lines, name) for index, item in enumerate(node.value)
        ]
    mapping: dict[str, JSON] = {}
    for key_node, value in node.value:
        key = _to_scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        where = f"{name} line {_line(key_node)}"
        if not isinstance(key, str) or not key:
            raise RecipeError(f"{where}: a key must be a text, got {key!r}; name it")
        if key in mapping:
            first = lines[*path, key]
            raise RecipeError(
                f"{where}: a key stands once, got '{key}' again (first in line {first}); remove it"
            )
        lines[*path, key] = _line(key_node)
        mapping[key] = _to_data(value, (*path, key), lines, name)
    return mapping


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _to_scalar(node: yaml.ScalarNode) -> JSON:
    _, convert = _SCALARS.get(node.tag.removeprefix(_TAG), ("", str))
    return convert(str(node.value))
