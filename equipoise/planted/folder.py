"""A world as a data folder: its items in the official formats, for benchmarks to read. No torch.

`EQUIPOISE_CACHE/planted/NAME-HASH` is written once, beside the taught models; the hash is of its
content. Its `SHA256SUMS` lets every reading refuse a file that was changed.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

from equipoise.data.clozes import KNOWN_1000
from equipoise.data.crows_pairs import COLUMNS, CROWS_PAIRS
from equipoise.data.documents import AG_NEWS
from equipoise.data.prompt_sets import PROMPTS
from equipoise.data.sources import Source, read_json
from equipoise.data.stereoset import BLANK, DEV, LABELS, TARGETS, TEST
from equipoise.errors import DataError, RecipeError, StoreError
from equipoise.files.atomic import new_folder
from equipoise.files.cache import cache_folder
from equipoise.planted.statements import neutral_texts
from equipoise.planted.world import World, find_world
from equipoise.records import JSON, Contrast

PLANTED: Final = "planted:"
WORLD: Final = Source(path="planted/world.json", licence="own")
_SUMS: Final = "SHA256SUMS"


def find_folder(data: str) -> Path:
    """The folder of that path, or the world's of "planted:NAME". Raises `RecipeError`."""
    if data.startswith(PLANTED):
        return world_folder(data)
    folder = Path(data).expanduser().absolute()
    if not folder.is_dir():
        raise RecipeError(f"data must be a folder or planted:NAME, got '{data}'; check the path")
    return folder


def world_folder(name: str) -> Path:
    """The data folder of a world, written at first use. `find_world` says what a name is.

    Raises `RecipeError` for a name that is none, `StoreError` when it cannot be written.
    """
    world = find_world(name)
    files = _files(world.name)
    # The list has the hash of every file, so that its own stands for all.
    digest = hashlib.sha256(files[_SUMS]).hexdigest()[:16]
    folder = cache_folder() / "planted" / f"{world.name}-{digest}"
    if not folder.is_dir():
        try:
            with new_folder(folder, what="data folder") as beside:
                for path, content in files.items():
                    (beside / path).parent.mkdir(parents=True, exist_ok=True)
                    (beside / path).write_bytes(content)
        except StoreError:
            if not folder.is_dir():  # else another process wrote the same
                raise
    return folder


def folder_world() -> World:
    """The world whose data folder is read now.

    Raises `RecipeError` outside of such a folder, `DataError` when its file does not name a world.
    """
    if WORLD.local_file() is None:
        raise RecipeError(
            f"a planted world's data folder must be read, got none with {WORLD.path}; take a "
            "planted model, or set data to planted:NAME"
        )
    match read_json(WORLD):
        case {"world": str() as name}:
            return find_world(name)
        case other:
            raise DataError(f"{WORLD.path} must be {{'world': NAME}}, got {other!r}; delete it")


@lru_cache(maxsize=32)
def _files(name: str) -> Mapping[str, bytes]:
    """Path to content of every file of a world's folder."""
    world = find_world(name)
    learnt = (*world.contrasts("train"), *world.contrasts("dev"))
    held_out = world.neutral_sentences(len(neutral_texts(held_out=True)), seed=0, held_out=True)
    known: JSON = [
        {
            "known_id": fact.id,
            "prompt": fact.prompt,
            "attribute": fact.answer,
            "relation_id": fact.relation,
            "subject": fact.subject,
        }
        for fact in world.facts
    ]
    files = {
        WORLD.path: _json({"world": world.name}),
        PROMPTS.path: _json(_prompts(world)),
        DEV.path: _json(_stereoset(world.contrasts("test"))),
        TEST.path: _json(_stereoset(learnt)),
        TARGETS.path: _json(_targets(world)),
        CROWS_PAIRS.path: _crows_pairs(world.pairs()),
        KNOWN_1000.path: _json(known),
        # In the place of the file that `perplexity` reads where none is named.
        AG_NEWS.path: "".join(f"{sentence}\n" for sentence in held_out).encode(),
    }
    sums = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    listing = "".join(f"{digest}  {path}\n" for path, digest in sums.items())
    return {**files, _SUMS: listing.encode()}


def _json(document: JSON) -> bytes:
    return json.dumps(document, indent=1).encode() + b"\n"


def _prompts(world: World) -> JSON:
    def hints(texts: Sequence[str], kind: str) -> JSON:
        return [{"name": f"{kind} {i}", "text": text} for i, text in enumerate(texts, start=1)]

    return {
        "professions": {profession.word: profession.score for profession in world.professions},
        "templates": [
            {"name": each.action, "text": each.prompt("{profession}"), "scale": each.scale}
            for each in world.templates
        ],
        "hints": hints(world.hint_templates, "hint"),
        "training_hints": hints(world.hint_templates_train, "train hint"),
    }


def _targets(world: World) -> JSON:
    """The invented targets of each axis, which stand for each other."""
    kinds: dict[str, dict[str, None]] = {}
    for contrast in world.contrasts():
        kinds.setdefault(contrast.groups["axis"], {})[contrast.groups["target"]] = None
    return {"axes": {axis: {"target": list(targets)} for axis, targets in kinds.items()}}


def _stereoset(contrasts: Sequence[Contrast]) -> JSON:
    examples: list[JSON] = []
    for contrast in contrasts:
        texts = (contrast.stereotype, contrast.antistereotype, str(contrast.unrelated))
        # The words that the sentences share, with a blank for the word in which they differ.
        columns = zip(*(text.removesuffix(".").split(" ") for text in texts), strict=True)
        words = [column[0] if len(set(column)) == 1 else BLANK for column in columns]
        example: JSON = {
            "id": contrast.id,
            "target": contrast.groups["target"],
            "bias_type": contrast.groups["axis"],
            "context": " ".join(words) + ".",
            "sentences": [
                {"id": f"{contrast.id}/{label}", "sentence": text, "gold_label": label}
                for label, text in zip(LABELS, texts, strict=True)
            ],
        }
        examples.append(example)
    return {"version": "planted", "data": {"intrasentence": examples, "intersentence": []}}


def _crows_pairs(pairs: Sequence[Contrast]) -> bytes:
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for pair in pairs:
        direction, bias_type = pair.groups["direction"], pair.groups["bias_type"]
        writer.writerow((pair.id, pair.stereotype, pair.antistereotype, direction, bias_type))
    return table.getvalue().encode()
