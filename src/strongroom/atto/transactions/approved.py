"""Carries out SENDs and CHANGEs that people approved, as if their clients asked again.

The client's Idempotency-Key is claimed as by the client itself: afterwards the client's repetition finds what was signed and gets
the answer of the payment, and while the one works on it the other waits.
"""

import msgspec

from strongroom.atto.protocol import Address
from strongroom.atto.transactions.parked import SEND, ParkedTransaction
from strongroom.atto.transactions.service import Transactions
from strongroom.core.coordination.idempotency import Attempt, Idempotency, Replay
from strongroom.core.errors import Conflict, IdempotencyTaken, StrongroomError, Unavailable
from strongroom.core.guard.approvals.carrying_out import ApprovedRequest


class ApprovedTransactions:
    """See `core.guard.approvals.carrying_out.Carrier`."""

    def __init__(self, transactions: Transactions, idempotency: Idempotency) -> None:
        self._transactions = transactions
        self._idempotency = idempotency

    async def carry_out(self, request: ApprovedRequest) -> None:
        """Signs it under its key.

        Raises:
            Conflict: the key has its answer already.
            Unavailable: another request has the key at this moment.
            What `Transactions.send` and `Idempotency.begin` raise.
        """
        parked = msgspec.convert(request.document, ParkedTransaction)
        if request.key is None:
            await self._sign(request, parked, None)
            return
        try:
            claim = await self._idempotency.begin(
                parked.scope, request.key, bytes.fromhex(parked.fingerprint)
            )
        except IdempotencyTaken as error:  # it is refused, and lets go of the key
            raise Unavailable(error.message, code=error.instance_code) from error
        try:
            if not isinstance(claim, Attempt):
                raise Conflict("The request was answered already under its Idempotency-Key")
            await self._sign_once(request, parked, claim)
        finally:
            if not isinstance(claim, Replay):
                self._idempotency.let_go(claim)

    async def _sign_once(self, request: ApprovedRequest, parked: ParkedTransaction, claim: Attempt) -> None:
        try:
            await self._sign(request, parked, claim)
        except StrongroomError:
            # Where nothing was signed the client may ask again at once; a claim with a block stays.
            await self._idempotency.forget(claim)
            raise

    async def _sign(
        self, request: ApprovedRequest, parked: ParkedTransaction, attempt: Attempt | None
    ) -> None:
        address, target = Address.parse(parked.address), Address.parse(parked.target)
        if parked.operation == SEND:
            await self._transactions.send(
                request.principal,
                address=address,
                receiver=target,
                amount_raw=int(parked.amount_raw),
                last_height=parked.last_height,
                attempt=attempt,
                approval=request.id,
            )
            return
        await self._transactions.change(
            request.principal, address=address, representative=target, attempt=attempt, approval=request.id
        )
