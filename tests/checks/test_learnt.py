"""What a method learnt: taken from its supply, there and back, and what is refused."""

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equipoise.checks.learnt import Learnt, learnt_from, read_learnt, write_learnt
from equipoise.errors import StoreError
from equipoise.records import Contrast, Prompt, Supply
from equipoise.rows import text_sha256
from equipoise.testing import tiny_supply

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
LEARNT = st.builds(
    Learnt,
    origin=NAMES,
    texts=st.frozensets(NAMES.map(text_sha256), max_size=4),
    groups=st.dictionaries(NAMES, st.lists(NAMES, max_size=3).map(tuple), max_size=3),
    item_info=st.lists(NAMES, max_size=2).map(tuple),
)
SUPPLY = Supply(
    origin="toy:train",
    prompts=(
        Prompt(id="1", text="The nurse ran", groups={"profession": "nurse", "template": "ran"}),
        Prompt(id="2", text="The guard ran", groups={"profession": "guard", "template": "ran"}),
    ),
    hinted=(Prompt(id="3", text="The cook took his bag", groups={"profession": "cook"}),),
    dev=(Prompt(id="4", text="The judge ate", groups={"profession": "judge"}),),
    contrasts=(
        Contrast(
            id="5",
            context="The pilot said",
            stereotype=" he",
            antistereotype=" she",
            groups={"target": "pilot"},
        ),
    ),
    texts=("Rain fell.",),
    dev_contrasts=(
        Contrast(
            id="6",
            context="The sailor said",
            stereotype=" he",
            antistereotype=" she",
            groups={"target": "sailor"},
        ),
    ),
)


@pytest.mark.thorough
@settings(max_examples=20, deadline=None)
@given(LEARNT)
def test_file_round_trip(learnt: Learnt) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_learnt(Path(folder) / "learnt.json", learnt)
        assert read_learnt(Path(folder) / "learnt.json") == learnt
        assert [item.name for item in Path(folder).iterdir()] == ["learnt.json"]


def test_all_that_was_supplied_counts_as_learnt() -> None:
    result = learnt_from(SUPPLY, item_info=("bias type",))
    assert result.origin == "toy:train"
    assert result.item_info == ("bias type",)
    assert result.groups == {
        "profession": ("cook", "guard", "judge", "nurse"),
        "target": ("pilot", "sailor"),
        "template": ("ran",),
    }
    assert result.texts == {
        text_sha256(entry)
        for entry in (
            "The nurse ran", "The guard ran", "The cook took his bag", "The judge ate",
            "The pilot said he", "The pilot said she", "The sailor said he", "The sailor said she",
            "Rain fell.",
        )
    }  # fmt: skip


def test_an_edit_that_learnt_less_has_the_groups_of_that_alone() -> None:
    subset = frozenset({text_sha256("The guard ran"), text_sha256("The pilot said she")})
    actual = learnt_from(SUPPLY, trained_on=subset)
    assert actual.texts == subset
    assert actual.groups == {"profession": ("guard",), "target": ("pilot",), "template": ("ran",)}
    nothing = learnt_from(SUPPLY, trained_on=frozenset())
    assert (nothing.texts, nothing.groups, nothing.item_info) == (frozenset(), {}, ())


def test_order_and_copies_of_examples_do_not_matter() -> None:
    turned = Supply(
        origin="toy:train",
        prompts=SUPPLY.prompts[::-1] * 2,
        hinted=SUPPLY.hinted,
        dev=SUPPLY.dev,
        dev_contrasts=SUPPLY.dev_contrasts,
        contrasts=SUPPLY.contrasts,
        texts=SUPPLY.texts,
    )
    assert learnt_from(turned) == learnt_from(SUPPLY)


def test_no_text_is_written(tmp_path: Path) -> None:
    write_learnt(tmp_path / "learnt.json", learnt_from(tiny_supply()))
    written = (tmp_path / "learnt.json").read_text()
    assert "because" not in written
    assert "The door" not in written
    assert "nurse" in written  # a group


def test_writing_replaces_and_needs_a_folder(tmp_path: Path) -> None:
    file = tmp_path / "learnt.json"
    write_learnt(file, learnt_from(SUPPLY))
    write_learnt(str(file), learnt_from(tiny_supply()))
    assert read_learnt(str(file)).origin == "tiny"
    with pytest.raises(StoreError, match="cannot write the record of what was learnt"):
        write_learnt(file / "learnt.json", learnt_from(SUPPLY))


def broken(file: Path, **change: object) -> Path:
    write_learnt(file, learnt_from(SUPPLY))
    document = json.loads(file.read_text()) | change
    file.write_text(json.dumps({key: value for key, value in document.items() if value != "gone"}))
    return file


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"texts": "gone"}, "at 'texts'"),
        ({"item_info": "gone"}, "at 'item_info'"),
        ({"origin": 3}, "at 'origin'"),
        ({"groups": {"profession": "nurse"}}, r"at 'groups\.profession'"),
        ({"texts": ["ab" * 32, "The nurse ran"]}, r"at 'texts\.1'"),
    ],
)
def test_invalid_content_is_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(StoreError, match=rf"learnt\.json.*{message}"):
        read_learnt(broken(tmp_path / "learnt.json", **change))


def test_truncated_or_missing_file_is_an_error(tmp_path: Path) -> None:
    file = broken(tmp_path / "learnt.json")
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(StoreError, match=r"learnt\.json must be readable"):
        read_learnt(file)
    with pytest.raises(StoreError, match=r"absent\.json must be there, it is missing"):
        read_learnt(tmp_path / "absent.json")
