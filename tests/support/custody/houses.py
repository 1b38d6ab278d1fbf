"""One way to speak of OpenBao, KMS and an HSM in tests that hold for each of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from strongroom.core.environment import Environment
from strongroom.core.ledger.keys.backends import make_key_backend
from strongroom.core.security.keys.backends.backend import KeyBackend
from strongroom.core.security.keys.backends.settings import BackendSettings, read_key_backends
from support.clock import SeededEntropy


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A real backend, and how to disturb it."""

    name: str
    variables: Mapping[str, str]
    reference: str
    leave: Callable[[], None]
    """It is away from here on."""
    come_back: Callable[[], None]
    other_key: Callable[[], str]
    """The reference of another key in the same backend."""

    def environment(self, ledger: str = "atto", **changed: str) -> dict[str, str]:
        return {**self.variables, f"{ledger.upper()}_KEY_BACKEND": self.reference, **changed}

    def backend(self, ledger: str = "atto", **changed: str) -> KeyBackend:
        """What the service makes of the variables."""
        settings = read_settings(self.environment(ledger, **changed), ledger)
        return make_key_backend(settings, ledger=ledger, entropy=SeededEntropy())


def read_settings(variables: Mapping[str, str], ledger: str = "atto") -> BackendSettings:
    environment = Environment(variables)
    found = read_key_backends(environment, ledger=ledger)
    assert environment.mistakes == []
    (settings,) = found
    return settings
