"""What the calls do: importing this registers every pallet.

What real runtimes do and this does not:
- emission: no TAO or alpha comes into being, so stake, prices and registrations alone move the pools;
- bonds that remember earlier epochs, liquid alpha, liquidity of users, conviction and locks, leases, root claims;
- drand: a timelocked commit opens when the sandbox was told what it hides (`timelocked.REVEALS`);
- proof of work, coldkey and hotkey swaps, crowdloans, contracts, the EVM, encrypted submission (MevShield);
- fees and weights of runtime 424 are those of 293.
"""

from strongroom_sandbox.bittensor.pallets import (
    admin,
    balances,
    children,
    commit_reveal,
    commitments,
    hooks,
    identities,
    networks,
    pool_checks,
    pool_weight_checks,
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
    "identities",
    "networks",
    "pool_checks",
    "pool_weight_checks",
    "registration",
    "serving",
    "stake_moves",
    "staking",
    "system",
    "timelocked",
    "weights",
    "wrappers",
]
