"""The proof of work that a transaction needs, and whether it has it."""

import hashlib
import math
from dataclasses import dataclass, replace

from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import HASH_SIZE, Transaction

PARENTS = 2
DECIMALS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightRule:
    """The constants of a network, from its node's version reply (`min_tx_weight` and so on)."""

    minimum: float = 14.0
    coefficient: float = 1.6
    k: float = 100.0


MAINNET_WEIGHTS = WeightRule()


def usual_weight(transaction: Transaction, rule: WeightRule = MAINNET_WEIGHTS) -> float:
    """The weight (log2 of the expected tries) that wallets give a transaction: the least that a public network takes.

    A transaction that has no parents yet is measured as if it had its two.
    """
    missing = max(0, PARENTS - len(transaction.parents))
    size = len(transaction.encode()) + missing * HASH_SIZE
    moved = sum(output.value for output in transaction.outputs if not output.is_authority)
    amount = max(1, moved) / DECIMALS
    weight = rule.coefficient * math.log2(size) + 4 / (1 + rule.k / amount) + 4
    return max(rule.minimum, weight)


def minimum_weight(transaction: Transaction, rule: WeightRule = MAINNET_WEIGHTS) -> float:
    """The least weight that the node accepts.

    A network that counts neither size nor amount is a private one, whose nodes run in test mode
    (`--test-mode-tx-weight`): its wallets may do as little work as they like.
    """
    return rule.minimum if rule.coefficient == rule.k == 0 else usual_weight(transaction, rule)


def verify_work(transaction: Transaction) -> None:
    """Checks the hash against the transaction's own weight.

    Raises:
        ProtocolError: the hash is too large.
    """
    if int.from_bytes(transaction.hash) >= target(transaction.weight):
        raise ProtocolError("The transaction lacks its proof of work")


def target(weight: float) -> int:
    """Hashes below it have the weight. Below 0 and above 256 no weight makes sense."""
    if not 0 <= weight <= 256:  # noqa: PLR2004 - the bits of a hash
        raise ProtocolError(f"{weight} is no weight")
    return int(2 ** (256 - weight) - 1)


def mine(transaction: Transaction) -> Transaction:
    """Tries nonces until one fits, about a million in a second; meant for test networks."""
    limit, base = target(transaction.weight), hashlib.sha256(transaction.mining_base())
    for nonce in range(2**32):
        attempt = base.copy()
        attempt.update(nonce.to_bytes(16))
        if int.from_bytes(hashlib.sha256(attempt.digest()).digest(), "little") < limit:
            return replace(transaction, nonce=nonce)
    raise ProtocolError("No nonce fits")
