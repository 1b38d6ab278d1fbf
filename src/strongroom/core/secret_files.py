"""Reads files with secrets, and leaves no copy of them in memory but the one that it returns."""

import os
from typing import Final

MAX_BYTES: Final = 1 << 16


def read_secret_file(path: str | os.PathLike[str]) -> str:
    """The whole text. It may be a pipe.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
        ValueError: it is longer than any secret.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_secret(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)


def read_secret(descriptor: int, most: int, *, errors: str = "strict") -> str:
    """Up to the end. A buffered reader would keep what it has read in memory that nothing overwrites. Raises as `read_secret_file`."""
    buffer = bytearray(most + 1)
    with memoryview(buffer) as view:
        try:
            size = 0
            while size <= most and (read := os.readv(descriptor, [view[size:]])):
                size += read
            if size > most:
                raise ValueError(f"it has more than {most} bytes")
            return str(view[:size], "utf-8", errors)
        finally:
            view[:] = bytes(len(view))
