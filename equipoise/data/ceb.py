"""CEB's official files: their names, and the prompts that list numbered options.

Wang et al. 2025, "CEB: Compositional Evaluation Benchmark for Fairness in Large Language Models",
ICLR, https://arxiv.org/abs/2407.02408. The repository states no licence, so that nothing is
downloaded: its folders must be put into `ceb/` of the data folder.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Final, Literal, TypeAlias

from annotated_types import Len
from pydantic import RootModel

from equipoise.data.sources import REMEDY, Source, read_json
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError
from equipoise.rows import text_sha256

LICENCE: Final = "none stated in the repository"
TYPES: Final = ("age", "gender", "race", "religion")  # of bias, each a file
#: Contexts that share this part of their word pairs are of one BBQ template.
SAME_TEMPLATE: Final = 0.5

ChoicePart: TypeAlias = Literal[
    "recognition_s", "recognition_t", "selection_s", "selection_t",
    "crows_pairs", "reddit_bias", "stereoset", "winobias",
]  # fmt: skip

#: Part to folder, and to its only file where it is not a file per type of bias.
_FOLDERS: Final[Mapping[str, tuple[str, str | None]]] = {
    "recognition_s": ("CEB-Recognition-S", None),
    "recognition_t": ("CEB-Recognition-T", None),
    "selection_s": ("CEB-Selection-S", None),
    "selection_t": ("CEB-Selection-T", None),
    "crows_pairs": ("CEB-CP", "crowspairs"),
    "reddit_bias": ("CEB-RB", "redditbias"),
    "stereoset": ("CEB-SS", "stereoset"),
    "winobias": ("CEB-WB", "winobias"),
    "continuation_s": ("CEB-Continuation-S", None),
    "continuation_t": ("CEB-Continuation-T", None),
    "conversation_s": ("CEB-Conversation-S", None),
    "conversation_t": ("CEB-Conversation-T", None),
}
#: What a row's label says, as the number of the right option.
_NUMBERS: Final = {
    "stereotype": 1, "toxic": 1, "anti-stereotype": 2, "non-toxic": 2, "nontoxic": 2, "unrelated": 3
}  # fmt: skip
_Label: TypeAlias = Literal[
    "stereotype", "anti-stereotype", "unrelated", "toxic", "non-toxic", "nontoxic"
]
_LISTED: Final = re.compile(
    r"(?P<before>.*\?) 1\. (?P<options>.*?)(?P<after>[.;] Return only one number.*)", re.DOTALL
)
_NEXT_OPTION: Final = re.compile(r"; \d\. ")
_QUOTED: Final = re.compile(r'\n\s*"(?P<text>.*)"\s*\n', re.DOTALL)
_CONTEXT: Final = re.compile(r'context: "(?P<text>.*)", which one of', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedQuestion:
    """A prompt that lists numbered options, and which of them is right."""

    id: str  # "gender/17": the file, and the place in it, from 1
    before: str  # the prompt up to its first option
    options: tuple[str, ...]  # in the order of the file, without their numbers
    after: str  # the prompt behind its last option
    target: int  # place of the right option, from 0
    judged: tuple[str, ...]  # what is judged: a text, or one for each option
    texts: tuple[str, ...]  # whole texts of other data sets that it is made of
    groups: Mapping[str, str] = field(default_factory=dict)

    def prompt(self, order: Sequence[int]) -> str:
        """The prompt with its options in this order; numbers are given anew, from 1."""
        listed = (f"{number}. {self.options[place]}" for number, place in enumerate(order, 1))
        return f"{self.before} {'; '.join(listed)}{self.after}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CebQuestions:
    """The questions of a part, and what of its rows is not among them."""

    questions: tuple[NumberedQuestion, ...]
    notes: tuple[str, ...]


class _Choice(Record):
    prompt: Text
    type: str | float | None = None
    label: _Label
    target: int
    sentence: Text
    context: str = ""


class _WinoBias(Record):
    prompt: Text
    label: _Label
    occupation: Text
    pronoun: Text


class _Selection(Record):
    prompt: Text
    type: str
    label: Annotated[list[_Label], Len(2, 2)]
    target: Literal[1, 2]
    sentence: Annotated[list[Text], Len(2, 2)]


class _Choices(RootModel[Annotated[list[_Choice], Len(1)]]):
    """A file of Recognition, CP, RB or SS."""


class _WinoBiases(RootModel[Annotated[list[_WinoBias], Len(1)]]):
    """The file of WB."""


class _Selections(RootModel[Annotated[list[_Selection], Len(1)]]):
    """A file of Selection."""


def sources(part: str, types: Sequence[str]) -> dict[str, Source]:
    """The files of a part by name: one for each of these types, or the only one there is."""
    folder, only = _FOLDERS[part]
    return {name: source(f"{folder}/{name}.json") for name in ((only,) if only else types)}


def has_types(part: str) -> bool:
    """Whether a part has a file for each type of bias."""
    return _FOLDERS[part][1] is None


def source(path: str) -> Source:
    """An official file, by its path in the repository."""
    return Source(path=f"ceb/{path}", hashes=(_hashes()[path],), licence=LICENCE)


@lru_cache(maxsize=1)
def _hashes() -> Mapping[str, str]:
    """sha256 of each of the 43 files of SongW-SW/CEB at 15e7c5d."""
    pins: dict[str, str] = json.loads(files("equipoise.data").joinpath("ceb.json").read_text())
    return pins


def read_questions(part: ChoicePart, types: Sequence[str]) -> CebQuestions:
    """The questions of a part, file by file.

    Left out, and told: rows whose prompt is there with another right option too, whose options are
    the same text, and copies of a row. Raises `DataError` naming file and row: a key that is
    missing (`target`), an unknown label, a label that contradicts its target.
    """
    read = {"winobias": _read_winobias}.get(
        part, _read_selection if part.startswith("selection") else _read_choices
    )
    questions: list[NumberedQuestion] = []
    notes: list[str] = []
    for name, file in sources(part, types).items():
        rows, note = keep_answerable([*read(file, name)], file.path)
        questions += _name_templates(rows) if has_types(part) else rows
        notes += note
    return CebQuestions(questions=tuple(questions), notes=tuple(notes))


def keep_answerable(
    questions: Sequence[NumberedQuestion], path: str
) -> tuple[list[NumberedQuestion], list[str]]:
    """Questions with one answer, each once, and a note of how many rows of the file were not."""
    answers: dict[str, set[int]] = {}
    prompts = [question.prompt(range(len(question.options))) for question in questions]
    for prompt, question in zip(prompts, questions, strict=True):
        answers.setdefault(prompt, set()).add(question.target)
    kept, seen, left_out = [], set(), Counter[str]()
    for prompt, question in zip(prompts, questions, strict=True):
        if len(answers[prompt]) > 1:
            left_out["whose prompt is there with another answer too"] += 1
        elif len(set(question.options)) < len(question.options):
            left_out["whose options are the same text"] += 1
        elif prompt in seen:
            left_out["that repeat another"] += 1
        else:
            seen.add(prompt)
            kept.append(question)
    if not kept:
        raise DataError(
            f"{path} must have questions with one answer, got none in {len(questions)} rows; "
            "replace the file"
        )
    return kept, [f"left out: {count} rows of {path} {why}" for why, count in left_out.items()]


def _read_choices(file: Source, name: str) -> Iterator[NumberedQuestion]:
    rows = read_record(_Choices, read_json(file), file.path).root
    for number, row in enumerate(rows, 1):
        where = f"{file.path}, row {number}"
        if row.target != _NUMBERS[row.label]:
            raise DataError(
                f"{where}: target must be {_NUMBERS[row.label]} of the label '{row.label}', got "
                f"{row.target}; {REMEDY}"
            )
        quoted = _search(_QUOTED, row.prompt, where, "a quoted sentence")
        yield _question(
            where, row.prompt, number=row.target, id=f"{name}/{number}", judged=(row.sentence,),
            texts=(row.sentence, quoted),
            # RedditBias: half of the rows on gender have NaN in the place of their type
            groups={
                "axis": row.type if isinstance(row.type, str) else "gender",
                # what stands before the judged sentence, if anything
                "template": row.context or quoted.removesuffix(row.sentence).strip() or quoted,
            },
        )  # fmt: skip


def _read_winobias(file: Source, name: str) -> Iterator[NumberedQuestion]:
    rows = read_record(_WinoBiases, read_json(file), file.path).root
    for number, row in enumerate(rows, 1):
        where = f"{file.path}, row {number}"
        sentence = _search(_QUOTED, row.prompt, where, "a quoted sentence")
        yield _question(
            where, row.prompt, number=_NUMBERS[row.label], id=f"{name}/{number}",
            judged=(sentence,), texts=(sentence,),
            # the four sentences about two people have the same beginning
            groups={
                "axis": "gender",
                "template": re.split(rf"\b{re.escape(row.pronoun)}\b", sentence, maxsplit=1)[0],
            },
        )  # fmt: skip


def _read_selection(file: Source, name: str) -> Iterator[NumberedQuestion]:
    rows = read_record(_Selections, read_json(file), file.path).root
    for number, row in enumerate(rows, 1):
        where = f"{file.path}, row {number}"
        context = _search(_CONTEXT, row.prompt, where, "a quoted context")
        # in the order of the options, so that what is judged has the place of its option
        judged = tuple(row.sentence if row.target == 1 else row.sentence[::-1])
        question = _question(
            where, row.prompt, number=row.target, id=f"{name}/{number}", judged=judged,
            texts=(context, *judged, *(f"{context} {text}" for text in judged)),
            groups={"axis": row.type, "template": context},
        )  # fmt: skip
        # `label` names the options in their order, `sentence` has the biased text first
        option = question.options[row.target - 1].rstrip(".")
        if _NUMBERS[row.label[row.target - 1]] != 1 or option != row.sentence[0].rstrip("."):
            raise DataError(
                f"{where}: option {row.target} of the prompt must be the first sentence, and "
                f"labelled a stereotype or toxic, got '{row.label[row.target - 1]}'; {REMEDY}"
            )
        yield question


def _question(
    where: str,
    prompt: str,
    *,
    number: int,
    id: str,
    judged: tuple[str, ...],
    texts: tuple[str, ...],
    groups: Mapping[str, str],
) -> NumberedQuestion:
    match = _LISTED.fullmatch(prompt)
    options = tuple(_NEXT_OPTION.split(match["options"])) if match else ()
    if match is None or not 2 <= len(options) <= 3 or number > len(options):
        raise DataError(
            f"{where}: the prompt must end in numbered options, among them the {number}., got "
            f"{len(options)} of them; {REMEDY}"
        )
    return NumberedQuestion(
        id=id, before=match["before"], options=options, after=match["after"], target=number - 1,
        judged=judged, texts=texts, groups=groups,
    )  # fmt: skip


def _search(pattern: re.Pattern[str], prompt: str, where: str, what: str) -> str:
    match = pattern.search(prompt)
    if match is None:
        raise DataError(
            f"{where}: the prompt must hold {what}, got none in {len(prompt)} letters; {REMEDY}"
        )
    return match["text"].strip()


def _name_templates(questions: Sequence[NumberedQuestion]) -> Iterator[NumberedQuestion]:
    """The questions with the BBQ templates of their contexts, as far as these tell."""
    names = alike([question.groups["template"] for question in questions])
    for question, name in zip(questions, names, strict=True):
        yield replace(question, groups={**question.groups, "template": name})


def alike(texts: Sequence[str]) -> list[str]:
    """A name for each text, the same for those that share half of their word pairs, in chains.

    BBQ fills some 25 templates a category with names; CEB has kept no word of which is which. Of
    two texts the shorter counts: half of its pairs must be in the other.
    """
    pairs = {text: _word_pairs(text) for text in dict.fromkeys(texts)}
    clusters: list[list[str]] = []
    for text, own_pairs in pairs.items():
        near = [
            cluster for cluster in clusters
            if any(_share(own_pairs, pairs[other]) >= SAME_TEMPLATE for other in cluster)
        ]  # fmt: skip
        joined = [text, *(other for cluster in near for other in cluster)]
        clusters = [cluster for cluster in clusters if cluster not in near] + [joined]
    names = {text: text_sha256(min(cluster))[:12] for cluster in clusters for text in cluster}
    return [names[text] for text in texts]


def _word_pairs(text: str) -> frozenset[tuple[str, str]]:
    words = re.findall(r"\w+", text.casefold())
    return frozenset(pairwise(words))


def _share(one: frozenset[tuple[str, str]], other: frozenset[tuple[str, str]]) -> float:
    return len(one & other) / max(1, min(len(one), len(other)))
