"""Compiles the proof-of-work search into a library beside its source, for wheels and editable installs alike.

Without a C compiler the install goes on: the service then searches with hashlib, some thirty times slower.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import sys_tags

SOURCE = Path("src/strongroom/atto/gateway/blake2b_work.c")
FLAGS = ["-std=c11", "-O3", "-shared", "-fPIC", "-Wall", "-Wextra"]
# The library lies in a process that holds keys: checked buffers, and nothing of it writable and executable at once.
HARDENING = [
    "-fstack-protector-strong",
    "-fstack-clash-protection",
    "-U_FORTIFY_SOURCE",
    "-D_FORTIFY_SOURCE=2",
    "-Wl,-z,relro,-z,now,-z,noexecstack",
]


def find_compiler() -> str | None:
    """Path of `$CC`, or of the first usual name that is there."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    return next((path for name in names if (path := shutil.which(name))), None)


def build_library(root: Path) -> str | None:
    """Builds the library and returns None, or returns why there is none now.

    The file is replaced in one step, because a running service may have the old one mapped.
    """
    source = root / SOURCE
    library, fresh = source.with_suffix(".so"), source.with_suffix(f".{os.getpid()}.so")
    compiler = find_compiler()
    if compiler is None:
        library.unlink(missing_ok=True)
        return "there is no C compiler ($CC, cc, gcc or clang)"
    command = [compiler, *FLAGS, *HARDENING, "-o", str(fresh), str(source)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if run.returncode:
        library.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
        return f"{compiler} failed:\n{run.stderr}"
    fresh.replace(library)
    return None


class NativeBuildHook(BuildHookInterface[Any]):
    """Called by hatchling, see [tool.hatch.build.targets.wheel.hooks.custom]."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002  # hatchling's signature
        problem = build_library(Path(self.root))
        if problem is not None:
            print(f"strongroom: native proof of work is left out: {problem}", file=sys.stderr)  # noqa: T201  # read by whoever installs
            return
        build_data["artifacts"].append(str(SOURCE.with_suffix(".so")))
        build_data["pure_python"] = False
        # No Python headers are used, so any Python 3 of this platform can load it.
        build_data["tag"] = f"py3-none-{next(sys_tags()).platform}"
