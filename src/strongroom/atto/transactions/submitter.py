"""Turns requests into confirmed blocks: draft, signature, publication, outcome.

Each account has one request at a time; accounts run in parallel. When a request's time is over before its block has an
outcome, the caller gets `OutcomeUnknown` with the hash to ask for.
"""

import asyncio
from dataclasses import dataclass

from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.gateway.node_network import NodeNetwork
from strongroom.atto.protocol import AccountEntry
from strongroom.atto.transactions.blocks import (
    RejectionCause,
    require_confirmed,
    transaction_of,
    unknown_outcome,
)
from strongroom.atto.transactions.drafting import BlockInTheWay, BlockRequest, Drafts, Work, WorkNeeded
from strongroom.atto.transactions.publishing import BlockResolver
from strongroom.atto.transactions.work_cache import WorkCache
from strongroom.core.errors import OutcomeUnknown, Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.signing import CommitUnclear, Signing
from strongroom.core.runtime.deadlines import Deadlines


@dataclass(slots=True)
class Progress:
    """How far a request has come. It decides which error the caller gets when the time is over."""

    signed: Intent | None = None
    waits_for: Intent | None = None
    """An earlier block of the account whose outcome must be known first."""

    def timeout_error(self) -> OutcomeUnknown | Unavailable:
        """Only when no signature can exist does the caller read that it is safe to try again.

        A limit that is over during the signing ends in `CommitUnclear` instead.
        """
        if self.signed is not None:
            return unknown_outcome(self.signed.id)
        if self.waits_for is not None:
            return held_by(self.waits_for)
        return Unavailable("Timed out before anything was signed; it is safe to try again")


class Submitter:
    """Signs and publishes the requests of clients and of the receiver."""

    def __init__(
        self,
        *,
        drafts: Drafts,
        signing: Signing,
        resolver: BlockResolver,
        work: WorkCache,
        node_clock: NodeClock,
        node_network: NodeNetwork,
        timeout_s: float,
    ) -> None:
        self._drafts = drafts
        self._signing = signing
        self._resolver = resolver
        self._work = work
        self._node_clock = node_clock
        self._node_network = node_network
        self._timeout_s = timeout_s
        self._deadlines = Deadlines()

    async def submit(self, request: BlockRequest) -> AccountEntry | None:
        """Returns the entry of the confirmed block; None for OPEN and RECEIVE, whose entry only the node's history has.

        Raises:
            NotFound, Conflict, InvalidInput, Locked, Forbidden: nothing was signed.
            Unavailable: the time was over before the request's turn came or its work was found; nothing was signed.
            BlockRejected: the node refused the block for good.
            OutcomeUnknown: the block is signed and its outcome is open, or the database does not say whether it is signed.
        """
        progress = Progress()
        try:
            async with self._deadlines.limit(self._timeout_s), self._signing.turn(request.address.path):
                while True:
                    intent = progress.signed = await self._sign_when_possible(request, progress)
                    # Shielded: the resolution goes on for other waiters when this request's time is over.
                    resolution = await asyncio.shield(self._resolver.resolve(intent))
                    if resolution.intent.stage != RejectionCause.SLOT_TAKEN:
                        return require_confirmed(resolution.intent)
                    # Another block has the slot, so this one can never pay: signing the request again cannot pay twice.
                    progress.signed = None
                    request = request.instead_of(intent.id)
        except CommitUnclear as error:
            raise unclear_commit(error.intent_id) from None
        except TimeoutError:
            raise progress.timeout_error() from None

    async def resume(self, block_hash: bytes) -> Intent | None:
        """Waits for the outcome of one of our blocks; None when there is no such block.

        Raises:
            OutcomeUnknown: the outcome is still open when the time is over.
        """
        try:
            async with self._deadlines.limit(self._timeout_s):
                resolution = await self._resolver.wait(block_hash)
        except TimeoutError:
            raise unknown_outcome(block_hash) from None
        return None if resolution is None else resolution.intent

    def drain(self) -> None:
        """Ends all waiting requests with what is known now, because the process is about to stop."""
        self._deadlines.end()

    async def _sign_when_possible(self, request: BlockRequest, progress: Progress) -> Intent:
        """Signs the request; first resolves an earlier open block and searches work, where one is in the way."""
        work: Work | None = None
        while True:
            await self._node_network.require()
            await self._node_clock.require_steady()
            try:
                return await self._signing.sign(self._drafts.draft(request, work))
            except BlockInTheWay as found:
                progress.waits_for = found.intent
                await asyncio.shield(self._resolver.resolve(found.intent))
                progress.waits_for = None
            except WorkNeeded as needed:
                found_work = await self._work.work_for(needed.target, needed.timestamp_ms)
                work = Work(target=needed.target, work=found_work)


def unclear_commit(block_hash: bytes | None) -> OutcomeUnknown:
    if block_hash is None:
        return OutcomeUnknown("The database does not answer; whether the transaction was signed is not known")
    shown = block_hash.hex().upper()
    return OutcomeUnknown(
        f"The database does not say whether transaction {shown} was stored. Once it answers, ask "
        f"GET /wallets/accounts/transactions/{shown}: if it is not there, nothing was signed. "
        "Or repeat the request with the same Idempotency-Key"
    )


def held_by(intent: Intent) -> Unavailable:
    """The error for a request behind an open block that stays open; its message tells the operator what to do."""
    block = transaction_of(intent).block
    return Unavailable(
        f"Timed out before anything was signed; it is safe to try again. Account {block.address.uri} waits for its "
        f"transaction {block.hash.hex().upper()} at height {block.height}, which the network has neither confirmed nor "
        "refused. If that lasts because the network was reset or the node restored, the operator puts it right with "
        "`strongroom atto reconcile`",
        code="account_held",
    )
