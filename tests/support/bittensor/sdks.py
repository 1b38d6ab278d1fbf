"""The official SDKs as judges, each in an environment of its own. Their programs are in `tests/judges/bittensor`."""

import asyncio
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from support.turns import one_process_at_a_time

FOLDER = Path(__file__).parents[2] / "judges" / "bittensor"
SOURCES = Path(__file__).parents[3] / "src"
PATIENCE_S = 120.0
"""For one program. A client may try forever: it always gets a limit."""


@dataclass(frozen=True, slots=True)
class Sdk:
    version: str
    python: Path

    async def run(
        self, program: str, url: str, home: Path, service: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Runs a program against a chain; what became of its steps.

        With the variables of a wallet service it has no keys of its own.

        Raises:
            TimeoutError: it did not end in time, and was ended.
            AssertionError: it ended without a report.
        """
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "BITTENSOR_RUNTIME_CACHE_DIR": str(home / "runtimes"),
            "BT_NO_PARSE_CLI_ARGS": "1",
        }
        if service is not None:
            environment |= {"PYTHONPATH": str(SOURCES), **service}
        process = await asyncio.create_subprocess_exec(
            self.python,
            FOLDER / program,
            url,
            env=environment,
            cwd=home,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                output, log = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        lines = output.decode().splitlines()
        assert process.returncode == 0, log.decode()
        assert lines, log.decode()
        outcomes: dict[str, Any] = json.loads(lines[-1])
        sys.stderr.write(log.decode())
        return outcomes


@cache
def sdk(version: str) -> Sdk:
    """The SDK, installed from its pinned requirements where it is not yet."""
    requirements = FOLDER / "requirements" / f"bittensor-{version}.txt"
    folder = FOLDER / ".venv" / version
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    with one_process_at_a_time(folder):
        if not stamp.exists() or stamp.read_text() != wanted:
            _run(sys.executable, "-m", "venv", "--clear", str(folder))
            pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            _run(*pip, "--no-deps", "--no-compile", "--require-hashes", "-r", str(requirements))
            stamp.write_text(wanted)
    return Sdk(version, python)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
