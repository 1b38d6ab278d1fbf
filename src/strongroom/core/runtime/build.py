"""What runs: the version, and the commit that it was built from."""

import importlib.metadata
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import strongroom

COMMIT = Path(strongroom.__file__).with_name("COMMIT")
"""A wheel of `scripts/build`, and an image that was told it, have this file."""
NEEDED = re.compile(r"^([\w.-]+)(?:\[([\w,.-]+)\])?.*\bextra == ['\"]([\w.-]+)['\"]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    version: str
    commit: str
    """Empty in a checkout, whose commit changes while the process runs."""
    python: str


def read_build() -> Build:
    commit = COMMIT.read_text("ascii").strip() if COMMIT.is_file() else ""
    return Build(version=strongroom.__version__, commit=commit, python=platform.python_version())


def installed_extras() -> tuple[str, ...]:
    """The extras of the package all of whose requirements are installed; those that need nothing are left out."""
    try:
        own = importlib.metadata.metadata("strongroom")
    except importlib.metadata.PackageNotFoundError:
        return ()
    needs: dict[str, list[tuple[str, str]]] = {}
    for line in own.get_all("Requires-Dist") or ():
        if found := NEEDED.match(line):
            needs.setdefault(found[3], []).append((found[1], found[2] or ""))
    return tuple(sorted(extra for extra in needs if _is_installed(extra, needs)))


def _is_installed(extra: str, needs: dict[str, list[tuple[str, str]]]) -> bool:
    for name, extras in needs.get(extra, ()):
        if name == "strongroom":
            if not all(_is_installed(one, needs) for one in extras.split(",")):
                return False
        elif next(iter(importlib.metadata.distributions(name=name)), None) is None:
            return False
    return True
