"""Edits of a study as separate folders, each with a model card that has its numbers.

The step's own files are not changed; the copies are hard links where the disk allows it.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from equipoise.conclusions import Comparison
from equipoise.edits.base import write_card
from equipoise.files.atomic import new_folder
from equipoise.study.store import Store, as_place_error, remove_unfinished
from equipoise.study.study import Chapter

PUBLISHED = "edits"


def edits_by_seed(chapter: Chapter) -> Iterator[tuple[int, Path, tuple[Comparison, ...]]]:
    """Seed, folder in the store and comparisons of each edit of a chapter."""
    for edit in chapter.edits:
        own_comparisons = tuple(
            alone
            for comparison in chapter.comparisons
            for alone in compare_one_edit(comparison, str(edit["content"]))
        )
        yield int(str(edit["seed"])), Path(str(edit["folder"])), own_comparisons


def publish(store: Store, name: str, edit: Path, changes: str | None) -> Path:
    """Copy an edit to `edits/name` with a new model card; returns the folder.

    Characters of a name other than letters, digits and "._-" are replaced and a few digits of its
    hash are added, so that two names never share a folder. `edit`: its folder in the store. Hold
    the store's lock "publishing".
    Raises `PlaceError` when it cannot be written.
    """
    # most disks take names of 255 bytes at most; "." and ".." would be other folders
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:100].strip("._-") or "edit"
    if plain != name:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
        plain = f"{plain}-{digest[:6]}"
    place = store.folder / PUBLISHED / plain
    with as_place_error(store.folder):
        remove_unfinished(place)
        with new_folder(place, what="edit") as beside:
            shutil.copytree(store.folder / edit, beside, copy_function=_link, dirs_exist_ok=True)
            # renamed into place, so that the card of the step, to which this card is a link, stays
            write_card(beside, changes)
            # last: without a copy and a card that are whole the old folder stays
            shutil.rmtree(place, ignore_errors=True)
    return place


def compare_one_edit(comparison: Comparison, content: str) -> Iterator[Comparison]:
    """The comparison of an edit, by its content hash, out of that of several seeds."""
    for index, after in enumerate(comparison.afters):
        edits = after.model_info.get("edits")
        last = edits[-1] if isinstance(edits, list) and edits else None
        if isinstance(last, dict) and last.get("content") == content:
            yield comparison.of_seed(index)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a disk without links
        shutil.copy2(source, target)
