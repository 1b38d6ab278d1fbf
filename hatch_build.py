"""Compiles the proof-of-work search into a library beside its source, for wheels and editable installs alike.

Without a C compiler the install goes on: the service then searches with hashlib, some thirty times slower.

The same source and compiler make the same bytes, wherever and whenever they do. A wheel for Linux is tagged with the oldest
glibc whose symbols the library asks for, which is read from the library.
"""

import os
import platform
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
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
# No number of this build and no path of this machine.
REPRODUCIBLE = ["-Wl,--build-id=none", "-s"] if sys.platform == "linux" else []
COMMIT = Path("src/strongroom/COMMIT")
"""What `strongroom --version` calls the commit; a wheel has it where STRONGROOM_COMMIT said it to its build."""

OLDEST_GLIBC = (2, 17)
"""No Python that the service needs runs on an older one."""
SHT_GNU_VERNEED = 0x6FFFFFFE


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
    mapped = f"-ffile-prefix-map={root}=."
    command = [compiler, *FLAGS, *HARDENING, *REPRODUCIBLE, mapped, "-o", str(fresh), str(source)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own arguments
    if run.returncode:
        library.unlink(missing_ok=True)
        fresh.unlink(missing_ok=True)
        return f"{compiler} failed:\n{run.stderr}"
    fresh.replace(library)
    return None


def version_needs(library: bytes) -> Iterator[str]:
    """The versions of symbols that a 64-bit little-endian ELF file asks of its libraries, as `GLIBC_2.4`.

    Raises:
        ValueError: it is no such file.
    """
    if library[:6] != b"\x7fELF\x02\x01":
        raise ValueError("this is no 64-bit little-endian ELF file")
    (table,) = struct.unpack_from("<Q", library, 0x28)
    size, count = struct.unpack_from("<HH", library, 0x3A)
    sections = [struct.unpack_from("<IIQQQQII", library, table + size * number) for number in range(count)]
    for _name, kind, _flags, _address, offset, _length, link, _info in sections:
        if kind == SHT_GNU_VERNEED:
            yield from _needs_of_section(library, offset, sections[link][4])


def _needs_of_section(library: bytes, need: int, strings: int) -> Iterator[str]:
    further = 1
    while further:
        _version, count, _file, first, further = struct.unpack_from("<HHIII", library, need)
        one = need + first
        for _ in range(count):
            _hash, _flags, _other, name, step = struct.unpack_from("<IHHII", library, one)
            start = strings + name
            yield library[start : library.index(b"\0", start)].decode("ascii")
            one += step
        need += further


def platform_tag(library: Path) -> str:
    """The platform of a wheel with this library: its glibc on Linux, or else this machine."""
    name, _version = platform.libc_ver()
    if sys.platform != "linux" or name != "glibc":
        return next(sys_tags()).platform
    try:
        needs = list(version_needs(library.read_bytes()))
    except ValueError:
        return next(sys_tags()).platform
    numbers = [need.removeprefix("GLIBC_").split(".") for need in needs if need.startswith("GLIBC_2")]
    major, minor = max([OLDEST_GLIBC, *((int(number[0]), int(number[1])) for number in numbers)])
    return f"manylinux_{major}_{minor}_{platform.machine()}"


class NativeBuildHook(BuildHookInterface[Any]):
    """Called by hatchling, see [tool.hatch.build.targets.wheel.hooks.custom]."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        commit = os.environ.get("STRONGROOM_COMMIT", "")
        if commit and version != "editable":
            (root / COMMIT).write_text(f"{commit}\n")
            build_data["artifacts"].append(str(COMMIT))
        problem = build_library(root)
        if problem is not None:
            print(f"strongroom: native proof of work is left out: {problem}", file=sys.stderr)  # noqa: T201  # read by whoever installs
            return
        library = SOURCE.with_suffix(".so")
        build_data["artifacts"].append(str(library))
        build_data["pure_python"] = False
        # No Python headers are used, so any Python 3 of this platform can load it.
        build_data["tag"] = f"py3-none-{platform_tag(root / library)}"
