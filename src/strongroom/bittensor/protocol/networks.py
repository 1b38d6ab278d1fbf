"""The networks by their common names, and where they are reached when nothing else is said."""

import enum


class Network(enum.StrEnum):
    LOCAL = "local"
    TEST = "test"
    FINNEY = "finney"

    @classmethod
    def named(cls, name: str) -> "Network":
        """Raises: ValueError: with the names that there are."""
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
