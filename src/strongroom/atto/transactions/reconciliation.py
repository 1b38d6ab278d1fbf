"""Compares the stored accounts with the node's chains, and judges one account for `strongroom atto reconcile`.

After a network was reset, or a node was restored from another history, the node lacks blocks that were confirmed here. The
command offers the same bytes again when the node can still take them. When it never can, the operator abandons them, and
the account continues from the node's chain.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from strongroom.atto import tables
from strongroom.atto.gateway import InvalidNodeResponse, Node
from strongroom.atto.gateway.proof import require_signature
from strongroom.atto.protocol import AccountState, Address, Network, OpenBlock, ReceiveBlock, Transaction
from strongroom.atto.records import AccountRecord, account_record, load_account
from strongroom.atto.transactions.blocks import transaction_of
from strongroom.core.errors import Conflict, NotFound, Unavailable
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import load_by_slot, load_intent
from strongroom.core.storage.database import Database


class Standing(enum.StrEnum):
    """How a stored account compares with the node's account."""

    SAME = "same"
    NODE_AHEAD = "the node is ahead: the service follows"
    NODE_BEHIND = "the node's chain ends before what was confirmed here"
    FORKED = "the node's chain has other blocks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    account: AccountRecord
    node: AccountState | None
    standing: Standing
    open_block: Intent | None

    @property
    def differs(self) -> bool:
        return self.standing is not Standing.SAME or self.open_block is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Divergence:
    """How far the stored chain and the node's chain agree, and which of our blocks come next."""

    account: AccountRecord
    node: AccountState | None
    common_height: int
    first_missing: Transaction | None
    """Our block above the common height; None when another wallet made it, so that we do not have its bytes."""
    may_be_accepted: bool
    """Whether the node could still take that block."""


class Reconciler:
    """Compares and judges accounts. It only reads: it signs nothing and changes nothing."""

    def __init__(self, *, node: Node, database: Database, network: Network) -> None:
        self._node = node
        self._database = database
        self._network = network

    async def require_network(self) -> None:
        """Makes sure that the node belongs to the configured network.

        Raises:
            Conflict: it does not, or it does not say so.
        """
        found = await self._node.network()
        if found is not self._network:
            named = f"is of the network {found.name}" if found else "does not name its network"
            raise Conflict(f"The node {named}; expected {self._network.name}", code="wrong_network")

    async def compare(self) -> list[Comparison]:
        """Every account that differs from the node's, or that has an open block."""
        rows = await self._database.fetch_all(select(tables.chain).order_by(tables.chain.c.address))
        accounts = [account_record(row, self._network) for row in rows]
        states = await self._node.accounts([account.address for account in accounts]) if accounts else []
        found = {state.public_key: state for state in states}
        compared = [await self._compare(one, found.get(one.address.public_key)) for one in accounts]
        return [one for one in compared if one.differs]

    async def judge(self, block_hash: bytes) -> Divergence:
        """Judges the account that has this block as its open block or its last stored block.

        Raises:
            NotFound: no account has it as either.
            Conflict: nothing is to be reconciled: the node has the block, or the resolver can decide it.
            InvalidNodeResponse: the node contradicts itself.
        """
        account = await self._named(block_hash)
        if await self._node.transaction(block_hash) is not None:
            raise Conflict("The node has this block: there is nothing to put right")
        state = await self._verified(account.address)
        common = await self._common_height(account, state)
        last = account.height + (account.open_block is not None)
        if common >= account.height and state is not None and state.height >= last:
            raise Conflict("Another block took its place: the service rejects it by itself")
        await self._require_absent(account, common)
        first = await self._block_after(await self._slot_after(account, common))
        return Divergence(
            account=account,
            node=state,
            common_height=common,
            first_missing=first,
            may_be_accepted=first is not None and await self._may_be_accepted(first, state),
        )

    async def missing_blocks(self, divergence: Divergence) -> list[Transaction]:
        """Our blocks above the common height, ascending, up to the first whose bytes we do not have."""
        found: list[Transaction] = []
        slot = await self._slot_after(divergence.account, divergence.common_height)
        while (transaction := await self._block_after(slot)) is not None:
            found.append(transaction)
            slot = transaction.hash
        return found

    async def _require_absent(self, account: AccountRecord, common: int) -> None:
        """Makes sure that the node really lacks our blocks: its account states may be old or false.

        Raises:
            InvalidNodeResponse: the node has one of our blocks above the common height.
        """
        if account.state is None or common >= account.height:
            return
        for ours in (await self._stored_hash(account.address, common + 1), account.state.frontier):
            if ours is not None and await self._node.transaction(ours) is not None:
                raise InvalidNodeResponse(
                    f"The node has block {ours.hex().upper()} of this account, but its chain of the account lacks it:"
                    " try again when the node has caught up"
                )

    async def _named(self, block_hash: bytes) -> AccountRecord:
        columns = tables.chain.c

        def work(connection: Connection) -> AccountRecord | None:
            query = select(columns.address).where(
                (columns.pending == block_hash) | (columns.frontier == block_hash)
            )
            row = connection.execute(query).first()
            return (
                None if row is None else load_account(connection, Address.parse(row.address), self._network)
            )

        account = await self._database.read(work)
        if account is None:
            shown = block_hash.hex().upper()
            raise NotFound(f"{shown} is neither an open nor the last block of an account here")
        return account

    async def _compare(self, account: AccountRecord, state: AccountState | None) -> Comparison:
        open_block = account.open_block
        block = (
            None
            if open_block is None
            else await self._database.read(lambda connection: load_intent(connection, open_block))
        )
        standing = await self._standing(account, state)
        return Comparison(account=account, node=state, standing=standing, open_block=block)

    async def _standing(self, account: AccountRecord, state: AccountState | None) -> Standing:
        height, frontier = (state.height, state.frontier) if state else (0, None)
        stored = account.state.frontier if account.state else None
        if (height, frontier) == (account.height, stored):
            return Standing.SAME
        if height > account.height:
            known = stored is None or await self._node.transaction(stored) is not None
            return Standing.NODE_AHEAD if known else Standing.FORKED
        if height < account.height:
            common = await self._common_height(account, state)
            return Standing.NODE_BEHIND if common == height else Standing.FORKED
        return Standing.FORKED

    async def _verified(self, address: Address) -> AccountState | None:
        """The node's state of the account, proven by the account's signature on its last block; None when it is not open."""
        state = await self._node.account(address)
        if state is None:
            return None
        transaction = await self._node.transaction(state.frontier)
        if transaction is None:
            raise Unavailable("The node does not have the account's last transaction")
        require_signature(transaction, "the account's last transaction")
        block = transaction.block
        claimed = (state.network, state.public_key, state.height, state.balance, state.timestamp_ms)
        signed = (block.network, block.public_key, block.height, block.balance, block.timestamp)
        if claimed != signed or block.network is not self._network or block.address != address:
            raise InvalidNodeResponse("The node's account state is not what its last transaction says")
        return state

    async def _common_height(self, account: AccountRecord, state: AccountState | None) -> int:
        """The highest height at which both chains have the same block.

        Each block contains the hash of the one before: if two chains agree at a height, they agree below it. So a binary
        search finds it.
        """
        low, high = 0, min(account.height, state.height if state else 0)
        while low < high:
            middle = (low + high + 1) // 2
            ours = await self._stored_hash(account.address, middle)
            theirs = (await self._node.transaction_at(account.address, middle)).hash
            low, high = (middle, high) if ours == theirs else (low, middle - 1)
        return low

    async def _stored_hash(self, address: Address, height: int) -> bytes | None:
        columns = tables.entry.c
        query = select(columns.hash).where(columns.address == address.path, columns.height == height)
        row = await self._database.fetch_one(query)
        return None if row is None else bytes(row.hash)

    async def _slot_after(self, account: AccountRecord, height: int) -> bytes | None:
        """The slot of the block above this height: its predecessor's hash; None when the history does not have it."""
        if height == 0:
            return account.address.public_key
        return await self._stored_hash(account.address, height)

    async def _block_after(self, slot: bytes | None) -> Transaction | None:
        if slot is None:
            return None
        intent = await self._database.read(lambda connection: load_by_slot(connection, slot))
        return None if intent is None else transaction_of(intent)

    async def _may_be_accepted(self, transaction: Transaction, state: AccountState | None) -> bool:
        """Whether the block follows the node's last block of the account, and the node has the send that it receives."""
        block = transaction.block
        if isinstance(block, OpenBlock):
            follows = state is None
        else:
            follows = state is not None and (state.frontier, state.height + 1) == (
                block.previous,
                block.height,
            )
        if follows and isinstance(block, OpenBlock | ReceiveBlock):
            return await self._node.transaction(block.send_hash) is not None
        return follows


def require_abandonable(divergences: Sequence[Divergence]) -> Divergence:
    """The divergence, if all the nodes that were asked agree on it.

    Raises:
        Conflict: a node could still take the block, or the nodes disagree.
    """
    first = divergences[0]
    for divergence in divergences:
        if divergence.may_be_accepted and divergence.first_missing is not None:
            shown = divergence.first_missing.hash.hex().upper()
            raise Conflict(
                f"The node could still take block {shown} at height {divergence.first_missing.block.height}: "
                "`strongroom atto reconcile --offer` offers the same bytes again",
            )
        if (divergence.common_height, divergence.node) != (first.common_height, first.node):
            raise Conflict("The nodes disagree about the account")
    return first
