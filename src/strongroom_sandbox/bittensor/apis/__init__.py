"""What the runtime answers: importing this registers every runtime API."""

from strongroom_sandbox.bittensor.apis import (
    core_apis,
    hyperparameters,
    metagraphs,
    neurons,
    stake,
    subnets,
    swap,
)

__all__ = ["core_apis", "hyperparameters", "metagraphs", "neurons", "stake", "subnets", "swap"]
