"""Finds the package that makes local networks (sandboxes) for a service.

The service has keys, so its own package contains no faucet and no switchable faults. The package that contains them names its
`LocalNetworksDefinition` in an entry point:

    [project.entry-points."strongroom.local_networks"]
    sandbox = "strongroom_sandbox.definition:NETWORKS"
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from strongroom.core.clock import Clock
from strongroom.core.environment import SettingsError

if TYPE_CHECKING:
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
    ledgers: tuple[str, ...]
    """The names of the ledgers whose networks these are. Of each ledger one package makes the network."""
    default_variables: Callable[[Mapping[str, str]], dict[str, str]]
    """What points a service at the networks on these variables' ports."""
    make: Callable[[Mapping[str, str], Path, Clock, Sequence[str]], LocalNetworks]
    """Of the environment's variables, the data folder, the clock and some of the ledgers above."""


class InstalledNetworks:
    """The local networks of every installed package."""

    def __init__(self, definitions: Sequence[LocalNetworksDefinition]) -> None:
        self._definitions = definitions
        self.ledgers = tuple(name for one in definitions for name in one.ledgers)

    def require(self, ledgers: Iterable[str]) -> None:
        """Raises: SettingsError: one of these ledgers has no local network here."""
        missing = sorted(set(ledgers) - set(self.ledgers))
        if missing:
            raise SettingsError(
                [
                    f"no installed package makes a local network of {', '.join(missing)}; there is {', '.join(self.ledgers)}"
                ]
            )

    def default_variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self._definitions:
            found |= one.default_variables(variables)
        return found

    def make(
        self, variables: Mapping[str, str], data: Path, clock: Clock, ledgers: Sequence[str]
    ) -> LocalNetworks:
        """Of these ledgers, of which others may have a network elsewhere; of none: of all that there are.

        Raises:
            SettingsError: none of them has a local network here.
        """
        wanted = [name for name in self.ledgers if name in ledgers or not ledgers]
        if not wanted:
            self.require(ledgers)
        parts = [
            (definition, [name for name in definition.ledgers if name in wanted])
            for definition in self._definitions
        ]
        made = [definition.make(variables, data, clock, own) for definition, own in parts if own]
        return _Together(made)


class _Together:
    def __init__(self, networks: Sequence[LocalNetworks]) -> None:
        self._networks = networks

    def service_variables(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for one in self._networks:
            found |= one.service_variables()
        return found

    def open(self) -> list[Surface]:
        return [surface for one in self._networks for surface in one.open()]

    async def seed_wallets(self, ledger: Ledger) -> None:
        for one in self._networks:
            await one.seed_wallets(ledger)

    async def close(self) -> None:
        for one in self._networks:
            await one.close()


def find_local_networks() -> InstalledNetworks | None:
    """None: no package that makes local networks is installed.

    Raises:
        SettingsError: an entry point names something else, or two packages make the network of one ledger.
    """
    entries = sorted(entry_points(group=GROUP), key=lambda one: one.name)
    if not entries:
        return None
    makers: dict[str, EntryPoint] = {}
    definitions = [(entry, _load(entry)) for entry in entries]
    for entry, definition in definitions:
        for name in definition.ledgers:
            if (other := makers.setdefault(name, entry)) is not entry:
                raise SettingsError(
                    [f"two packages make a local network of {name}: {other.value} and {entry.value}"]
                )
    return InstalledNetworks([definition for _, definition in definitions])


def _load(entry: EntryPoint) -> LocalNetworksDefinition:
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # whatever a package of others does when it is imported
        what = f"{type(error).__name__}: {error}"
        raise SettingsError(
            [f"the local networks {entry.name} = {entry.value} cannot be loaded: {what}"]
        ) from error
    if not isinstance(found, LocalNetworksDefinition):
        raise SettingsError(
            [f"the entry point {entry.name} = {entry.value} does not name a LocalNetworksDefinition"]
        )
    return found


def require_local_networks() -> InstalledNetworks:
    """The installed package's definition; raises SettingsError if none is installed."""
    found = find_local_networks()
    if found is None:
        raise SettingsError([MISSING])
    return found
