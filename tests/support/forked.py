"""Programs that the zygote forks, with the part of `subprocess.Popen` that the tests use."""

import atexit
import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

NUMBER = struct.calcsize("i")


class Zygote:
    """The zygote of this process. It ends when this process does."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "support.zygote", str(theirs.fileno())],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self._end)

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None) -> "Forked":
        request = {
            "arguments": list(arguments),
            "environment": dict(environment),
            "folder": str(folder or Path.cwd()),
        }
        pipes = [os.pipe() for _ in range(3)]
        ours, theirs = [pipe[0] for pipe in pipes], [pipe[1] for pipe in pipes]
        try:
            socket.send_fds(self._channel, [json.dumps(request).encode()], theirs)
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Forked(*ours)

    def _end(self) -> None:
        self._channel.close()
        self._process.wait()


class Forked:
    """A running program. `pid`, `poll`, `wait` and the signals are as those of `subprocess.Popen`."""

    def __init__(self, out: int, err: int, report: int) -> None:
        self.stdout: IO[str] | None = open(out, errors="replace", encoding="utf-8")  # noqa: SIM115 - its reader closes it
        self.stderr: IO[str] | None = open(err, errors="replace", encoding="utf-8")  # noqa: SIM115
        self._report = report
        self._lock = threading.Lock()
        self._status: int | None = None
        self.pid = self._read_number()

    def poll(self) -> int | None:
        with self._lock:
            if self._status is None and select.select([self._report], [], [], 0)[0]:
                self._status = self._read_number()
                os.close(self._report)
            return self._status

    def wait(self, timeout: float | None = None) -> int:
        if self.poll() is None and not select.select([self._report], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("strongroom", timeout or 0.0)
        status = self.poll()
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _read_number(self) -> int:
        data = os.read(self._report, NUMBER)
        assert len(data) == NUMBER, "the zygote has ended"
        number: int = struct.unpack("i", data)[0]
        return number


@cache
def zygote(environment: tuple[tuple[str, str], ...]) -> Zygote:
    """One for each process of the tests, which its first program starts."""
    return Zygote(dict(environment))
