"""The environment of the original's documents, and of the compose file in public use, starts this service as it is, with a
secret of its own where the documents print one."""

import json
from pathlib import Path
from typing import Any

import pytest

from strongroom.core.environment import SettingsError
from strongroom.hathor.definition import LEDGER
from strongroom.settings import read_settings
from support.hathor.processes import AUTH_SECRET, NodeProgram, WalletProgram, database_variables
from support.hathor.streams import VECTORS
from support.mariadb import MariaDB
from support.redis import running_redis
from support.waiting import until_true

ENVIRONMENTS: dict[str, Any] = json.loads((VECTORS / "environments.json").read_text())
SERVED = ["readme of the service", "compose, service"]
NODES = {
    "readme of the service": "https://node1.mainnet.hathor.network/v1a/",
    "readme of the daemon": "http://localhost:3003/v1a/",
    "development of the daemon": "https://wallet-service.private-nodes.hathor.network/v1a/",
    "compose, daemon": "http://fullnode:8080/v1a/",
    "compose, service": "http://fullnode:8080/v1a/",
}


def of_document(name: str) -> dict[str, str]:
    """The secrets that the documents print are short, which the operator of a taken-over database may allow."""
    variables: dict[str, str] = ENVIRONMENTS[name]["variables"]
    return variables | {"STRONGROOM_ALLOW_SHORT_SECRETS": "AUTH_SECRET"}


@pytest.mark.parametrize("name", SERVED)
def test_of_its_variables_only_the_printed_secret_is_refused(name: str) -> None:
    with pytest.raises(SettingsError) as raised:
        read_settings(ENVIRONMENTS[name]["variables"], ("hathor",))
    (mistake,) = raised.value.mistakes
    assert mistake.startswith("AUTH_SECRET must have 32 bytes or more")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_its_variables_are_understood(name: str) -> None:
    settings = read_settings(of_document(name), ("hathor",))
    hathor = settings.of(LEDGER)
    assert hathor is not None
    assert hathor.node_url == NODES[name]
    assert bool(settings.warnings) is (name == "compose, service")


def test_its_redis_and_its_pins_are_found() -> None:
    redis = {name: read_settings(of_document(name), ("hathor",)).of(LEDGER) for name in ENVIRONMENTS}
    urls = {name: found.redis.reveal() for name, found in redis.items() if found and found.redis}
    assert urls == {
        "readme of the service": "redis://localhost:6379/0",
        "compose, service": "redis://redis:6379/0",
        "compose, daemon": "redis://redis:6379/0",
    }
    development = redis["development of the daemon"]
    assert development is not None
    assert development.stream_id == "c373e689-0b37-4df6-accf-829bd5c2013e"


@pytest.mark.parametrize("name", SERVED)
async def test_it_starts_and_serves(mariadb: MariaDB, tmp_path: Path, name: str) -> None:
    """Only places differ: the database, the node, the port of Redis, and where it listens."""
    variables = dict(ENVIRONMENTS[name]["variables"])
    with running_redis() as redis:
        variables |= {
            "REDIS_URL": "localhost",
            "REDIS_PORT": str(redis.port),
            "AUTH_SECRET": AUTH_SECRET,
            "STRONGROOM_DATA": str(tmp_path / "service"),
            **database_variables(mariadb.new_database()),
        }
        async with NodeProgram(tmp_path / "node") as node:
            variables |= node.variables
            async with WalletProgram(node, variables) as service:
                version = (await service.api.get("/version")).json()
                assert version["success"] is True

                async def redis_is_up() -> bool:
                    components = (await service.health())["components"]
                    return bool(components["redis"]["status"] == "UP")

                await until_true(redis_is_up)
