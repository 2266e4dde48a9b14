"""Recipes as YAML: data with lines, and every trick refused with its line."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from equipoise.errors import RecipeError
from equipoise.files.yaml_data import MOST_BYTES, MOST_DEPTH, parse_yaml, read_yaml

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(st.characters(codec="utf-8", exclude_categories=("C",)), max_size=12)
)  # fmt: skip
DATA = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abcxyz_", min_size=1, max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


class Writer(yaml.SafeDumper):
    """Quotes texts that are numbers in YAML 1.2 alone, such as 0E0 and 08; PyYAML writes 1.1."""


Writer.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


@pytest.mark.thorough
@settings(max_examples=50, deadline=None)
@given(DATA)
@example("0E0")
@example("08")
def test_yaml_round_trip(data: Any) -> None:
    text = yaml.dump(data, Dumper=Writer, allow_unicode=True)
    assert parse_yaml(text, "t")[0] == data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("1e-5", 1e-5), ("1.0e-5", 1e-5), ("010", 10),
        ("2026-01-01", "2026-01-01"), ("'1'", "1"), ("~", None), ("true", True), ("0x10", "0x10"),
        ("1_000", "1_000"), ("2%", "2%"), (".5", 0.5), ("12:30", "12:30"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    data, _ = parse_yaml(f"a: {text}\n", "t")
    assert data == {"a": value}
    assert isinstance(data, dict)
    assert type(data["a"]) is type(value)


def test_lines_are_those_of_the_file() -> None:
    _, lines = parse_yaml("# first\na: 1\n\nb:\n  - x\n  - c: 2\n", "t")
    assert lines == {(): 2, ("a",): 2, ("b",): 4, ("b", 0): 5, ("b", 1): 6, ("b", 1, "c"): 6}


BOMB = "a: &a [x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "t line 3: a key stands once, got 'a' again (first in line 1)"),
        (BOMB, "t line 1: a recipe has no anchors, got &a"),
        ("a: 1\nb: *c\n", "t line 2: a recipe has no aliases, got *c"),
        ("a: !!python/object/apply:os.system [x]\n", "t line 1: a recipe has no tags"),
        ("x: 1\na: !include b\n", "t line 2: a recipe has no tags, got '!include'"),
        ("a: 1\n---\nb: 2\n", "t line 2: a recipe is one document, got 2"),
        ("a: [1, 2\n", "t line 2: YAML must be well formed"),
        ("a: 1\n\tb: 2\n", "t line 2: YAML must be well formed"),
        ("? [a]\n: 1\n", "t line 1: a key must be a text, got None"),
        ("1: 2\n", "t line 1: a key must be a text, got 1"),
        ("", "t must hold a recipe, got 0 documents"),
        ("a: \x00\n", "t must be YAML, got: unacceptable character"),
        ("a: " + "[" * 40 + "]" * 40, f"at most {MOST_DEPTH} levels deep"),
    ],
)  # fmt: skip
def test_anchors_tags_and_duplicates_are_refused_with_their_line(text: str, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_yaml(text, "t")
    assert message in str(caught.value)
    assert "; " in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    for name, raw, message in (
        ("large.yaml", b"a: 1\n" * MOST_BYTES, "must have at most"),
        ("latin.yaml", b"a: \xe9\n", "must be UTF-8, got byte 0xe9 at 3"),
    ):
        (tmp_path / name).write_bytes(raw)
        with pytest.raises(RecipeError, match=message):
            read_yaml(tmp_path / name)
    with pytest.raises(RecipeError, match="No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(RecipeError, match="Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "marked.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "marked.yaml")[0] == {"a": 1}
