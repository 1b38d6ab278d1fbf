"""The confirmed transactions of a sandbox in a file, one JSON line each, so that it survives a restart."""

from collections.abc import Iterator
from pathlib import Path

from strongroom.atto.protocol import Transaction, decode_transaction, encode_transaction


class Journal:
    """Append-only. One process at a time; the genesis block is not in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._drop_torn_line()
        self._file = path.open("ab", buffering=0)

    def read(self) -> Iterator[Transaction]:
        """In the order they were confirmed.

        Raises:
            ProtocolError: a line is not a transaction.
        """
        with self._path.open("rb") as lines:
            for line in lines:
                yield decode_transaction(line)

    def append(self, transaction: Transaction) -> None:
        """Writes the line without flushing it to the disk, so it survives the end of the process, but not of the machine."""
        self._file.write(encode_transaction(transaction) + b"\n")

    def close(self) -> None:
        self._file.close()

    def _drop_torn_line(self) -> None:
        """Removes an incomplete last line, which a process leaves that is killed while it writes."""
        self._path.touch()
        data = self._path.read_bytes()
        if not data.endswith(b"\n"):
            with self._path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)
