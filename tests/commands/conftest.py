"""One service with its sandbox for all commands, as `scripts/run` starts it, and a way to run a command."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx2
import pytest

from support.ports import own_ports
from support.processes import strongroom

END_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left."""

    status: int
    stdout: list[str]
    stderr: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A data folder, its ports, and the service that runs on them."""

    variables: dict[str, str]
    client: httpx2.Client

    def run(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Ended:
        """Runs `strongroom <arguments>` as the operator of this installation."""
        return run(*arguments, variables=self.variables | dict(variables or {}))


def run(*arguments: str, variables: Mapping[str, str]) -> Ended:
    with strongroom(*arguments, environment=variables) as process:
        status = process.wait_end(END_S)
        assert "Traceback" not in process.logs(), process.logs()
        return Ended(status=status, stdout=process.stdout, stderr=process.stderr)


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    variables = {
        "STRONGROOM_DATA": str(tmp_path_factory.mktemp("installation")),
        **own_ports(),
        "COLUMNS": "80",
    }
    url = f"http://127.0.0.1:{variables['ATTO_PORT']}"
    with (
        strongroom("serve", "--sandbox", environment=variables) as process,
        httpx2.Client(base_url=url, trust_env=False, verify=False, timeout=30) as client,
    ):
        process.wait_ready()
        yield Installation(variables=variables, client=client)
