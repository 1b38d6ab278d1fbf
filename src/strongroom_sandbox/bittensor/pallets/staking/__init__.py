"""Stake into subnets and back, between them, and to children. Importing this registers the calls."""

from strongroom_sandbox.bittensor.pallets.staking import children, stake_moves, staking

__all__ = ["children", "stake_moves", "staking"]
