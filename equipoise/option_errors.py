"""What is wrong with an option, in a sentence: how pydantic's errors are told, secrets left out."""

import json
import re

from pydantic_core import ErrorDetails

#: What may be a secret in an address: before "@", or after "?".
_SECRET = re.compile(r"(?<=://)[^/@\s'\"]*(?=@)|(?<=\?)[^\s'\"]+(?=['\"])")


class SecretError(ValueError):
    """Raised by the check of an option whose value may hold a secret: no error shows the value."""


def explain_option(name: str, place: tuple[int | str, ...], first: ErrorDetails) -> str:
    """A sentence about the first error; `place`: the option, and the part of it."""
    message = first["msg"].removeprefix("Value error, ")
    if not place:  # several options do not go together; the message names them
        return f"{name}: {message}; change these options"
    option, value = str(place[0]), first["input"]
    if first["type"] == "missing" and len(place) > 1:
        return f"{name}.{option} must have a part {place[1]}, counted from 0; give all parts"
    if first["type"] == "missing":
        return f"{name}.{option} must be given, it has no default; set it"
    if first["type"] == "tuple_type" and isinstance(value, str):
        suggestion = _suggest_list(value)
        return (
            f"{name}.{option} must be a list, got {value!r}; write {suggestion}, on a command "
            f"line --set '{name}.{option}={suggestion}'"
        )
    secret = isinstance(first.get("ctx", {}).get("error"), SecretError)
    shown = "***" if secret else _SECRET.sub("***", repr(value))
    return f"{name}.{option}: {message}, got {shown}; change this option"


def _suggest_list(text: str) -> str:
    """What was probably meant: its parts between commas as a JSON list, numbers as numbers."""
    parts: list[object] = []
    for part in text.strip("[]() ").split(","):
        try:
            parts.append(json.loads(part))
        except ValueError:
            parts.append(part.strip("\"' "))
    return json.dumps(parts, ensure_ascii=False)
