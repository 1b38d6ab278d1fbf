"""Stores changes of our accounts that this process did not make.

Another replica, another wallet with the same seed, or the time before a restored backup may have added blocks. The follower
believes a state only if the account's own key signed it: it fetches the frontier's transaction and compares its hash,
signature, account, height, balance and network.
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
"""Health shows this many characters of an address: enough to find it in the log, too few to reveal it."""

log = structlog.get_logger(__name__)

RETRY_S = 3.0


class Follower:
    """Brings the stored states up to the node's. A state never goes back to a lower height."""

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
        """`moved` is called with every state that the follower stored."""
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
        """Reads all stored heights once, so that the replay of a stream needs no statement per account."""
        rows = await self._database.fetch_all(select(tables.chain.c.public_key, tables.chain.c.height))
        self._heights = {row.public_key: row.height for row in rows}

    def settled(self, public_key: bytes, height: int) -> None:
        """Notes the height of a confirmed block of ours, so that the same news from the stream is ignored."""
        self._heights[public_key] = max(height, self._heights.get(public_key, 0))

    async def retry(self) -> None:
        """Verifies again the states that could not be verified before; the stream sends each state only once.

        Raises:
            Incomplete: some of them still cannot be verified.
        """
        overdue, self._overdue = self._overdue, {}
        for state in overdue.values():
            await self.handle(state)
        if self._overdue:
            raise Incomplete(f"{len(self._overdue)} account states are not taken over: {self._why}")

    async def handle(self, state: AccountState) -> None:
        """Handles one item of the accounts stream. A state that cannot be verified is logged and kept for `retry`."""
        if state.height <= self._heights.get(state.public_key, 0) or self._open_blocks.is_running(
            state.frontier
        ):
            return
        self._open_blocks.moved(state.public_key)
        try:
            await self.take_over(state)
        except Exception as error:  # noqa: BLE001 - one bad account must not stop the others
            self._overdue[state.public_key] = state
            path = Address(public_key=state.public_key).path
            self._why = f"{path[:SHOWN]}…: {fault_text(error)}"
            log.warning("account state not taken over yet", why=self._why, height=state.height)

    async def refresh(self, addresses: Sequence[Address]) -> None:
        """Asks the node for the current states, for example of accounts that were just created."""
        for state in await self._node.accounts(addresses):
            await self.handle(state)

    async def take_over(self, state: AccountState) -> None:
        """Verifies a state and stores it, unless the stored state is at the same height or higher.

        The state of an open block of ours is left to the resolver, here or on another replica: the resolver also stores the
        block's outcome.

        Raises:
            InvalidNodeResponse: the account's key did not sign this state.
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
            # The condition on the height decides the race with a resolver that stores the same state.
            if await self._database.write(lambda connection: connection.execute(statement).rowcount):
                self._external.inc()
                log.info("account moved elsewhere", address=address.path, height=state.height)
                self._moved(state)
        self.settled(state.public_key, state.height)

    async def _verify(self, state: AccountState) -> Block:
        """The account's last block, once it matches the state and the signature is checked."""
        if state.network is not self._network:
            raise InvalidNodeResponse(
                f"The node's account state is of the network {state.network.name}, not {self._network.name}"
            )
        transaction = await self._node.transaction(state.frontier)
        if transaction is None:
            raise Unavailable("The node does not have the account's last transaction yet")
        block = transaction.block
        require_signature(transaction, "the account's last transaction")
        claimed = (state.network, state.public_key, state.height, state.balance, state.timestamp_ms)
        signed = (block.network, block.public_key, block.height, block.balance, block.timestamp)
        if claimed != signed:
            raise InvalidNodeResponse("The node's account state is not what its last transaction says")
        return block


def _require_follows(account: AccountRecord, block: Block, state: AccountState) -> None:
    """Checks the state's representative as far as possible.

    SEND and RECEIVE blocks do not contain it. For them it can be checked only if we know the state just before.

    Raises:
        InvalidNodeResponse: the representative is another one.
    """
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
