"""Sends transactions that people approved, whether or not their wallets ask again."""

import msgspec

from strongroom.core.errors import InvalidInput
from strongroom.core.guard.approvals.carrying_out import ApprovedRequest
from strongroom.hathor.proposals.parked import ParkedBroadcast
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.transactions import parse_transaction


class ApprovedBroadcasts:
    """See `core.guard.approvals.carrying_out.Carrier`."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter

    async def carry_out(self, request: ApprovedRequest) -> None:
        """Raises: InvalidInput, ProposalRefused: it can never be sent; and as `Submitter.send`."""
        try:
            parked = msgspec.convert(request.document, ParkedBroadcast)
            raw = bytes.fromhex(parked.transaction)
            transaction = parse_transaction(raw)
        except (msgspec.ValidationError, ProtocolError, ValueError) as error:
            raise InvalidInput(f"What waited is no transaction: {error}") from error
        await self._submitter.send_approved(parked.proposal, transaction, raw, request.principal, request.id)
