"""Turns between the processes that share the tests."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def one_process_at_a_time(folder: Path) -> Iterator[None]:
    """For what is made once in a folder and used by all: waits for whoever is at it. The folder may be emptied inside."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
