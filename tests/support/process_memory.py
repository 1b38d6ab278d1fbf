"""Looks for secrets in the memory of a process that runs, as somebody with its rights or root's can."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mnemonic import Mnemonic

_MAPPED = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (r\S+) \S+ \S+ \S+\s*(.*)")


def spellings(secret: str | bytes) -> frozenset[bytes]:
    """How a secret stands in memory: bytes, their hex digits, and the halves of a phrase, because a part is enough to find it."""
    if isinstance(secret, bytes):
        return frozenset({secret, secret.hex().encode(), secret.hex().upper().encode()})
    words = secret.split()
    if len(words) > 1 and Mnemonic("english").check(secret):
        half = len(words) // 2
        return frozenset(" ".join(part).encode() for part in (words[:half], words[half:]))
    return spellings(bytes.fromhex(secret))


def found_in(pid: int, secrets: Mapping[str, str | bytes]) -> set[str]:
    """The names of those secrets that are in the process's memory now."""
    wanted = {name: spellings(secret) for name, secret in secrets.items()}
    return {
        name
        for content in _contents(pid)
        for name, forms in wanted.items()
        if any(form in content for form in forms)
    }


def _contents(pid: int) -> Iterator[bytes]:
    folder = Path(f"/proc/{pid}")
    with (folder / "mem").open("rb", buffering=0) as memory:
        for line in (folder / "maps").read_text().splitlines():
            mapped = _MAPPED.match(line)
            if mapped is None or mapped[4] in {"[vvar]", "[vvar_vclock]", "[vsyscall]"}:
                continue
            start, end = int(mapped[1], 16), int(mapped[2], 16)
            memory.seek(start)
            try:
                yield memory.read(end - start)
            except OSError:  # it was unmapped meanwhile
                continue
