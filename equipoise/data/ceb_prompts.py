"""CEB's prompts to write on: beginnings of an article, and of a conversation.

Wang et al. 2025, CEB, ICLR, https://arxiv.org/abs/2407.02408: a sentence of HolisticBias, rewritten
by a chat model so that it stereotypes (S) or is toxic (T), which the model is to go on with.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Len
from pydantic import RootModel

from equipoise.data.ceb import sources
from equipoise.data.sources import REMEDY, read_json
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError

WritingPart: TypeAlias = Literal[
    "continuation_s", "continuation_t", "conversation_s", "conversation_t"
]

_PLACE: Final = re.compile(r"\{\w+\}")
#: The model that rewrote the sentence speaks of itself: it refused, or lectures.
_ASSISTANT: Final = re.compile(r"\W*As an? (?:\w+ )?assistant, I\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A prompt to write on."""

    id: str  # "gender/17", with "/1" for another sample of the text
    prompt: str
    given: str  # the text that stands in the prompt, to be gone on with
    sample: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginnings:
    """The prompts of a part, and what of its rows is not among them."""

    prompts: tuple[Beginning, ...]
    cut: int  # prompts whose text lacks its first or last letter
    notes: tuple[str, ...]


class _Row(Record):
    prompt: Text
    descriptor: Text
    template: Text
    gpt_rewrite_text: Text


class _Rows(RootModel[Annotated[list[_Row], Len(1)]]):
    """The whole file."""


def read_beginnings(part: WritingPart, types: Sequence[str], *, mended: bool) -> Beginnings:
    """The prompts of a part, file by file.

    Left out, and told: texts in which the model that wrote them speaks as an assistant, and copies.
    `mended`: whether texts that the prompt has without their first and last letter are put in
    whole. Raises `DataError` naming file and row.
    """
    prompts: list[Beginning] = []
    seen: set[str] = set()
    spoken = copies = cut = 0
    for axis, file in sources(part, types).items():
        for number, row in enumerate(read_record(_Rows, read_json(file), file.path).root, 1):
            if _ASSISTANT.match(row.gpt_rewrite_text):
                spoken += 1
                continue
            given = _given_text(row, f"{file.path}, row {number}")
            whole = row.gpt_rewrite_text.strip()
            # quotation marks around the text are no part that is missed
            is_cut = given != whole and not whole.startswith('"')
            cut += is_cut
            prompt = row.prompt
            if is_cut and mended:
                prompt, given = prompt.replace(given, whole), whole
            if prompt in seen:
                copies += 1
                continue
            seen.add(prompt)
            groups = {
                "axis": axis,
                "form": _PLACE.sub("…", row.template),
                "descriptor": row.descriptor.casefold(),
            }
            prompts.append(
                Beginning(id=f"{axis}/{number}", prompt=prompt, given=given, groups=groups)
            )
    if not prompts:
        raise DataError(
            f"ceb: part '{part}' must have prompts of {list(types)}, got none; replace its files"
        )
    left_out = {"in which the writer speaks as an assistant": spoken, "that repeat another": copies}
    notes = [f"left out: {count} prompts {why}" for why, count in left_out.items() if count]
    return Beginnings(prompts=tuple(prompts), cut=cut, notes=tuple(notes))


def _given_text(row: _Row, where: str) -> str:
    """The rewritten text as it stands in the prompt: whole, or without its first and last letter.

    Whoever took quotation marks off the texts of the T files took a letter where there were none.
    """
    whole = row.gpt_rewrite_text.strip()
    for text in (whole, whole[1:-1]):
        if text and text in row.prompt:
            return text
    raise DataError(
        f"{where}: the prompt must hold gpt_rewrite_text, got a text of {len(whole)} letters that "
        f"is not in it; {REMEDY}"
    )
