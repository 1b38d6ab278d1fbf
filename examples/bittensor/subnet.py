"""What this subnet's neurons say to each other: a validator sends a number, a miner answers its square."""

import bittensor as bt


class Square(bt.Synapse):  # type: ignore[misc]  # the SDK is not typed
    """Asks for the square of `number`."""

    number: int
    square: int | None = None

    def deserialize(self) -> int | None:
        return self.square
