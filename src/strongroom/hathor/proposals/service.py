"""Makes, finds and cancels proposals for callers. The submitter sends them.

The current API gives a proposal to its own wallet only. The first API names wallets and proposals by their ids.
"""

import uuid

from sqlalchemy import Connection

from strongroom.core.clock import Entropy
from strongroom.core.errors import OutcomeUnknown, StrongroomError
from strongroom.core.guard.approvals.withdrawal import Withdrawals
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.proposals.coin_selection import Draft, Drafter, Payee
from strongroom.hathor.proposals.sent import find_sent
from strongroom.hathor.proposals.store import Proposal, cancel, find_proposal, propose
from strongroom.hathor.proposals.utxo_locks import LockedUtxo, Outpoint, ProposalRefused
from strongroom.hathor.protocol.transactions import MAX_COUNT, Transaction
from strongroom.hathor.wallets.access import WalletReader, require_ready
from strongroom.hathor.wallets.jwt import Principal
from strongroom.hathor.wallets.registry import Wallet, WalletNotFound, find_wallet

CHOICES = 8
"""Attempts at a choice. Another proposal may take the chosen outputs first."""
TAKEN = frozenset({"inputs-already-used", "inputs-not-found"})
ID_BYTES = 16
GIVEN_UP = "The proposal was given up"


class ProposalUnclear(OutcomeUnknown):
    """The proposal may hold the outputs, until it expires or the caller cancels it."""

    def __init__(self, proposal_id: str) -> None:
        super().__init__("The database does not say whether the proposal is stored")
        self.proposal_id = proposal_id


class Proposals:
    """Makes proposals and gives them up, each in one transaction."""

    def __init__(
        self, reader: WalletReader, versions: Versions, entropy: Entropy, withdrawals: Withdrawals
    ) -> None:
        self._reader = reader
        self._database = reader.database
        self._versions = versions
        self._entropy = entropy
        self._withdrawals = withdrawals

    async def propose(
        self, principal: Principal, transaction: Transaction, raw: bytes
    ) -> tuple[str, list[LockedUtxo]]:
        """Stores a proposal; returns its id, and the outputs that it holds, in their order.

        Raises:
            ProposalRefused, and as `WalletReader.ready`: nothing is held.
            ProposalUnclear: the database does not say whether it is stored.
        """
        # Before the transaction, because this may ask the node.
        max_inputs, max_outputs = await self.limits()
        if len(transaction.outputs) > max_outputs:
            raise ProposalRefused("too-many-outputs", outputs=len(transaction.outputs))
        proposal_id = self._new_id()

        def work(connection: Connection) -> list[LockedUtxo]:
            wallet = self._reader.ready(connection, principal)
            held = propose(connection, proposal_id, wallet.id, transaction, raw, self._reader.now_s)
            if len(held) > max_inputs:
                raise ProposalRefused("too-many-inputs", inputs=len(held))
            return held

        try:
            held = await self._database.write(work)
        except OutcomeUnknown as error:
            raise ProposalUnclear(proposal_id) from error
        return proposal_id, sorted(held, key=lambda each: (each.tx_id, each.index))

    async def draft(
        self, wallet_id: str, payees: list[Payee], spent: list[Outpoint], drafter: Drafter
    ) -> tuple[str, Draft]:
        """Chooses outputs that pay `payees`, or takes those that the caller names, and holds them.

        Raises:
            ProposalRefused, WalletNotFound, WalletNotReady: nothing is held.
        """
        proposal_id = self._new_id()

        def work(connection: Connection) -> Draft:
            wallet = _ready_wallet(connection, wallet_id)
            return drafter.draft(connection, wallet, proposal_id, payees, spent, self._reader.now_s)

        for choice in range(1, CHOICES + 1):
            try:
                return proposal_id, await self._database.write(work)
            except ProposalRefused as error:
                # Where the caller named the outputs, another choice is not what it asked for.
                if spent or error.error not in TAKEN or choice == CHOICES:
                    raise
        raise AssertionError("unreachable")

    async def find(self, proposal_id: str, wallet_id: str | None) -> Proposal:
        """Finds a proposal; `wallet_id` None: of any wallet. Raises: ProposalRefused: there is none, or another wallet has it."""
        return await self._database.read(lambda connection: find_proposal(connection, proposal_id, wallet_id))

    async def find_with_transaction(self, proposal_id: str) -> tuple[Proposal, bytes | None]:
        """Finds a proposal, and its transaction as it was proposed or went out. Raises: ProposalRefused."""

        def work(connection: Connection) -> tuple[Proposal, bytes | None]:
            proposal = find_proposal(connection, proposal_id, None)
            return proposal, proposal.proposed or find_sent(connection, proposal.id)

        return await self._database.read(work)

    async def cancel(self, principal: Principal, proposal_id: str) -> None:
        """Cancels a proposal of the caller. Raises: ProposalRefused, WalletNotFound, and as `WalletReader.known`."""

        def work(connection: Connection) -> None:
            # The original says first whether the proposal exists, and only then that the wallet does not.
            if self._reader.known(connection, principal) is None:
                find_proposal(connection, proposal_id, principal.wallet_id)
                raise WalletNotFound
            self._cancel(connection, proposal_id, principal.wallet_id)

        await self._database.write(work)

    async def cancel_any(self, proposal_id: str) -> None:
        """Cancels a proposal of any wallet. Raises: ProposalRefused."""
        await self._database.write(lambda connection: self._cancel(connection, proposal_id, None))

    def _cancel(self, connection: Connection, proposal_id: str, wallet_id: str | None) -> None:
        """Nobody has to decide about its transaction any more."""
        cancel(connection, proposal_id, wallet_id, self._reader.now_s)
        self._withdrawals.withdraw(connection, {"proposal": proposal_id}, GIVEN_UP)

    async def limits(self) -> tuple[int, int]:
        """Returns the most inputs and outputs. While the node is away these are the protocol's: it judges later itself."""
        try:
            rules = await self._versions.rules()
        except StrongroomError:
            return MAX_COUNT, MAX_COUNT
        return rules.max_number_inputs, rules.max_number_outputs

    def _new_id(self) -> str:
        return str(uuid.UUID(bytes=self._entropy.token(ID_BYTES), version=4))


def _ready_wallet(connection: Connection, wallet_id: str) -> Wallet:
    wallet = find_wallet(connection, wallet_id)
    if wallet is None:
        raise WalletNotFound
    return require_ready(wallet)
