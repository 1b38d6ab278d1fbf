"""Local networks that a service may run beside itself, and how it finds the package that makes them.

The service holds keys, so its own package has no faucet and no faults to switch on. A package that has them names its
`LocalNetworksDefinition` by an entry point:

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


class LocalNetworks(Protocol):
    """The local network of each ledger. Opened inside the event loop that serves it, closed before its listeners stop."""

    def service_variables(self) -> dict[str, str]:
        """What points a service at them, and what a service beside them needs."""

    def open(self) -> list[Surface]:
        """Makes the networks, from their journals where there are any."""

    async def seed_wallets(self, ledger: Ledger) -> None:
        """Gives an opened ledger of the service what it should have to begin with."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalNetworksDefinition:
    default_variables: Callable[[Mapping[str, str]], dict[str, str]]
    """What points a service at the networks on these variables' ports."""
    make: Callable[[Mapping[str, str], Path, Clock, Sequence[str]], LocalNetworks]
    """Of the environment's variables, the data folder, the clock and the names of ledgers; none: all."""


def find_local_networks() -> LocalNetworksDefinition | None:
    """None: no package that makes local networks is installed.

    Raises:
        SettingsError: an entry point names something else, or several packages make them.
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
        raise SettingsError([f"the entry point {entry.name} = {entry.value} is no LocalNetworksDefinition"])
    return found


def require_local_networks() -> LocalNetworksDefinition:
    """Raises: SettingsError: none is installed."""
    found = find_local_networks()
    if found is None:
        raise SettingsError(
            ["local networks are a package of their own, which is not installed here: strongroom-sandbox"]
        )
    return found
