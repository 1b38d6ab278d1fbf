"""The service of an earlier commit, run in the same environment: for upgrades that roll over its running processes."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Self

from support.atto_processes import ServiceProgram
from support.programs import program

BEFORE_FOLLOWING = "33848760"
"""The last commit before payments could be followed: core_0016, atto_0004, bittensor_0004, hathor_0007."""
BEFORE_TAGS = "3ebc9cd0"
"""The last commit before core_0016, which its processes do not bear: the tokens and rules that they write have no tag."""
OWN = Path(__file__).parents[2]


def old_source(folder: Path, commit: str = BEFORE_FOLLOWING) -> dict[str, str]:
    """Takes the source of then out of the repository; returns the variables with which `strongroom` runs it."""
    packed = subprocess.run(
        [program("git"), "-C", str(OWN), "archive", commit, "src"],
        check=True,
        capture_output=True,
        timeout=60,
    ).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}


class LaterProgram(ServiceProgram):
    """A service whose clients are there before it starts: the test starts it."""

    async def __aenter__(self) -> Self:
        self.api, self.management = await self.client(self.url), await self.client(self.management_url)
        return self
