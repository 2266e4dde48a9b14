"""Edit requests: a prompt about a subject, and what is to follow it.

A request is what the knowledge editors (ROME, R-ROME, MEMIT) take. They are made from the prompts
and contrasts of a supply, or read from a file in the format of EasyEdit: a JSON list or JSON Lines
of objects with `prompt`, `subject` and `target_new`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from equipoise.data.documents import kind_of_file, read_content
from equipoise.data.validation import Record, Text, read_record
from equipoise.errors import DataError, RecipeError
from equipoise.files.parsing import parse_json, parse_jsonl, unpack
from equipoise.records import JSON, Contrast, DataUse, Prompt

SUBJECT: Final = "{}"  # stands for the subject in a prompt of a file
_KEYS: Final = ("prompt", "subject", "target_new")


@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequest:
    """A prompt, the characters of it that are its subject, and one or more targets.

    A single target is to become likely, two are to become equally likely.
    """

    id: str
    prompt: str  # no trailing space
    subject: str
    start: int  # of the subject's first character in the prompt
    targets: tuple[str, ...]  # each with its leading space

    @property
    def end(self) -> int:
        """The character after the subject's last."""
        return self.start + len(self.subject)


def find_subject(prompt: str, subject: str) -> int | None:
    """Where the subject begins in the prompt: its first whole word, any case; None: nowhere."""
    match = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", prompt, flags=re.IGNORECASE)
    return match.start() if match else None


def requests_of_prompts(prompts: Sequence[Prompt], words: tuple[str, ...]) -> list[EditRequest]:
    """A request for each prompt about its profession, with the words as targets.

    Raises `RecipeError` for a prompt that does not say whom it is about.
    """
    requests = []
    for prompt in prompts:
        subject = prompt.groups.get("profession") or prompt.groups.get("target") or ""
        start = find_subject(prompt.text, subject) if subject else None
        if start is None:
            raise RecipeError(
                f"prompt '{prompt.id}' must hold its subject, the group 'profession' or 'target', "
                f"got groups {dict(prompt.groups)}; name a supply whose prompts do, as genbias"
            )
        requests.append(
            EditRequest(
                id=prompt.id,
                prompt=prompt.text,
                subject=prompt.text[start : start + len(subject)],
                start=start,
                targets=words,
            )
        )
    return requests


def requests_of_contrasts(contrasts: Sequence[Contrast]) -> tuple[list[EditRequest], int]:
    """A request for each contrast whose context holds its target; and how many do not.

    Targets are the stereotype and the anti-stereotype, whole.
    """
    requests = []
    for contrast in contrasts:
        target, context = contrast.groups.get("target", ""), contrast.context.rstrip()
        start = find_subject(context, target) if target else None
        endings = (contrast.stereotype, contrast.antistereotype)
        if start is not None and endings[0] != endings[1]:
            requests.append(
                EditRequest(
                    id=contrast.id,
                    prompt=context,
                    subject=context[start : start + len(target)],
                    start=start,
                    targets=tuple(_spaced(ending) for ending in endings),
                )
            )
    return requests, len(contrasts) - len(requests)


class _Line(Record):
    prompt: Text
    subject: Text
    target_new: Text | list[Text] = Field(union_mode="left_to_right")


def read_requests(file: str) -> tuple[list[EditRequest], DataUse, tuple[str, ...]]:
    """The requests of a file, what a result records about it, and keys of it that are not read.

    A prompt may hold "{}" where its subject goes. `target_new` gets a leading space if it has none;
    a list of two makes them equally likely. Raises `DataError` naming the entry: a key that is
    missing, a subject that does not occur in its prompt.
    """
    content, use = read_content(file)
    plain = unpack(content, use.name)
    if kind_of_file(use.name) == ".jsonl":
        lines = [(f"line {line}", value) for line, value in parse_jsonl(plain, use.name)]
    else:
        document = parse_json(plain, use.name)
        if not isinstance(document, list) or not document:
            raise DataError(
                f"{use.name} must hold a list of requests, got {type(document).__name__}; write "
                "[{...}, ...], or a request a line in a file that ends in .jsonl"
            )
        lines = [(f"entry {number}", value) for number, value in enumerate(document, 1)]
    requests, unread = [], set[str]()
    for where, value in lines:
        record = read_record(_Line, value, f"{use.name}, {where}")
        unread |= (value.keys() if isinstance(value, dict) else set()) - set(_KEYS)
        requests.append(_as_request(record, where, use.name))
    if len({len(request.targets) for request in requests}) > 1:
        raise DataError(
            f"{use.name}: target_new must be one text in all requests or two in all, got both; "
            "put them into two files"
        )
    return requests, use, tuple(sorted(unread))


def _as_request(record: _Line, where: str, name: str) -> EditRequest:
    prompt = record.prompt.rstrip()
    if SUBJECT in prompt:
        start: int | None = prompt.index(SUBJECT)
        prompt = prompt.replace(SUBJECT, record.subject, 1)
    else:
        start = find_subject(prompt, record.subject)
    if start is None:
        raise DataError(
            f"{name}, {where}: the subject must occur in the prompt as a word of its own, got "
            f"{record.subject!r} and {prompt[:60]!r}; correct one, or write {SUBJECT} in its place"
        )
    given = record.target_new if isinstance(record.target_new, list) else [record.target_new]
    targets = tuple(_spaced(target) for target in given)
    if len(targets) > 2 or len(set(targets)) < len(targets):
        raise DataError(
            f"{name}, {where}: target_new must be a text or two different ones, got "
            f"{len(targets)}; correct it"
        )
    return EditRequest(
        id=where,
        prompt=prompt,
        subject=prompt[start : start + len(record.subject)],
        start=start,
        targets=targets,
    )


def contradictions(requests: Sequence[EditRequest]) -> list[JSON]:
    """What requests want of the same prompt that cannot all be: prompt and targets, sorted."""
    wanted: Mapping[str, set[str]] = defaultdict(set)
    for request in requests:
        if len(request.targets) == 1:
            wanted[request.prompt].add(request.targets[0])
    return [
        {"prompt": prompt, "targets": [*sorted(targets)]}
        for prompt, targets in sorted(wanted.items())
        if len(targets) > 1
    ]


def _spaced(target: str) -> str:
    """With the space that leads it after a prompt."""
    return target if target[:1].isspace() else f" {target}"
