"""A file of checkpoints, a line each, which an operator keeps where the database's administrator cannot reach it.

It is only ever added to. A line is on disk before the next one is written.
"""

import asyncio
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from strongroom.core.errors import InvalidInput, Unavailable
from strongroom.core.storage.database import Database
from strongroom.core.transparency.checkpoint import Checkpoint, document_of, parse_checkpoint
from strongroom.core.transparency.store import load_checkpoints

CHUNK: Final = 500


class CheckpointFileUnusable(Unavailable):
    """The file cannot be read or written."""

    code = "checkpoint_file_unusable"


class CheckpointFile:
    """The checkpoints of several ledgers, in one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Checkpoint] = {}
        self._is_read = False

    def last(self, ledger: str) -> Checkpoint | None:
        """The last one of the ledger. Raises: CheckpointFileUnusable."""
        if not self._is_read:
            self._known |= {one.ledger: one for one in read_checkpoints(self.path)}
            self._is_read = True
        return self._known.get(ledger)

    async def catch_up(self, database: Database, ledger: str) -> None:
        """Adds every stored checkpoint after the last one that it has. Raises: CheckpointFileUnusable."""
        while True:
            known = await asyncio.to_thread(self.last, ledger)
            after = 0 if known is None else known.number
            load = partial(load_checkpoints, ledger=ledger, after=after, limit=CHUNK)
            found = await database.read(load)
            if not found:
                return
            made = [one.checkpoint for one in found]
            await asyncio.to_thread(self._append, made)

    def _append(self, made: list[Checkpoint]) -> None:
        lines = b"".join(msgspec.json.encode(document_of(one)) + b"\n" for one in made)
        try:
            with self.path.open("a+b", buffering=0) as file:
                if file.tell() and not _ends_whole(self.path):
                    lines = b"\n" + lines
                written = file.write(lines)
                os.fsync(file.fileno())
        except OSError as error:
            raise _unusable(self.path, error) from error
        if written != len(lines):
            raise CheckpointFileUnusable(f"{self.path} took a part of what was written: is its disk full?")
        for one in made:
            self._known[one.ledger] = one


def read_checkpoints(path: Path) -> list[Checkpoint]:
    """Those in a file, in its order; none if it does not exist. Lines that were not written whole are passed over.

    Raises:
        CheckpointFileUnusable: it cannot be read, or has something else.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(path, error) from error
    found = list[Checkpoint]()
    for line in lines:
        with suppress(InvalidInput):
            found.append(parse_checkpoint(line))
    if lines and not found:
        raise CheckpointFileUnusable(f"{path} has no checkpoint in it")
    return found


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def _unusable(path: Path, error: OSError) -> CheckpointFileUnusable:
    return CheckpointFileUnusable(f"The file of checkpoints {path} cannot be used: {error.strerror}")
