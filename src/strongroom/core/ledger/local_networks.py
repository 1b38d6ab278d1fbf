"""Finds the package that makes local networks (sandboxes) for a service.

The service has keys, so its own package contains no faucet and no switchable faults. The package that contains them names its
`LocalNetworksDefinition` in an entry point:

    [project.entry-points."strongroom.local_networks"]
    sandbox = "strongroom_sandbox.definition:NETWORKS"
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Protocol

from strongroom.core.clock import Clock
from strongroom.core.environment import SettingsError
from strongroom.core.http.listener import Surface
from strongroom.core.ledger.contract import Ledger

GROUP = "strongroom.local_networks"
MISSING = (
    "local networks need the package strongroom-sandbox, which is not installed here. It is a wheel beside the service's:"
    " pip install ./strongroom-*.whl ./strongroom_sandbox-*.whl"
)


class LocalNetworks(Protocol):
    """The local networks of the ledgers. They open in the event loop that serves them, and close before the listeners stop."""

    def service_variables(self) -> dict[str, str]:
        """The variables with which a service uses these networks."""

    def open(self) -> list[Surface]:
        """Makes the networks, from their journals if there are any."""

    async def seed_wallets(self, ledger: Ledger) -> None:
        """Creates the first wallets of an opened ledger of the service."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNetworksDefinition:
    """What a package with local networks provides."""

    default_variables: Callable[[Mapping[str, str]], dict[str, str]]
    """Makes, from the environment's variables, those with which a service uses the networks on their ports."""
    make: Callable[[Mapping[str, str], Path, Clock, Sequence[str]], LocalNetworks]
    """Makes the networks from the environment's variables, the data folder, the clock and the ledgers' names (empty: all)."""


def find_local_networks() -> LocalNetworksDefinition | None:
    """The installed package's definition; None if no package with local networks is installed.

    Raises:
        SettingsError: an entry point names another kind of object, or several packages make local networks.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    found = [_load(entry) for entry in entries]
    if len(found) > 1:
        raise SettingsError(
            [f"several packages make local networks: {', '.join(one.value for one in entries)}"]
        )
    return found[0] if found else None


def _load(entry: EntryPoint) -> LocalNetworksDefinition:
    found = entry.load()
    if not isinstance(found, LocalNetworksDefinition):
        raise SettingsError(
            [f"the entry point {entry.name} = {entry.value} does not name a LocalNetworksDefinition"]
        )
    return found


def require_local_networks() -> LocalNetworksDefinition:
    """The installed package's definition; raises SettingsError if none is installed."""
    found = find_local_networks()
    if found is None:
        raise SettingsError([MISSING])
    return found
