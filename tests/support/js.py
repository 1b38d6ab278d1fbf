"""Programs of official JavaScript clients: installed from a lock file, and controlled line by line."""

import asyncio
import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from support.programs import program
from support.turns import one_process_at_a_time

PATIENCE_S = 90.0


class JsError(Exception):
    """What the official client threw, in its own words."""


class JsProgram:
    """A running program. It answers lines `{"id", "command", ...}` with lines `{"id", "result"}` or `{"id", "error"}`,
    and tells what it was not asked for in lines without an id.
    """

    patience_s = PATIENCE_S

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._stdin = process.stdin
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._log = b""
        self._calls = 0
        self._readers = [
            asyncio.create_task(self._read_answers(process.stdout)),
            asyncio.create_task(self._read_log(process.stderr)),
        ]

    @property
    def log(self) -> str:
        return self._log.decode()

    async def close(self) -> None:
        self._stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), self.patience_s)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(*self._readers)

    def write(self, line: object) -> None:
        self._stdin.write(json.dumps(line).encode() + b"\n")

    async def call(self, command: str, **arguments: object) -> Any:
        """Raises: JsError."""
        self._calls += 1
        call = self._calls
        answer = self._waiting[call] = asyncio.get_running_loop().create_future()
        self.write({"id": call, "command": command, **arguments})
        try:
            return await asyncio.wait_for(answer, self.patience_s)
        except TimeoutError:
            raise JsError(
                f"No answer to {command} {arguments}. The client's log: {self._log.decode()}"
            ) from None

    def told(self, message: dict[str, Any]) -> None:
        """A line that answers nothing."""

    async def _read_answers(self, stdout: asyncio.StreamReader) -> None:
        try:
            async for line in stdout:
                message = json.loads(line)
                if "id" in message:
                    self._take(message)
                else:
                    self.told(message)
        finally:
            for answer in filter(lambda answer: not answer.done(), self._waiting.values()):
                answer.set_exception(JsError(f"The client has ended: {self._log.decode()}"))

    def _take(self, message: dict[str, Any]) -> None:
        answer = self._waiting.pop(message["id"])
        if answer.done():  # who asked has left
            return
        if "error" in message:
            answer.set_exception(JsError(message["error"]))
        else:
            answer.set_result(message["result"])

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            self._log = (self._log + line)[-10_000:]


async def start_node(folder: Path, script: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        program("node"), script, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe, limit=2**24
    )


@cache
def install(folder: Path) -> None:
    """The packages that the folder's lock file names; nothing when they are there."""
    wanted = (folder / "package-lock.json").read_bytes()
    stamp = folder / "node_modules" / ".installed-package-lock.json"
    with one_process_at_a_time(folder):
        if stamp.exists() and stamp.read_bytes() == wanted:
            return
        done = subprocess.run(
            [program("npm"), "ci", "--no-audit", "--no-fund"],
            cwd=folder,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        stamp.write_bytes(wanted)
