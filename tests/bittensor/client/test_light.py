"""The client goes into the environment of any version of the SDK."""

import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).parents[3] / "src"


def test_it_is_imported_where_nothing_is_installed() -> None:
    program = f"import sys; sys.path.insert(0, {str(SOURCES)!r}); import strongroom.bittensor.client as c; print(c.WalletService)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WalletService" in done.stdout


def test_the_command_says_what_is_missing_there() -> None:
    program = (
        f"import sys; sys.path.insert(0, {str(SOURCES)!r}); from strongroom.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "strongroom[server]" in done.stderr
