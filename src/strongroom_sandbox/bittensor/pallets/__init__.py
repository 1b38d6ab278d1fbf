"""What the calls do: importing this registers every pallet.

What real runtimes do and this does not:
- emission: no TAO or alpha comes into being, so stake, prices and registrations alone move the pools;
- bonds that remember earlier epochs, liquid alpha, liquidity of users, conviction and locks, leases, root claims;
- drand: a timelocked commit opens when the sandbox was told what it hides (`weights.timelocked.REVEALS`);
- proof of work, coldkey and hotkey swaps, crowdloans, contracts, the EVM, encrypted submission (MevShield);
- pure proxies, and accounts that pay the fees of their proxies;
- fees and weights of runtime 424 are those of 293.
"""

from strongroom_sandbox.bittensor.pallets import (
    admin,
    balances,
    commitments,
    hooks,
    identities,
    networks,
    registration,
    serving,
    system,
    wrappers,
)
from strongroom_sandbox.bittensor.pallets.pool_checks import checks as pool_checks
from strongroom_sandbox.bittensor.pallets.proxies import proxies
from strongroom_sandbox.bittensor.pallets.staking import staking
from strongroom_sandbox.bittensor.pallets.weights import weights

__all__ = [
    "admin",
    "balances",
    "commitments",
    "hooks",
    "identities",
    "networks",
    "pool_checks",
    "proxies",
    "registration",
    "serving",
    "staking",
    "system",
    "weights",
    "wrappers",
]
