"""What the runtime answers: importing this registers every runtime API."""

from strongroom_sandbox.bittensor.apis import hyperparameters, metagraphs, neurons, stake, subnets, swap

__all__ = ["hyperparameters", "metagraphs", "neurons", "stake", "subnets", "swap"]
