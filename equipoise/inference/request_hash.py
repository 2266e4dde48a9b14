"""A hash of all that a measurement asked, by which two of them are known to have asked alike."""

import hashlib
import json
from collections.abc import Sequence

from equipoise.records import Example, Request

_LATER = ("greedy", "sample", "min_tokens", "top_k", "repetition_penalty")  # not in older hashes


def hash_requests(examples: Sequence[Example], requests: Sequence[Sequence[Request]]) -> str:
    """sha256 (hex) of the canonical JSON of all ids and requests."""
    digest = hashlib.sha256()
    written: dict[int, str] = {}  # examples may share request objects, by the thousand
    for example, asks in zip(examples, requests, strict=True):
        for request in asks:
            if id(request) not in written:
                written[id(request)] = describe_request(request)
        row = ",".join([json.dumps(example.id), *(written[id(request)] for request in asks)])
        digest.update(f"[{row}]\n".encode())
    return digest.hexdigest()


def describe_request(request: Request) -> str:
    """Kind and fields as canonical JSON; later fields only where they are asked for."""
    values = {name: getattr(request, name) for name in request.__dataclass_fields__}
    for name in values.keys() & _LATER:  # else what was asked before would not compare
        if values[name] == request.__dataclass_fields__[name].default:
            del values[name]
    values["kind"] = type(request).__name__
    return json.dumps(values, sort_keys=True, separators=(",", ":"))
