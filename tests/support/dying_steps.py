"""Kills the program that it is in at one of its steps, as `kill -9` does from outside.

A step is a statement that is sent, a statement that is answered, or a change of files: a file is opened to write, linked, renamed
or removed, a folder is made or removed, a program is started.
"""

import os
import signal
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

DIES_AT = "DIES_AT_STEP"
"""The variable with the number of the step, from 1; 0: the program runs to its end."""
COUNTER = "STEP_COUNTER"
"""The variable with the file that gets the number of the last step."""
FILES = frozenset(
    {"os.link", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "subprocess.Popen"}
)
WRITING = os.O_WRONLY | os.O_RDWR


def arm(environment: MutableMapping[str, str]) -> None:
    """Takes its variables out of the environment, so that the program does not see them."""
    dies_at, counter = environment.pop(DIES_AT, None), environment.pop(COUNTER, None)
    if dies_at is not None and counter is not None:
        _Steps(int(dies_at), Path(counter)).watch()


class _Steps:
    def __init__(self, dies_at: int, counter: Path) -> None:
        self._dies_at = dies_at
        self._file = os.open(counter, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        self._done = 0

    def watch(self) -> None:
        from sqlalchemy import Engine, event  # noqa: PLC0415 - the tests import this module without it

        event.listen(Engine, "before_cursor_execute", self._statement)
        event.listen(Engine, "after_cursor_execute", self._statement)
        sys.addaudithook(self._audit)

    def _statement(self, *_: object) -> None:
        self._step()

    def _audit(self, kind: str, arguments: tuple[Any, ...]) -> None:
        if kind in FILES or (kind == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            self._step()

    def _step(self) -> None:
        self._done += 1
        os.pwrite(self._file, str(self._done).encode(), 0)
        if self._done == self._dies_at:
            os.kill(os.getpid(), signal.SIGKILL)
