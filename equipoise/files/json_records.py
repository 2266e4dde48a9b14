"""Findings as JSON and back, without loss: nan and infinities are the texts "nan", "inf", "-inf".

Results for other programs have null for nan (`results`); these files are the store's own.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from equipoise.errors import StoreError
from equipoise.records import JSON

T = TypeVar("T")


def to_document(value: Any) -> JSON:
    """A record, or a tuple or mapping of them, as strict JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: to_document(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(key): to_document(one) for key, one in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [to_document(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a record holds plain values, got {value!r}")


def write_document(file: Path, value: Any) -> None:
    """Write a record as JSON."""
    text = json.dumps(to_document(value), indent=1, allow_nan=False, ensure_ascii=True)
    file.write_text(text + "\n", encoding="utf-8")


def read_document(file: Path, adapter: TypeAdapter[T]) -> T:
    """Read what `write_document` wrote. Raises `StoreError` naming the file."""
    try:
        return adapter.validate_json(file.read_bytes())
    except FileNotFoundError:
        raise StoreError(f"{file} must be there, it is missing; run the recipe again") from None
    except (OSError, ValidationError) as error:
        why = str(error).splitlines()[0]
        raise StoreError(
            f"{file} must be readable, got: {why}; run the recipe again, which redoes this step"
        ) from error


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises `StoreError` naming the file: missing, cut or no object."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"'{file}' must be there, it is missing; check the path") from None
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{file} must be JSON, got: {error}; it may be cut short, copy it again"
        ) from error
    if not isinstance(document, dict):
        raise StoreError(f"{file} must hold an object, got {type(document).__name__}; check it")
    return document
