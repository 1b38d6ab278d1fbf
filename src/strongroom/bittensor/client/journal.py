"""Stores the requests whose outcome is not known, so that a restart of the node does not forget them.

Without it, a node that asks again after a lost answer could sign the same weights a second time with its own wallet.
"""

import hashlib
import json
import logging
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    key: str
    """Idempotency-Key of the request; empty for an attempt by the local wallet, which has none."""
    digest: str
    """Digest of the request's body: the same body again is the same request."""
    until_ms: int
    """After this it can no longer be included: it is not followed any further."""
    sent_ms: int = 0


class Journal:
    """Has one small file for each slot, which is replaced as a whole, so that several nodes may share the folder. None: in memory."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._pending: dict[str, Pending] = {}

    def get(self, slot: str) -> Pending | None:
        if slot in self._pending or self._folder is None:
            return self._pending.get(slot)
        path = self._path(self._folder, slot)
        try:
            return Pending(**json.loads(path.read_text()))  # noqa: TID251 - a client has the standard library only
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            log.warning("%s cannot be read (%s): what it tells of is not followed", path, error)
            return None

    def put(self, slot: str, pending: Pending) -> None:
        self._pending[slot] = pending
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor, name = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(descriptor, "w") as file:
                    json.dump(asdict(pending), file)
                    file.flush()
                    os.fsync(file.fileno())
                Path(name).replace(self._path(self._folder, slot))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            log.warning("%s cannot be written (%s): a restart forgets what is under way", self._folder, error)

    def remove(self, slot: str) -> None:
        self._pending.pop(slot, None)
        if self._folder is not None:
            try:
                self._path(self._folder, slot).unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s cannot be cleared: %s", self._folder, error)

    @staticmethod
    def _path(folder: Path, slot: str) -> Path:
        return folder / f"{hashlib.sha256(slot.encode()).hexdigest()[:32]}.json"
