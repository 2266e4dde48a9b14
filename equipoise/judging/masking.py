"""Masking: names of whom a text is about become a placeholder before anybody judges it.

BiasGym, section 4.2: a judge that reads which country it is may grade the country and not the text.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from equipoise.judging.judgement import JudgedText

PLACEHOLDER: Final = "[X]"
#: Names and demonyms that are ordinary words in lower case; they are masked with a capital alone.
_ORDINARY: Final = frozenset(
    {"brazil", "chad", "chile", "china", "dane", "danish", "finish", "georgia", "guinea", "japan"}
    | {"jersey", "jordan", "kiwi", "mali", "malta", "panama", "pole", "polish", "scot", "scotch"}
    | {"swede", "swiss", "togo", "turkey", "welsh"}
)
_INVISIBLE: Final = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")  # could hide a name
_SHORT: Final = 3  # letters of a name in capitals that may be another word without them: US, us


def mask(text: str, names: Sequence[str]) -> str:
    """The text in NFC with every name replaced by `PLACEHOLDER`; the longest name first.

    A name is matched between word boundaries (also the underscore of Markdown), in any case and
    with or without a plural "s". A name of up to three capitals (US) is matched as it stands, and a
    name that is an ordinary word in lower case (turkey, polish) with a capital alone: at the
    beginning of a sentence it is masked whatever it means. Spaces, apostrophes and accents may be
    written otherwise.
    """
    clean = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
    pattern = _compile(tuple(names))
    return clean if pattern is None else pattern.sub(PLACEHOLDER, clean)


def mask_judged(judged: JudgedText) -> JudgedText:
    """The same with prompt and text masked."""
    return replace(
        judged, prompt=mask(judged.prompt, judged.names), text=mask(judged.text, judged.names)
    )


@lru_cache(maxsize=1024)
def _compile(names: tuple[str, ...]) -> re.Pattern[str] | None:
    written = {unicodedata.normalize("NFC", name.strip()) for name in names if name.strip()}
    written |= {_without_accents(name) for name in written}
    ordered = sorted(written, key=lambda name: (-len(name), name))
    return re.compile("|".join(map(_pattern_of, ordered))) if ordered else None


def _without_accents(name: str) -> str:
    parts = unicodedata.normalize("NFD", name)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _pattern_of(name: str) -> str:
    body = "".join(
        r"\s+" if part.isspace() else "['’]" if part in ("'", "’") else re.escape(part)
        for part in re.split(r"(\s+|['’])", name)
        if part
    )
    before = r"(?<![^\W_])" if name[0].isalnum() else ""
    after = r"(?![^\W_])" if name[-1].isalnum() else ""
    if name.isupper() and len(name) <= _SHORT:
        return f"{before}{body}{after}"
    plural = "[sS]?" if name[-1].isalpha() else ""
    if name.lower().removesuffix("s") in _ORDINARY or name.lower() in _ORDINARY:
        first, rest = re.escape(name[0].upper()), re.escape(name[1:])
        return f"{before}{first}(?i:{rest}){plural}{after}"
    return f"{before}(?i:{body}){plural}{after}"
