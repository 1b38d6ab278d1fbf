"""The runtime APIs; importing this package registers all of them."""

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
