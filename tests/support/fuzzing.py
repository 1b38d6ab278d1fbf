"""Schemathesis asks a running service whatever its OpenAPI document allows, and much that it does not."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

HERE = Path(__file__).parent
LEFT_OUT = (
    "unsupported_method",  # the framework's own answers to OPTIONS, and those to a preflight
    "allow_header_conformance",
    "positive_data_acceptance",  # a document cannot say which names, addresses and signatures are right
    "ensure_resource_availability",
    "use_after_free",
    "object_level_authorization",
    "ignored_auth",  # tests of tokens are elsewhere
)


async def fuzz(
    document: str,
    folder: Path,
    *,
    seconds: int,
    known: Mapping[str, Sequence[Any]],
    headers: Mapping[str, str] | None = None,
    but: str | None = None,
) -> None:
    """Fails with its report when an answer is not as `document` (its URL) says, or a 5xx that it does not allow.

    `known`: values of fields and parameters that mean something to the service, used now and then. `but`: a regular expression of the
    paths that are left out.
    """
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        document,
        f"--max-time={seconds}",
        "--checks=all",
        f"--exclude-checks={','.join(LEFT_OUT)}",
        *(f"--header={name}: {value}" for name, value in (headers or {}).items()),
        *(() if but is None else (f"--exclude-path-regex={but}",)),
        "--request-timeout=30",
        "--generation-database=none",
        "--warnings=off",
        "--no-color",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
        "PYTHONPATH": str(HERE),
        "KNOWN": json.dumps(known),
    }
    done = await anyio.run_process(
        command, cwd=folder, env=environment, check=False, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        pytest.fail(done.stdout.decode(), pytrace=False)
