"""The programs of this machine that tests start."""

import os
import shutil


def program(name: str) -> str:
    """Path of a program; a test must never pass because what it needs is absent."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise RuntimeError(f"{name} is not installed: scripts/test installs what the tests need")
    return path
