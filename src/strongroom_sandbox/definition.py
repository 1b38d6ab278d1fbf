"""What the service finds of this package, by its entry point. The networks are loaded when they are asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from strongroom.core.clock import Clock
from strongroom.core.ledger.local_networks import LocalNetworks, LocalNetworksDefinition
from strongroom_sandbox.ports import default_variables


def _make(
    variables: Mapping[str, str], data: Path, clock: Clock, ledgers: Sequence[str] = ()
) -> LocalNetworks:
    from strongroom_sandbox.local_network import SandboxNetworks  # noqa: PLC0415 - loads three ledgers

    return SandboxNetworks(variables, data, clock, ledgers)


NETWORKS = LocalNetworksDefinition(
    ledgers=("atto", "hathor", "bittensor"), default_variables=default_variables, make=_make
)
