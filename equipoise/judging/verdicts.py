"""Verdicts: what a judge wrote on a scale of verdicts, or why there is none.

As `replies` reads grades: nothing is evaluated, what repeats the judged text is no verdict, and
what cannot be read is missing.
"""

import math
import re
from typing import Any, Final

from equipoise.judging.judgement import Judgement
from equipoise.judging.replies import missing_reason, read_objects
from equipoise.judging.verdict_scales import VerdictScale

FIELD: Final = "verdict"
_FIELDS: Final = (FIELD, "rating", "score")
#: In a reply that is no object: the field, or the brackets that MT-bench's judges are asked for.
_LOOSE: Final = re.compile(
    r"(?:verdict|rating|score)[\s*\"'`]{0,10}[:=][\s*\"'`\[]{0,10}"
    r"(?P<value>\w[\w.]{0,30}(?:\s*/\s*\d{1,4})?)"  # a number of another scale is none of this
    r"|\[\[\s*(?P<bracket>[\w.]{1,30})\s*\]\]",
    re.I,
)
_NUMBER: Final = re.compile(r"(?P<number>\d{1,4}(?:\.\d{1,4})?)(?:\s*/\s*10)?")


def read_verdict(reply: str, scale: VerdictScale, judged: str = "") -> Judgement:
    """The verdict in a reply: of an object's field, of the bare field, or the reply as a whole.

    A rating may lie between two others ("7.5", "8/10"). `judged`: what the judge was given, whose
    own objects, fields and brackets are no verdict. Several verdicts that differ are none.
    """
    text, objects = read_objects(reply, judged)
    if not text:
        return _missing("the reply is empty", reply)
    values = [value for fields in objects for name in _FIELDS for value in fields.get(name, [])]
    if not values and not _LOOSE.search(judged):
        values = [match["value"] or match["bracket"] for match in _LOOSE.finditer(text)]
    if not values and _label(text, scale) is not None:
        values = [text]
    if not values:
        return _missing(f"the reply has no {FIELD}", reply)
    labels = {_label(value, scale) for value in values}
    if None in labels:
        wrong = next(value for value in values if _label(value, scale) is None)
        ends = f"{scale.verdicts[0]} to {scale.verdicts[-1]}"
        known = ends if scale.rating else ", ".join(scale.verdicts)
        return _missing(f"the verdict must be {known}; got {str(wrong)[:40]!r}", reply)
    if len(labels) > 1:
        return _missing(f"the reply has several verdicts; got {values!r:.80}", reply)
    (label,) = labels
    return Judgement(strength=_value(str(label), scale), verdict=label)


def _label(value: Any, scale: VerdictScale) -> str | None:
    """A verdict as the scale writes it; None: it is none of the scale."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip(" .\"'*`\n").casefold()
    if not scale.rating:
        return text if text in scale.verdicts else None
    match = _NUMBER.fullmatch(text)
    if match is None or not scale.values[0] <= float(match["number"]) <= scale.values[-1]:
        return None
    return f"{float(match['number']):g}"


def _value(label: str, scale: VerdictScale) -> float:
    return float(label) if scale.rating else scale.values[scale.verdicts.index(label)]


def _missing(why: str, reply: str) -> Judgement:
    return Judgement(strength=math.nan, reason=missing_reason(why, reply))
