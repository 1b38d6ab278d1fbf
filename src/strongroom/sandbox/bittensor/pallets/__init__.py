"""What the calls do: importing this registers every pallet."""

from strongroom.sandbox.bittensor.pallets import (
    admin,
    balances,
    children,
    commit_reveal,
    commitments,
    hooks,
    networks,
    pool_checks,
    registration,
    serving,
    stake_moves,
    staking,
    system,
    timelocked,
    weights,
    wrappers,
)

__all__ = [
    "admin",
    "balances",
    "children",
    "commit_reveal",
    "commitments",
    "hooks",
    "networks",
    "pool_checks",
    "registration",
    "serving",
    "stake_moves",
    "staking",
    "system",
    "timelocked",
    "weights",
    "wrappers",
]
