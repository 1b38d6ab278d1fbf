"""Sends proposals: the submitter checks the signed transaction, stores it, and waits for its outcome while a caller does."""

import asyncio
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection, select

from strongroom.core.clock import Clock
from strongroom.core.intents.network import Resolution
from strongroom.core.intents.steps import log_signed
from strongroom.core.runtime.deadlines import Deadlines
from strongroom.core.security.access import Principal
from strongroom.core.security.policy import Deferral
from strongroom.core.storage.database import Database
from strongroom.core.storage.statements import Statement, paired, select_pairs
from strongroom.hathor import tables
from strongroom.hathor.gateway.network_rules import NetworkRules, Versions
from strongroom.hathor.proposals.broadcast_policy import BroadcastPolicy
from strongroom.hathor.proposals.broadcaster import Broadcaster, BroadcastResult, result_of
from strongroom.hathor.proposals.checks import verify_same, verify_signed
from strongroom.hathor.proposals.parked import deferral_of
from strongroom.hathor.proposals.store import (
    already_sent,
    begin_broadcast,
    check_sendable,
    find_proposal,
    refuse,
)
from strongroom.hathor.proposals.utxo_locks import Outpoint, ProposalRefused
from strongroom.hathor.protocol.addresses import Address, Network, parse_address
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom.hathor.protocol.work import WeightRule
from strongroom.hathor.tables import SENT

LEDGER = "hathor"
WAIT_S = 45.0
"""Clients wait 60 s. Before that they hear that the outcome is not known yet."""
_output = tables.tx_output.c
OWNERS = Statement(
    select(_output.tx_id, _output.index, _output.address).where(paired(_output.tx_id, _output.index))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proposed:
    """The proposed transaction. `is_under_way`: these bytes passed every check, and their outcome is open."""

    transaction: Transaction
    is_under_way: bool


class Submitter:
    def __init__(
        self,
        *,
        database: Database,
        broadcaster: Broadcaster,
        versions: Versions,
        clock: Clock,
        network: Network,
        verify: bool,
        policy: BroadcastPolicy,
    ) -> None:
        """`verify`: signatures, weight and work are checked here before the node does."""
        self._database = database
        self._broadcaster = broadcaster
        self._versions = versions
        self._clock = clock
        self._network = network
        self._verify = verify
        self._policy = policy
        self._deadlines = Deadlines()

    async def send(
        self,
        wallet_id: str | None,
        proposal_id: str,
        transaction: Transaction,
        raw: bytes,
        caller: Principal,
    ) -> BroadcastResult | None:
        """Sends the transaction; returns its outcome, or None while that is open.

        A caller may send the same bytes again at any time. `wallet_id` None: the proposal may be of any wallet.
        `caller`: the wallet itself (`wallet_caller`), or who asks for it with an API token.

        Raises:
            ProposalRefused, Forbidden: nothing is sent. ApprovalNeeded: nor before people approve it.
            StrongroomError: the node or the database is away; nothing is sent.
            OutcomeUnknown: the database may have stored it; then it will be sent.
        """
        deferral = deferral_of(proposal_id, raw)
        resolving = await self._begin(wallet_id, proposal_id, transaction, raw, caller, deferral)
        if resolving is None:
            return BroadcastResult(status=SENT)
        try:
            async with self._deadlines.limit(WAIT_S):
                # The broadcast goes on when this caller stops waiting.
                return result_of((await asyncio.shield(resolving)).intent)
        except TimeoutError:
            return None

    async def send_approved(
        self, proposal_id: str, transaction: Transaction, raw: bytes, caller: Principal, approval: str
    ) -> None:
        """Begins to send what people approved. The broadcaster goes on. Raises: as `send`."""
        deferral = deferral_of(proposal_id, raw, approval)
        await self._begin(None, proposal_id, transaction, raw, caller, deferral)

    async def _begin(
        self,
        wallet_id: str | None,
        proposal_id: str,
        transaction: Transaction,
        raw: bytes,
        caller: Principal,
        deferral: Deferral,
    ) -> asyncio.Task[Resolution[None]] | None:
        """Stores the transaction and lets the broadcaster send it; None: it went out already."""
        # Checked here without a lock, so that a request which cannot succeed waits for none; `begin_broadcast` checks it again.
        proposed = await self._database.read(
            partial(_sendable, proposal_id=proposal_id, wallet_id=wallet_id, raw=raw, tx_id=transaction.id)
        )
        if proposed is None:
            return None
        # Clients sign what they proposed; anything else is an error of theirs or somebody else's transaction.
        verify_same(proposed.transaction, transaction)
        # What is being sent already passed this check, and its inputs may be spent by now: by this very transaction.
        if self._verify and not proposed.is_under_way:
            await self._check(wallet_id, proposal_id, transaction)
        intent = await self._policy.write(
            self._database,
            partial(
                begin_broadcast,
                proposal_id=proposal_id,
                wallet_id=wallet_id,
                raw=raw,
                tx_id=transaction.id,
                now_ms=self._clock.now_ms(),
                admit=partial(self._policy.admit, transaction=transaction, caller=caller, deferral=deferral),
            ),
        )
        if intent is None:
            return None
        if intent.is_new:
            log_signed(LEDGER, intent)
        return self._broadcaster.resolve(intent)

    async def _check(self, wallet_id: str | None, proposal_id: str, transaction: Transaction) -> None:
        weights = weight_rule(await self._versions.rules())
        owners = await self._database.read(partial(self._owners, transaction=transaction))
        try:
            verify_signed(transaction, owners, weights)
        except ProposalRefused:
            # The proposal ends, so that its outputs are free for the wallet's next attempt.
            now_s = self._clock.now_ms() // 1000
            await self._database.write(
                partial(refuse, proposal_id=proposal_id, wallet_id=wallet_id, now_s=now_s)
            )
            raise

    def drain(self) -> None:
        """Ends all waiting; the callers hear that the outcome is not known yet."""
        self._deadlines.end()

    def _owners(self, connection: Connection, transaction: Transaction) -> dict[Outpoint, Address]:
        outpoints = [(spent.tx_id.hex(), spent.index) for spent in transaction.inputs]
        rows = select_pairs(connection, OWNERS, outpoints)
        return {(tx_id, index): parse_address(address, self._network) for tx_id, index, address in rows}


def weight_rule(rules: NetworkRules) -> WeightRule:
    return WeightRule(
        minimum=rules.min_tx_weight,
        coefficient=rules.min_tx_weight_coefficient,
        k=rules.min_tx_weight_k,
    )


def _sendable(
    connection: Connection, proposal_id: str, wallet_id: str | None, raw: bytes, tx_id: str
) -> _Proposed | None:
    """Returns what was proposed; None: these bytes went out already."""
    proposal = find_proposal(connection, proposal_id, wallet_id)
    if already_sent(connection, proposal, raw, tx_id):
        return None
    check_sendable(proposal, raw)
    transaction = parse_transaction(proposal.proposed or b"")
    return _Proposed(transaction=transaction, is_under_way=proposal.sending_since_ms is not None)
