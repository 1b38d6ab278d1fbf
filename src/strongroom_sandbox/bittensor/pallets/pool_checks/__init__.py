"""What the pool refuses before a call is in a block. Importing this registers the checks."""

from strongroom_sandbox.bittensor.pallets.pool_checks import checks, weight_checks

__all__ = ["checks", "weight_checks"]
