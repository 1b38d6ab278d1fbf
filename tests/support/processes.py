"""Real processes under test: started, watched by what they print, stopped or killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

from support.forked import Forked
from support.forked import zygote as zygote_with

OURS = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
READY_S = 120.0
END_S = 60.0
KEPT = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
"""The last one is there when scripts/coverage runs the tests: the processes are measured too."""
AT_START = ("COVERAGE", "LC_", "LD_", "PYTHON")
"""Variables that the interpreter or the loader reads when it starts: with one of these a program is not forked."""


class Process:
    """A running program. Use it as a context manager: it never outlives the test."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = Path(arguments[0]).name
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._news = threading.Condition()
        self._process = self._start(arguments, _clean_environment() | dict(environment or {}), folder)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            self._start_reader(self._process.stdout, self._stdout),
            self._start_reader(self._process.stderr, self._stderr),
        ]

    def _start(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None
    ) -> "subprocess.Popen[str] | Forked":
        return subprocess.Popen(
            arguments,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def stdout(self) -> list[str]:
        with self._news:
            return list(self._stdout)

    @property
    def stderr(self) -> list[str]:
        with self._news:
            return list(self._stderr)

    def wait_for(self, text: str, timeout_s: float = READY_S, *, at_start: bool = False) -> str:
        """The first line printed, on either stream, that holds `text`; fails with the whole log when none comes.

        `at_start`: that begins with it.
        """

        def line() -> str | None:
            return next(
                (
                    line
                    for line in self._stdout + self._stderr
                    if (line.startswith(text) if at_start else text in line)
                ),
                None,
            )

        with self._news:
            self._news.wait_for(lambda: line() is not None or self._silent(), timeout_s)
            found = line()
        assert found is not None, f"{self.name} did not print {text!r}:\n{self.logs()}"
        return found

    def wait_ready(self, timeout_s: float = READY_S) -> str:
        """The line that says that everything is served, with its URLs."""
        return self.wait_for("ready ", timeout_s, at_start=True)  # not: address already in use

    def wait_end(self, timeout_s: float = END_S) -> int:
        """Exit status; negative is the signal that ended it."""
        try:
            status = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end in {timeout_s} s:\n{self.logs()}") from None
        self._drain()
        return status

    def terminate(self, timeout_s: float = END_S) -> int:
        """Asks it to end (SIGTERM) and returns its exit status."""
        self._process.terminate()
        return self.wait_end(timeout_s)

    def kill(self) -> None:
        """Ends it without a chance to tidy up (SIGKILL)."""
        self._process.kill()
        self._process.wait()
        self._drain()

    def pause(self) -> None:
        """Stops it where it stands (SIGSTOP): connections to it stay open and silent."""
        self._process.send_signal(signal.SIGSTOP)
        deadline_s = time.monotonic() + END_S
        while not self._is_stopped():
            assert time.monotonic() < deadline_s, f"{self.name} does not stop"
            time.sleep(0.001)  # a busy machine delivers it later

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _is_stopped(self) -> bool:
        """Whether every thread of it stands still."""
        states = []
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has ended meanwhile
                states.append((thread / "stat").read_text().rpartition(")")[2].split()[0])
        return set(states) <= {"T", "t"}

    def logs(self) -> str:
        with self._news:
            return "\n".join(["-- stdout", *self._stdout, "-- stderr", *self._stderr])

    def _start_reader(self, stream: IO[str], lines: list[str]) -> threading.Thread:
        def collect() -> None:
            for line in stream:
                with self._news:
                    lines.append(line.rstrip("\n"))
                    self._news.notify_all()
            stream.close()
            with self._news:
                self._news.notify_all()

        thread = threading.Thread(target=collect, name=f"{self.name}-output", daemon=True)
        thread.start()
        return thread

    def _silent(self) -> bool:
        return all(stream is None or stream.closed for stream in (self._process.stdout, self._process.stderr))

    def _drain(self) -> None:
        for reader in self._readers:
            reader.join(END_S)


class ForkedProcess(Process):
    """The command `strongroom`, forked off a process that has imported it (zygote.py)."""

    def _start(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path | None
    ) -> "subprocess.Popen[str] | Forked":
        zygote = zygote_with(tuple(sorted(_clean_environment().items())))
        return zygote.fork(arguments, environment, folder)


def strongroom(
    *arguments: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Process:
    """Starts the installed command, for example `strongroom("serve", "atto", environment=...)`."""
    command = [str(Path(sys.executable).with_name("strongroom")), *arguments]
    is_forked = not any(name.startswith(AT_START) for name in {*_kept_environment(), *(environment or {})})
    return (ForkedProcess if is_forked else Process)(command, environment=environment, folder=folder)


def python(code: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Process:
    """Starts a Python program that can import the service and the test support."""
    return Process([sys.executable, "-c", code, *arguments], environment=environment)


def _clean_environment() -> dict[str, str]:
    """Nothing of the caller's settings reaches a process under test."""
    return _kept_environment() | OURS


def _kept_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in KEPT if name in os.environ}
