"""Notices what happens to our accounts elsewhere: the same seed in another wallet, another replica, a restored backup.

A state that the node reports is believed when the account's own key signed it: the frontier's transaction is
fetched and its hash, signature, account, height, balance and network are compared.
"""

from collections.abc import Callable, Sequence

import structlog
from sqlalchemy import select, update

from strongroom.atto import tables
from strongroom.atto.gateway import InvalidNodeResponse, Node
from strongroom.atto.gateway.proof import require_signature
from strongroom.atto.protocol import AccountState, Address, Block, ChangeBlock, Network, OpenBlock
from strongroom.atto.records import AccountRecord, load_account, state_values
from strongroom.atto.transactions.publishing import OpenBlocks
from strongroom.atto.wallets.watched_addresses import MonitoredAddresses
from strongroom.core.coordination.loops import Incomplete
from strongroom.core.errors import Unavailable
from strongroom.core.runtime.fault_text import fault_text
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.storage.database import Database

SHOWN = 12
"""Characters of an address in health: enough to find it in the log, too few to be one."""

log = structlog.get_logger(__name__)

RETRY_S = 3.0


class Follower:
    """Brings the stored states up to the node's, forwards only."""

    def __init__(
        self,
        *,
        node: Node,
        database: Database,
        network: Network,
        monitored: MonitoredAddresses,
        open_blocks: OpenBlocks,
        moved: Callable[[AccountState], None],
        metrics: Metrics,
    ) -> None:
        """`moved` is called with every state that was taken over."""
        self._node = node
        self._database = database
        self._network = network
        self._monitored = monitored
        self._open_blocks = open_blocks
        self._moved = moved
        self._heights: dict[bytes, int] = {}
        self._overdue: dict[bytes, AccountState] = {}
        self._why = ""
        self._external = metrics.counter(
            "strongroom_atto_external_changes", "Account states taken over from the node."
        )

    async def load(self) -> None:
        """Reads the stored heights, so that the replay of a stream costs no statement per account."""
        rows = await self._database.fetch_all(select(tables.chain.c.public_key, tables.chain.c.height))
        self._heights = {row.public_key: row.height for row in rows}

    def settled(self, public_key: bytes, height: int) -> None:
        """Notes a confirmed block of ours, so that its echo on the stream is ignored."""
        self._heights[public_key] = max(height, self._heights.get(public_key, 0))

    async def retry(self) -> None:
        """Verifies again what could not be verified before, because the stream tells of a state only once.

        Raises:
            Incomplete: some of it still cannot be.
        """
        overdue, self._overdue = self._overdue, {}
        for state in overdue.values():
            await self.handle(state)
        if self._overdue:
            raise Incomplete(f"{len(self._overdue)} account states are not taken over: {self._why}")

    async def handle(self, state: AccountState) -> None:
        """Takes one item of the accounts stream; one that cannot be verified must wait, and is logged."""
        if state.height <= self._heights.get(state.public_key, 0) or self._open_blocks.is_running(
            state.frontier
        ):
            return
        self._open_blocks.moved(state.public_key)
        try:
            await self.take_over(state)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one account, the others are followed
            self._overdue[state.public_key] = state
            path = Address(public_key=state.public_key).path
            self._why = f"{path[:SHOWN]}…: {fault_text(error)}"
            log.warning("account state not taken over yet", why=self._why, height=state.height)

    async def refresh(self, addresses: Sequence[Address]) -> None:
        """Asks the node for the present states, for example of accounts that were just created."""
        for state in await self._node.accounts(addresses):
            await self.handle(state)

    async def take_over(self, state: AccountState) -> None:
        """Verifies a state and stores it unless the account is already there or further.

        A block of ours whose outcome is open is left to its resolver, here or on another replica, which knows more of
        it than the node's history.

        Raises:
            InvalidNodeResponse: it is not what the account's key signed.
        """
        address = Address(public_key=state.public_key)
        if address not in self._monitored:
            return
        account = await self._database.read(
            lambda connection: load_account(connection, address, self._network)
        )
        if account.open_block == state.frontier:
            return
        if account.height < state.height:
            _require_follows(account, await self._verify(state), state)
            statement = (
                update(tables.chain)
                .where(tables.chain.c.address == address.path, tables.chain.c.height < state.height)
                .values(state_values(state))
            )
            # The stream and a resolver may bring the same news at the same time.
            if await self._database.write(lambda connection: connection.execute(statement).rowcount):
                self._external.inc()
                log.info("account moved elsewhere", address=address.path, height=state.height)
                self._moved(state)
        self.settled(state.public_key, state.height)

    async def _verify(self, state: AccountState) -> Block:
        """The account's last block, which says what the state says."""
        if state.network is not self._network:
            raise InvalidNodeResponse(
                f"The node speaks for the network {state.network.name}, not {self._network.name}"
            )
        transaction = await self._node.transaction(state.frontier)
        if transaction is None:
            raise Unavailable("The node does not have the account's last transaction yet")
        block = transaction.block
        require_signature(transaction, "the account's last transaction")
        said = (state.network, state.public_key, state.height, state.balance, state.timestamp_ms)
        signed = (block.network, block.public_key, block.height, block.balance, block.timestamp)
        if said != signed:
            raise InvalidNodeResponse("The node's account state is not what its last transaction says")
        return block


def _require_follows(account: AccountRecord, block: Block, state: AccountState) -> None:
    """Compares the representative, which is in no SEND or RECEIVE, as far as what we know of the account reaches."""
    if isinstance(block, OpenBlock | ChangeBlock):
        representative = block.representative_public_key
    elif account.state is not None and account.height == state.height - 1:
        representative = account.state.representative_public_key
    else:
        return
    if representative != state.representative_public_key:
        raise InvalidNodeResponse(
            "The node's account state has another representative than the account chose"
        )
