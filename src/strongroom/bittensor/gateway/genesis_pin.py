"""Pins the chain of this installation: a signature for another chain could not be taken back."""

from typing import Final

from sqlalchemy import Connection, select

from strongroom.bittensor import tables
from strongroom.bittensor.gateway import WrongChain
from strongroom.bittensor.protocol.networks import Network
from strongroom.core.clock import Clock
from strongroom.core.storage.database import Database, insert_ignore

FINNEY_GENESIS: Final = bytes.fromhex("2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03")
ROW: Final = 1


class GenesisPin:
    """Stores the genesis hash of the first node, and refuses every later node with another hash."""

    def __init__(self, database: Database, network: Network, clock: Clock) -> None:
        self._database = database
        self._network = network
        self._clock = clock
        self._good: bytes | None = None

    async def check(self, genesis_hash: bytes) -> None:
        """Raises: WrongChain: this genesis is not that of the network, or not the one seen before."""
        if genesis_hash == self._good:
            return
        self._require_network(genesis_hash)
        pinned = await self._database.write(lambda connection: self._pin(connection, genesis_hash))
        self._require_same(pinned, genesis_hash)
        self._good = genesis_hash

    async def compare(self, genesis_hash: bytes) -> None:
        """Does what `check` does, but stores nothing. Raises: WrongChain."""
        self._require_network(genesis_hash)
        pinned = await self._database.read(_pinned)
        if pinned is not None:
            self._require_same(pinned, genesis_hash)

    def _require_network(self, genesis_hash: bytes) -> None:
        if (genesis_hash == FINNEY_GENESIS) != (self._network is Network.FINNEY):
            raise WrongChain(f"The node's chain is not {self._network}: its genesis is {genesis_hash.hex()}")

    def _require_same(self, pinned: tuple[str, bytes], genesis_hash: bytes) -> None:
        if pinned != (self._network, genesis_hash):
            raise WrongChain(
                f"This database is for {pinned[0]} with genesis {pinned[1].hex()}; the node serves"
                f" {self._network} with genesis {genesis_hash.hex()}"
            )

    def _pin(self, connection: Connection, genesis_hash: bytes) -> tuple[str, bytes]:
        row = {
            "id": ROW,
            "network": self._network.value,
            "genesis_hash": genesis_hash,
            "seen_at_ms": self._clock.now_ms(),
        }
        insert_ignore(connection, tables.chain, [row])
        found = _pinned(connection)
        if found is None:
            raise WrongChain("The chain that this database is for was taken out of it")
        return found


def _pinned(connection: Connection) -> tuple[str, bytes] | None:
    found = connection.execute(select(tables.chain.c.network, tables.chain.c.genesis_hash)).first()
    return None if found is None else (found.network, found.genesis_hash)
