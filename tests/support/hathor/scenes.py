"""Chains made by hand: short scenes whose end is known."""

import hashlib
from collections.abc import Sequence

import msgspec

from strongroom.core.storage.database import Database
from strongroom.hathor.protocol.addresses import MAINNET, Address, AddressKind
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.sync.batch import Rules
from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.vertices import BLOCK, TOKEN_CREATION, TRANSACTION, Outpoint, Output, Vertex
from support.hathor.streams import apply

NOW_S = 1_700_000_000
REWARD = 3
RULES = Rules(network=MAINNET, reward_spend_min_blocks=REWARD)


def address(name: str) -> Address:
    return Address(kind=AddressKind.P2PKH, hash=hashlib.sha256(name.encode()).digest()[:20])


def text_address(name: str) -> str:
    return address(name).encode(MAINNET)


def pay(name: str, value: int, *, token_data: int = 0, timelock_s: int | None = None) -> Output:
    payee = address(name)
    return Output(
        value=value,
        token_data=token_data,
        script=Payment(address=payee, timelock_s=timelock_s).encode(),
        address=payee.encode(MAINNET),
        timelock_s=timelock_s,
    )


class Scene:
    """A chain, its events, and a database that follows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._count = 0
        self.applied = 0
        genesis = self._vertex(BLOCK, [pay("genesis", 1_000)])
        self.chain = Chain(Journal(), [genesis], reward_spend_min_blocks=REWARD)
        self.genesis: Outpoint = (genesis.hash, 0)

    def block(self, miner: str = "miner", previous: Vertex | None = None) -> Vertex:
        vertex = self._vertex(BLOCK, [pay(miner, 64)])
        vertex.previous = previous.hash if previous else None
        vertex.confirms = list(self.chain.mempool)
        self.chain.add_block(vertex)
        return vertex

    def send(self, spent: Sequence[Outpoint], outputs: list[Output], tokens: Sequence[str] = ()) -> Vertex:
        vertex = self._vertex(TRANSACTION, outputs, spent)
        vertex.tokens = list(tokens)
        self.chain.add_transaction(vertex)
        return vertex

    def create_token(self, spent: Sequence[Outpoint], outputs: list[Output]) -> Vertex:
        vertex = self._vertex(TOKEN_CREATION, outputs, spent)
        vertex.tokens, vertex.token_name, vertex.token_symbol = [vertex.hash], "Token", "TOK"
        self.chain.add_transaction(vertex)
        return vertex

    def events(self) -> list[Event]:
        """Those not applied yet."""
        lines = self.chain.journal.events[self.applied :]
        return [read_event(msgspec.json.decode(line, type=RawEvent)) for line in lines]

    async def sync(self, *, now_s: int = NOW_S, window: int = 1) -> None:
        await apply(self._database, self.events(), window=window, now_s=now_s, rules=RULES)
        self.applied = len(self.chain.journal.events)

    def _vertex(self, version: int, outputs: list[Output], spent: Sequence[Outpoint] = ()) -> Vertex:
        self._count += 1
        digest = hashlib.sha256(b"%d" % self._count).hexdigest()
        return Vertex(
            hash=digest, version=version, timestamp_s=NOW_S + self._count, inputs=list(spent), outputs=outputs
        )
