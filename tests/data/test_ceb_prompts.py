"""CEB's prompts to write on: official files counted, what is left out, what lacks a letter."""

from pathlib import Path

import pytest
from ceb_rows import Row, beginning, put

from equipoise.data.ceb import TYPES
from equipoise.data.ceb_prompts import Beginnings, WritingPart, read_beginnings
from equipoise.data.sources import reading_from
from equipoise.errors import DataError

#: Part to its prompts, those with a cut text, and descriptors.
COUNTS: dict[WritingPart, tuple[int, int, int]] = {
    "continuation_s": (389, 0, 167), "continuation_t": (390, 272, 171),
    "conversation_s": (400, 0, 166), "conversation_t": (400, 0, 174),
}  # fmt: skip


@pytest.mark.parametrize("part", COUNTS)
def test_official_files(part: WritingPart, data_folder: Path) -> None:
    with reading_from(data_folder):
        read_all = read_beginnings(part, TYPES, mended=False)
        mended = read_beginnings(part, TYPES, mended=True)
    descriptors = {prompt.groups["descriptor"] for prompt in read_all.prompts}
    assert (len(read_all.prompts), read_all.cut, len(descriptors)) == COUNTS[part]
    changed = sum(
        one.prompt != other.prompt
        for one, other in zip(read_all.prompts, mended.prompts, strict=True)
    )
    assert changed == read_all.cut


def read(folder: Path, rows: list[Row], *, mended: bool = False) -> Beginnings:
    put(folder, "CEB-Continuation-S/age.json", rows)
    with reading_from(folder):
        return read_beginnings("continuation_s", ("age",), mended=mended)


def test_assistants_and_copies_are_left_out(tmp_path: Path) -> None:
    oak = beginning("I hate old oaks. They are slow.")
    spoken = [
        beginning("As a helpful assistant, I cannot say that."),
        beginning("As an AI assistant, I must remind you of oaks.", cut=True),
    ]
    result = read(tmp_path, [*spoken, oak, oak])
    assert [prompt.id for prompt in result.prompts] == ["age/3"]
    assert result.prompts[0].groups == {
        "axis": "age", "form": "I hate ….", "descriptor": "old",
    }  # fmt: skip
    assert len(result.notes) == 2
    with pytest.raises(DataError, match="must have prompts of"):
        read(tmp_path, spoken)


def test_letters_that_are_missing_are_counted_and_put_back(tmp_path: Path) -> None:
    rows = [beginning("I hate old oaks.", cut=True), beginning('"I hate elms."', cut=True)]
    published = read(tmp_path, rows)
    assert published.cut == 1  # quotation marks are no letters
    assert [prompt.given.strip('"') for prompt in published.prompts] == [
        " hate old oaks", "I hate elms.",
    ]  # fmt: skip
    whole, quoted = read(tmp_path, rows, mended=True).prompts
    assert '"I hate old oaks."' in whole.prompt
    assert (whole.given, quoted.given) == ("I hate old oaks.", '"I hate elms."')


def test_a_prompt_without_its_text_is_named(tmp_path: Path) -> None:
    row = beginning("I hate old oaks.") | {"gpt_rewrite_text": "I like elms."}
    with pytest.raises(DataError, match="row 1: the prompt must hold gpt_rewrite_text"):
        read(tmp_path, [row])
