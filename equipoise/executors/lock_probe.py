"""Whether locks hold on the disk of a store: without them two workers would do the same step."""

import fcntl
import subprocess
import sys
from typing import Final

from equipoise.errors import PlaceError
from equipoise.study.store import Store

#: What another process does: it ends with 1 where it gets the lock that is held here.
_TRY: Final = """\
import fcntl, sys
try:
    fcntl.flock(open(sys.argv[1], "a"), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
sys.exit(1)
"""


def check_locks(store: Store) -> None:
    """Raise `PlaceError` where a lock cannot be taken, or another process gets it, too."""
    file = store.folder / "locks" / "probe.lock"
    try:
        with file.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            tried = subprocess.run([sys.executable, "-c", _TRY, str(file)], check=False)
        held = tried.returncode == 0
        why = "" if held else "a lock that one process held was given to another"
    except OSError as error:
        held, why = False, str(error.strerror)
    if not held:
        raise PlaceError(
            f"the disk of {store.folder} must have locks between processes, got: {why}; put the "
            "study on another disk with --out, or leave --on out"
        )
