"""Puts requests on chains: draft, signature, publication, outcome. One at a time on an account, accounts in parallel.

A request becomes a block of its account's chain or is refused. A caller that cannot wait longer for the outcome gets
`OutcomeUnknown` with the hash to ask for.
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
from strongroom.core.intents.signing import CommitUnclear, Signing, SigningAttempt
from strongroom.core.runtime.deadlines import Deadlines


@dataclass(slots=True)
class Progress:
    """How far a request has come, for whoever waits when the time is over."""

    signed: Intent | None = None
    attempt: SigningAttempt | None = None
    waits_for: Intent | None = None
    """A block of the account whose outcome must be known first."""

    def given_up(self) -> OutcomeUnknown | Unavailable:
        if self.signed is not None:
            return unknown_outcome(self.signed.id)
        if self.attempt is not None:
            return unclear_commit(self.attempt.intent_id)
        if self.waits_for is not None:
            return held_by(self.waits_for)
        return Unavailable("Timed out before anything was signed; it is safe to try again")


class Submitter:
    """What SEND, CHANGE and the receiver hand their requests to."""

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
        """Returns the entry of the confirmed block (None where only the node's history can tell it).

        Raises:
            NotFound, Conflict, InvalidInput, Locked, Forbidden: nothing was signed.
            Unavailable: its turn or the work did not come in time; nothing was signed.
            BlockRejected: the node refused the block for good.
            OutcomeUnknown: signed, and its outcome is still open; or the database does not say whether it was.
        """
        progress = Progress()
        try:
            async with self._deadlines.limit(self._timeout_s), self._signing.turn(request.address.path):
                while True:
                    intent = progress.signed = await self._sign_patiently(request, progress)
                    resolution = await asyncio.shield(self._resolver.resolve(intent))
                    if resolution.intent.stage != RejectionCause.SLOT_TAKEN:
                        return require_confirmed(resolution.intent)
                    # Surely not paid: the request is checked again, and built on what took its place.
                    progress.signed = None
                    request = request.instead_of(intent.id)
        except TimeoutError:
            raise progress.given_up() from None

    async def resume(self, block_hash: bytes) -> Intent | None:
        """Waits for the outcome of a block of ours; None when there is no such block.

        Raises:
            OutcomeUnknown: it is still open when the time is over.
        """
        try:
            async with self._deadlines.limit(self._timeout_s):
                resolution = await self._resolver.wait(block_hash)
        except TimeoutError:
            raise unknown_outcome(block_hash) from None
        return None if resolution is None else resolution.intent

    def drain(self) -> None:
        """Answers whoever waits with what is known now: the process is about to stop."""
        self._deadlines.end()

    async def _sign_patiently(self, request: BlockRequest, progress: Progress) -> Intent:
        work: Work | None = None
        while True:
            await self._node_network.require()
            await self._node_clock.require_steady()
            progress.attempt = SigningAttempt()
            try:
                intent = await self._sign(request, work, progress.attempt)
            except BlockInTheWay as found:
                progress.attempt, progress.waits_for = None, found.intent
                await asyncio.shield(self._resolver.resolve(found.intent))
                progress.waits_for = None
            except WorkNeeded as needed:
                progress.attempt = None
                found_work = await self._work.work_for(needed.target, needed.timestamp_ms)
                work = Work(target=needed.target, work=found_work)
            else:
                progress.attempt = None
                return intent

    async def _sign(self, request: BlockRequest, work: Work | None, attempt: SigningAttempt) -> Intent:
        """Cancelled, it may commit all the same: `attempt` knows.

        Raises:
            BlockInTheWay, WorkNeeded: that comes first.
        """
        try:
            return await self._signing.sign(self._drafts.draft(request, work), attempt)
        except CommitUnclear as error:
            raise unclear_commit(error.intent_id) from None


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
    """The account may sign nothing else; the person who can act on it is told what to do."""
    block = transaction_of(intent).block
    return Unavailable(
        f"Timed out before anything was signed; it is safe to try again. Account {block.address.uri} waits for its "
        f"transaction {block.hash.hex().upper()} at height {block.height}, which the network has neither confirmed nor "
        "refused. If that lasts because the network was reset or the node restored, the operator puts it right with "
        "`strongroom atto reconcile`",
        code="account_held",
    )
