"""Records as JSON and back, without loss: nan and infinities are "NaN", "Infinity", "-Infinity".

Results for other programs have null for nan (`study.results`); these files are the store's own.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from equipoise.errors import StoreError

T = TypeVar("T")


def record_json(record: object) -> str:
    """A record, or a tuple or mapping of them, as strict JSON.

    Raises `ValueError` for a value that is not plain data.
    """
    return to_json(record, indent=1, inf_nan_mode="strings").decode()


def write_record(file: Path, record: object) -> None:
    """Write `record_json` of a record."""
    file.write_text(record_json(record) + "\n", encoding="utf-8")


def read_record(file: Path, adapter: TypeAdapter[T]) -> T:
    """Read what `write_record` wrote. Raises `StoreError` naming the file."""
    try:
        return adapter.validate_json(file.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{file} must be there, it is missing; run the recipe again") from None
    except OSError as error:
        why = str(error)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        why = f"{first['msg']} (at '{place}')" if place else first["msg"]
    raise StoreError(
        f"{file} must be readable, got: {why}; run the recipe again, which redoes this step"
    )


def read_json(file: Path) -> Any:
    """The JSON in a file. Raises `StoreError` naming the file: missing or cut."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"'{file}' must be there, it is missing; check the path") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(
            f"{file} must be JSON, got: {error}; it may be cut short, copy it again"
        ) from error


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `StoreError` naming the file: missing, cut or no object."""
    document = read_json(file)
    if not isinstance(document, dict):
        raise StoreError(f"{file} must hold an object, got {type(document).__name__}; check it")
    return document
