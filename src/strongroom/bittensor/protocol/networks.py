"""The networks by their common names, with their public endpoints, which are the defaults."""

import enum


class Network(enum.StrEnum):
    LOCAL = "local"
    TEST = "test"
    FINNEY = "finney"

    @classmethod
    def named(cls, name: str) -> "Network":
        """Returns the network of a name in any case. Raises: ValueError: there is none; the message lists the names."""
        try:
            return cls(name.lower())
        except ValueError:
            raise ValueError(f"must be {', '.join(cls)}, not {name!r}") from None

    @property
    def endpoint(self) -> str:
        return _ENDPOINTS[self]


_ENDPOINTS = {
    Network.LOCAL: "ws://127.0.0.1:9944",
    Network.TEST: "wss://test.finney.opentensor.ai",
    Network.FINNEY: "wss://entrypoint-finney.opentensor.ai",
}
