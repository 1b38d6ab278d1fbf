"""Where the local networks listen."""

from collections.abc import Mapping
from dataclasses import dataclass

from strongroom.core.environment import Environment
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom_sandbox.bittensor.settings import read_chain_settings

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    atto_node: int
    atto_work: int
    hathor: int
    bittensor: int


def read_ports(variables: Mapping[str, str]) -> Ports:
    """Raises: SettingsError."""
    environment = Environment(variables)
    ports = Ports(
        atto_node=environment.port("SANDBOX_ATTO_NODE_PORT", 9080),
        atto_work=environment.port("SANDBOX_ATTO_WORK_PORT", 9085),
        hathor=environment.port("SANDBOX_HATHOR_PORT", 9180),
        bittensor=environment.port("SANDBOX_BITTENSOR_PORT", 9944),
    )
    environment.raise_mistakes()
    return ports


def default_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """What points a service at the networks on these variables' ports."""
    ports = read_ports(variables)
    return {
        "NETWORK": "LOCAL",
        "NODE_BASE_URL": f"http://{HOST}:{ports.atto_node}",
        "WORK_BASE_URL": f"http://{HOST}:{ports.atto_work}",
        "HATHOR_NETWORK": PRIVATENET.name,
        "FULLNODE_NETWORK": PRIVATENET.name,
        "DEFAULT_SERVER": f"http://{HOST}:{ports.hathor}/v1a",
        "BITTENSOR_NETWORK": "local",
        "chain_endpoint": f"ws://{HOST}:{ports.bittensor}",
        "BITTENSOR_DB_FILE": f"sandbox-bittensor-{read_chain_settings(variables).spec_version}.sqlite3",
    }
