"""Checks before a push: the signed transaction is the one that was proposed, and the node would take it."""

from collections.abc import Mapping

from strongroom.hathor.proposals.utxo_locks import Outpoint, ProposalRefused
from strongroom.hathor.protocol.addresses import Address
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import verify_input
from strongroom.hathor.protocol.transactions import Transaction
from strongroom.hathor.protocol.work import WeightRule, minimum_weight, verify_work

WEIGHT_TOLERANCE = 1e-6
"""Clients compute the weight with floats of their own."""


def verify_same(proposed: Transaction, signed: Transaction) -> None:
    """Compares all that signatures cover: inputs with their indexes, outputs, tokens, headers.

    Raises:
        ProposalRefused: `tx-proposal-no-match`.
    """
    if proposed.signing_digest() != signed.signing_digest():
        raise ProposalRefused("tx-proposal-no-match")


def verify_signed(
    transaction: Transaction, owners: Mapping[Outpoint, Address], weights: WeightRule | None
) -> None:
    """Checks signatures, weight and work. `owners` are the addresses of what the inputs spend.

    `weights` None: the least weight is not known, and not checked.

    Raises:
        ProposalRefused: a signature is missing or wrong, the weight too low, the work not done.
    """
    # The digest leaves the signatures out, so one digest serves all inputs.
    digest = transaction.signing_digest()
    for place, spent in enumerate(transaction.inputs):
        owner = owners.get((spent.tx_id.hex(), spent.index))
        if owner is None:
            raise ProposalRefused("tx-proposal-no-match")
        try:
            verify_input(digest, spent.data, Payment(address=owner))
        except ProtocolError as error:
            raise ProposalRefused("invalid-tx-signature", input=place, message=str(error)) from error
    verify_weight(transaction, weights)


def verify_weight(transaction: Transaction, weights: WeightRule | None) -> None:
    """Checks weight and work. Raises: ProposalRefused: `invalid-tx-weight`."""
    if weights is not None:
        least = minimum_weight(transaction, weights)
        if transaction.weight < least - WEIGHT_TOLERANCE:
            message = f"The weight {transaction.weight} is below {least}"
            raise ProposalRefused("invalid-tx-weight", message=message)
    try:
        verify_work(transaction)
    except ProtocolError as error:
        raise ProposalRefused("invalid-tx-weight", message=str(error)) from error
