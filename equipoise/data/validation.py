"""Official files against the records of their format: what is wrong and where.

Benchmark files hold offensive text, so an error shows what kind of value stands in a place, and a
value itself only where it is a number or a known word.
"""

from collections.abc import Iterable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError

from equipoise.data.sources import REMEDY
from equipoise.errors import DataError
from equipoise.files.parsing import parse_jsonl
from equipoise.records import JSON

R = TypeVar("R", bound=BaseModel)


def refuse_blank(text: str) -> str:
    """The text. Raises `ValueError` where it is nothing but white space."""
    if not text.strip():
        raise ValueError(f"must be a text that is not blank, got {kind_of(text)}")
    return text


Text = Annotated[str, AfterValidator(refuse_blank)]  # not blank; white space at the ends is kept


def _number_text(number: object) -> str:
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).strip():
        raise ValueError(f"must be a number, got {kind_of(number)}")
    return str(number)


Number = Annotated[str, BeforeValidator(_number_text)]  # some copies spell numbers as texts


class Record(BaseModel):
    """A row, an example or a document of an official file; other keys of it are not read."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


def read_record(record: type[R], value: JSON, where: str) -> R:
    """A JSON value as a record.

    `where`: what an error calls it, such as "bbq/Age.jsonl, line 3". Raises `DataError` naming
    the place of the first fault, what must stand there, and what kind of value does.
    """
    try:
        return record.model_validate(value)
    except ValidationError as error:
        raise DataError(f"{where}{_fault(error)}; {REMEDY}") from None


def read_lines(record: type[R], content: bytes, name: str) -> list[tuple[int, R]]:
    """JSON lines as records, each with its line's number from 1; errors as of `read_record`."""
    return [
        (line, read_record(record, value, f"{name}, line {line}"))
        for line, value in parse_jsonl(content, name)
    ]


def refuse_repeated(ids: Iterable[str], what: str) -> None:
    """Raise `DataError` for the first id that is there twice; `what` is what it is called."""
    seen: set[str] = set()
    for id in ids:
        if id in seen:
            raise DataError(f"{what} '{id}' must be there once, got it twice; {REMEDY}")
        seen.add(id)


def kind_of(value: object) -> str:
    """A wrong value as an error shows it: numbers whole, of anything else its kind alone."""
    if isinstance(value, str):
        return "a text" if value.strip() else "a blank text"
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else repr(value)


_MUST = {
    "model_type": "must be an object",
    "dict_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "string_type": "must be a text",
    "finite_number": "must be a finite number",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "extra_forbidden": "must not be there",
}


def _fault(error: ValidationError) -> str:
    """The first fault, its place before it: ", data[0].id must be a text, got 3"."""
    first = error.errors(include_url=False)[0]
    given, context = first["input"], first.get("ctx", {})
    place = _place_text(first["loc"])
    match first["type"]:
        case "missing" if isinstance(given, list):
            return f"{place} must be there, got {len(given)} entries"
        case "missing":
            key = first["loc"][-1]
            return f"{_place_text(first['loc'][:-1])} must have a key '{key}', got {sorted(given)}"
        case "too_short" | "too_long":
            wanted = context.get("min_length", context.get("max_length"))
            return f"{place} must have {wanted} entries, got {len(given)}"
        case "literal_error":
            shown = repr(given)[:40] if isinstance(given, str) else kind_of(given)
            return f"{place} must be {context['expected']}, got {shown}"
        case "value_error":  # of a validator of ours, which says what it got
            return f"{place} {context['error']}"
        case kind:
            message = _MUST.get(kind, first["msg"].replace("Input should", "must"))
            return f"{place} {message}, got {kind_of(given)}"


def _place_text(path: tuple[int | str, ...]) -> str:
    """A path as Python would write it, after a comma: ", sentences[0].gold_label"."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f", {text.removeprefix('.')}" if text else ""
