"""Temporary folders in memory: a commit to SQLite, or a new table of MariaDB, waits for no disk there."""

import os
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - tempfile makes the names in it
ENOUGH_BYTES = 4 << 30


def prefer_memory() -> None:
    """Temporary folders of this process are made in memory, unless TMPDIR names a place or memory is short."""
    if "TMPDIR" not in os.environ and _is_fit(SHARED_MEMORY):
        tempfile.tempdir = str(SHARED_MEMORY)


def _is_fit(folder: Path) -> bool:
    """Containers get little of it by default, and may run no program from it."""
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        return False
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize >= ENOUGH_BYTES and not found.f_flag & os.ST_NOEXEC
