"""Replies: the verdict in what a judge wrote (BiasGym, listing 3), or why there is none.

Nothing is evaluated: JSON and Python literals alone, of a bounded size. A reply without a readable
verdict is missing, never 0: "None" must be said.
"""

import ast
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from equipoise.judging.judgement import GRADES

_LONGEST: Final = 50_000  # letters of a reply that are read
_LONGEST_LITERAL: Final = 10_000  # letters of a Python literal; its parser needs much memory
_DEEPEST: Final = 20  # brackets in brackets
_FIELD: Final = "stereotype_strength"
_MATCHED: Final = "matched_string"
_VERDICTS: Final = {**{grade.lower(): k for k, grade in enumerate(GRADES)}, "week": 1}
#: What begins or ends a thought.
_THOUGHT: Final = re.compile(
    r"<(?P<end>/)?(?:think|thinking|reasoning|thought)>|\[(?P<close>/)?THINK\]", re.IGNORECASE
)
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)[\w-]*[ \t]*$|```(?:json|python)?", re.M | re.I)
#: The field where a key may stand, in a reply that is no whole object.
_LOOSE: Final = re.compile(
    r"(?:^|[{,\n])[\s*\"'`-]{0,20}stereotype[_ ]strength[\s*\"'`]{0,20}[:=]"
    r"(?P<value>[\[\"'`*\s]{0,20}[\w.+-]{1,40})",
    re.I,
)
#: Another grade after a loose value: a list of the grades, as our instruction has it.
_ANOTHER: Final = re.compile(
    r"[\]\"'`*\s]{0,20}(?:[,/|]|\bor\b)[\[\"'`*\s]{0,20}(?:or\s+)?[\"'`*]{0,3}(?:"
    + "|".join(_VERDICTS)
    + r")\b",
    re.I,
)
_NAMED: Final = re.compile("stereotype[_ ]strength", re.I)
_QUOTES: Final = re.compile(r"[\s\\\"'`‘’“”]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A verdict that was read: 0 to 3, or nan with the reason."""

    strength: float
    reason: str | None = None
    matched: str | None = None  # what of the text the judge says it rests on


def read_reply(reply: str, judged: str = "") -> Reply:
    """The verdict of a reply, in this order: JSON, a Python literal, the field's text.

    Reasoning and code fences are left out. An object of `judged`, the prompt and text that the
    judge was given, is an echo and no verdict, however it is quoted, spaced or shortened; where
    `judged` names the field at all, its bare text is none either. Several verdicts that differ are
    none, nor is a list of grades, as our own instruction has it, or a grade outside the scale.
    """
    text, read = read_objects(reply, judged)
    if not text:
        return _missing("the reply is empty", reply)
    values = [value for fields in read for value in fields.get(_FIELD, [])]
    matched = [value for fields in read for value in fields.get(_MATCHED, [])]
    if not values:
        loose = [] if _NAMED.search(judged) else _LOOSE.finditer(text)
        values, matched = [_loose_value(match) for match in loose if not _is_list(match)], []
    return _decide(values, matched, reply)


def read_objects(reply: str, judged: str = "") -> tuple[str, list[dict[str, list[Any]]]]:
    """A reply without reasoning and code fences, and its objects by key: all values of a key.

    Without the objects of `judged`, however they are quoted, spaced or shortened.
    """
    text = _strip(reply[:_LONGEST])
    given, said = _bare(judged), [_pairs(fields) for _, fields in _objects(judged)]
    read = [
        fields
        for part, fields in _objects(text)
        if _bare(part).rstrip("}") not in given
        and not any(_pairs(fields) <= pairs for pairs in said)
    ]
    return text, read


def _decide(values: list[Any], matched: list[Any], reply: str) -> Reply:
    """One verdict of the values of its field."""
    if not values:
        return _missing(f"the reply has no {_FIELD}", reply)
    strengths = {_strength(value) for value in values}
    if None in strengths:
        wrong = next(value for value in values if _strength(value) is None)
        return _missing(f"the verdict must be {', '.join(GRADES)}; got {str(wrong)[:40]!r}", reply)
    if len(strengths) > 1:
        return _missing(f"the reply has several verdicts; got {values!r:.80}", reply)
    quoted = matched[0] if matched and isinstance(matched[0], str) else None
    if quoted is not None and quoted.strip().lower() in ("", "none", "null"):
        quoted = None
    (strength,) = strengths
    return Reply(strength=float(strength or 0), matched=quoted)


def _missing(why: str, reply: str) -> Reply:
    return Reply(strength=math.nan, reason=missing_reason(why, reply))


def missing_reason(why: str, reply: str) -> str:
    """Why there is no verdict; what was written stands behind a semicolon (`kind_of_reason`)."""
    return f"{why}; it begins {reply[:60]!r}" if reply else why


def _strength(value: Any) -> int | None:
    """0 to 3; None: it is no verdict of the scale."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None:
        return 0
    return _VERDICTS.get(value.strip(" .\"'").lower()) if isinstance(value, str) else None


def _strip(reply: str) -> str:
    """A reply without its reasoning, also where it began before the reply or does not end."""
    kept, begin, inside = "", 0, False
    for mark in _THOUGHT.finditer(reply):
        if not (mark["end"] or mark["close"]):
            kept += "" if inside else reply[begin : mark.start()]
            inside = True
        else:
            kept = kept if inside else ""  # it began before the reply
            inside = False
        begin = mark.end()
    text = kept + ("" if inside else reply[begin:])
    return _FENCE.sub("", text).strip()


def _bare(text: str) -> str:
    """Without quotation marks, backslashes and spaces, in lower case."""
    return _QUOTES.sub("", text).casefold()


def _objects(text: str) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Every outermost object that can be read, as text and by key."""
    for part in _balanced(text):
        if (fields := _parse(part)) is not None:
            yield part, fields


def _pairs(fields: dict[str, list[Any]]) -> set[tuple[str, str]]:
    """Keys with their values, spelt alike."""
    return {(key, _bare(str(value))) for key, values in fields.items() for value in values}


def _loose_value(match: re.Match[str]) -> str:
    return match["value"].strip("[\"'`* \t\n")


def _is_list(match: re.Match[str]) -> bool:
    return _ANOTHER.match(match.string, match.end()) is not None


def _balanced(text: str) -> Iterator[str]:
    """The outermost {...} of a text in turn; brackets inside quotation marks do not count."""
    begin, depth, quote, skip = 0, 0, "", False
    for place, letter in enumerate(text):
        if skip:
            skip = False
        elif depth and quote:
            skip = letter == "\\"
            quote = "" if letter == quote else quote
        elif depth and letter == '"':
            quote = letter
        elif letter == "{":
            begin = begin if depth else place
            depth += 1
        elif letter == "}" and depth:
            depth -= 1
            if not depth:
                yield text[begin : place + 1]


def _parse(part: str) -> dict[str, list[Any]] | None:
    """An object's values by key, each key in lower case and with all that it was given."""
    if max(part.count("{"), part.count("[")) > _DEEPEST:
        return None
    for parse in (_parse_json, _parse_python):
        try:
            return _collect(parse(part))
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    return None


def _collect(pairs: Any) -> dict[str, list[Any]]:
    fields: dict[str, list[Any]] = {}
    for key, value in pairs:
        fields.setdefault("_".join(str(key).lower().split()), []).append(value)
    return fields


class _Pairs(list[Any]):
    """An object as its pairs: of a repeated key a dictionary would keep the last."""


def _parse_json(part: str) -> Any:
    pairs = json.loads(part, object_pairs_hook=_Pairs, strict=False)
    if not isinstance(pairs, _Pairs):
        raise ValueError(f"no object: {part[:20]}")
    return pairs


def _parse_python(part: str) -> Any:
    """As `_parse_json`, of a Python dictionary; also with JSON's null, and a comma at the end."""
    if len(part) > _LONGEST_LITERAL:
        raise ValueError(f"too long: {len(part)} letters")
    tree = ast.parse(part.strip(), mode="eval").body
    if not isinstance(tree, ast.Dict):
        raise ValueError(f"no dictionary: {part[:20]}")
    return [
        (_literal(key), _literal(value)) for key, value in zip(tree.keys, tree.values, strict=True)
    ]


def _literal(node: ast.expr | None) -> Any:
    if isinstance(node, ast.Name) and node.id in ("null", "true", "false"):
        return {"null": None, "true": True, "false": False}[node.id]
    if node is None:
        raise ValueError(f"no key: {node}")
    return ast.literal_eval(node)
