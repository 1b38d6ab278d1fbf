"""Atto in the world of intents: its drafts, effects and network as they are, before the chain of the sandbox without HTTP."""

import asyncio
import copy
import shutil
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, NoReturn, TypeVar, cast

from sqlalchemy import Connection, insert, select
from sqlalchemy.engine import URL

from strongroom.atto import tables
from strongroom.atto.definition import REVISIONS
from strongroom.atto.gateway import Node, NodeRejected, NodeUnavailable
from strongroom.atto.gateway.node_clock import NodeClock
from strongroom.atto.history.entries import insert_entries
from strongroom.atto.protocol import (
    AccountKeys,
    AccountState,
    Address,
    Block,
    Network,
    SendBlock,
    Transaction,
    send_block,
)
from strongroom.atto.records import AccountRecord, state_values
from strongroom.atto.transactions.blocks import transaction_of
from strongroom.atto.transactions.drafting import BlockDraft, BlockInTheWay, BlockRequest, Drafts, Work
from strongroom.atto.transactions.effects import BlockEffects
from strongroom.atto.transactions.publishing import BlockNetwork
from strongroom.atto.wallets.attempts import KeyAttempts
from strongroom.atto.wallets.holdings import WALLETS
from strongroom.atto.wallets.keyring import Keyring
from strongroom.atto.wallets.wallets import Wallets
from strongroom.core.coordination.guesses import Guesses
from strongroom.core.coordination.idempotency import Idempotency
from strongroom.core.errors import Conflict
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.network import Effects
from strongroom.core.intents.network import Network as IntentNetwork
from strongroom.core.intents.signing import Draft, Unsigned
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.access import Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.bindings import Bindings
from strongroom.core.security.keys.ring import ring_of
from strongroom.core.security.vault import KeyEncryptionKey, Vault
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.core.storage.migrations import migrate
from strongroom_sandbox.atto import Chain
from strongroom_sandbox.atto.chain.rejection import Rejected
from strongroom_sandbox.atto.chain.solver import find_work
from support.atto_account import AttoAccount
from support.clock import ManualClock, SeededEntropy
from support.intents.signing_model import InTheWay, SigningModel
from support.intents.world import Fault, Side
from support.trail import open_trail

T = TypeVar("T")
FUNDS = 10**9
CALLER = Principal(name="shop", scopes=frozenset({"atto:send"}))
STRANGER = Address(public_key=b"\x02" * 32)
RIVAL = Address(public_key=b"\x03" * 32)
RING = ring_of(KeyEncryptionKey(bytes(range(32))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A wallet with two open accounts: its database, and the chain that it is of."""

    path: Path
    chain: Chain
    owners: Mapping[str, AttoAccount]


class AttoModel(SigningModel):
    def __init__(self) -> None:
        template = _template()
        self.chain = copy.deepcopy(template.chain)
        self.owners = template.owners
        self.accounts: Sequence[str] = list(template.owners)
        self._offered: list[bytes] = []
        self._keyrings: dict[int, Keyring] = {}
        self._entries: dict[str, int] = {}

    async def new_database(self, folder: Path) -> URL:
        path = folder / "atto.sqlite3"
        shutil.copy(_template().path, path)
        return sqlite_url(str(path))

    def connect(self, side: Side, database: Database) -> tuple[IntentNetwork, Effects[Any]]:
        node = cast("Node", ChainNode(side, self.chain, self._offered))

        async def overtaken(state: AccountState) -> None:
            """What the follower does with it."""

            def work(connection: Connection) -> None:
                columns = tables.chain.c
                is_behind = (columns.public_key == state.public_key, columns.height < state.height)
                values = state_values(state)
                connection.execute(tables.chain.update().where(*is_behind).values(values))

            await database.write(work)

        network = BlockNetwork(
            node=node, network=Network.LOCAL, node_clock=NodeClock(node, side.clock), overtaken=overtaken
        )
        effects = BlockEffects(
            network=Network.LOCAL,
            store_and_announce=insert_entries,
            confirmed=lambda _block, _is_complete: None,
            metrics=Metrics("world"),
        )
        return network, effects

    def draft(self, side: Side, account: str, amount: int) -> Draft:
        address = Address.parse(account)

        def build(record: AccountRecord, timestamp_ms: int) -> Block:
            assert record.state is not None
            return send_block(record.state, STRANGER.public_key, amount, timestamp_ms)

        request = BlockRequest(
            principal=CALLER,
            scope="atto:send",
            address=address,
            check=lambda _connection, _record: None,
            build=build,
            amount_raw=amount,
            destination=STRANGER,
        )
        node = cast("Node", ChainNode(side, self.chain, self._offered))
        drafts = Drafts(
            network=Network.LOCAL,
            node_clock=NodeClock(node, side.clock),
            keyring=self._keyring(side),
            idempotency=cast("Idempotency", None),  # no request here has a key
            policy=Guard(side.clock, Default.ALLOW, key=open_trail()),
        )
        return _Send(drafts, request)

    def draft_refused(self, side: Side, account: str, amount: int) -> None:
        """What a rule refuses is not signed."""

    def take_next_place(self, account: str) -> None:
        owner = self.owners[account]
        state = self.chain.account(owner.public_key)
        assert state is not None
        self.chain.confirm(owner.send(state, RIVAL, 1))

    def amounts_on_chain(self, account: str) -> list[int]:
        blocks = [one.block for one in self._transactions(account)]
        ours = STRANGER.public_key
        return [
            one.amount for one in blocks if isinstance(one, SendBlock) and one.receiver_public_key == ours
        ]

    def is_on_chain(self, intent: Intent) -> bool:
        return self.chain.transaction(intent.id) is not None

    def may_still_be(self, intent: Intent) -> bool:
        block = transaction_of(intent).block
        state = self.chain.account(block.public_key)
        return state is not None and state.frontier == block.work_target

    def offered(self) -> list[bytes]:
        return self._offered

    async def books_are_right(self, database: Database, account: str) -> bool:
        """What is stored is a true state; it may be behind a rival's last block, which only the stream tells."""
        row = await database.fetch_one(select(tables.chain).where(tables.chain.c.address == account))
        assert row is not None
        true = self.chain.entries(row.public_key, row.height, row.height)
        ours = [one.block.height for one in self._transactions(account) if _is_ours(one)]
        is_true = (row.balance, row.frontier) == (true[0].balance, true[0].hash)
        return is_true and row.pending is None and row.height >= max(ours, default=0)

    def _transactions(self, account: str) -> list[Transaction]:
        return self.chain.transactions(self.owners[account].public_key, 1, 10_000)

    def _keyring(self, side: Side) -> Keyring:
        found = self._keyrings.get(id(side))
        if found is None:
            found = self._keyrings[id(side)] = _new_keyring(side.clock)
        return found


def _is_ours(transaction: Transaction) -> bool:
    block = transaction.block
    return isinstance(block, SendBlock) and block.receiver_public_key == STRANGER.public_key


@dataclass(frozen=True, slots=True)
class _Send:
    """A draft with its work, which is found on the way."""

    drafts: Drafts
    request: BlockRequest

    def prepare(self, connection: Connection) -> Unsigned:
        account = self.request.address.path
        row = connection.execute(select(tables.chain).where(tables.chain.c.address == account)).one()
        work = Work(target=row.frontier, work=_work_for(row.frontier, self.drafts.node_clock.now_ms()))
        try:
            return BlockDraft(
                parts=self.drafts, request=self.request, work=work, now_ms=self.drafts.node_clock.now_ms()
            ).prepare(connection)
        except BlockInTheWay as found:
            if found.intent.is_open:
                raise InTheWay(found.intent) from None
            raise Conflict("The account has just moved on") from None

    def on_signed(self, connection: Connection, intent: Intent) -> None:
        BlockDraft(parts=self.drafts, request=self.request, work=None, now_ms=0).on_signed(connection, intent)


class ChainNode:
    """A node that goes wrong as its side says."""

    def __init__(self, side: Side, chain: Chain, offered: list[bytes]) -> None:
        self._side = side
        self._chain = chain
        self._offered = offered

    async def publish(self, transaction: Transaction) -> None:
        fault = await self._side.arrive()
        self._offered.append(transaction.hash)
        if fault in {"no connection", "lost request"}:
            self._away()
        refusal: Rejected | None = None
        if self._chain.transaction(transaction.hash) is None:
            try:
                self._chain.confirm(transaction)
            except Rejected as rejected:
                refusal = rejected
        await self._side.step()
        if fault == "lost answer":
            self._away()
        if fault == "lie":
            raise NodeRejected("The node rejected the transaction: OLD", reason="OLD_TRANSACTION")
        if refusal is not None:
            raise NodeRejected(f"The node rejected the transaction: {refusal.reason}", reason=refusal.reason)

    async def account(self, address: Address) -> AccountState | None:
        fault = await self._arrive()
        state = self._chain.account(address.public_key)
        if fault == "lie" and state is not None and state.height > 1:
            return self._older(state)
        return state

    async def accounts(self, addresses: Sequence[Address]) -> list[AccountState]:
        found = [await self.account(one) for one in addresses]
        return [one for one in found if one is not None]

    async def transaction(self, block_hash: bytes) -> Transaction | None:
        is_lie = await self._arrive() == "lie"
        return None if is_lie else self._chain.transaction(block_hash)

    async def transaction_at(self, address: Address, height: int) -> Transaction:
        await self._arrive()
        found = self._chain.transactions(address.public_key, height, height)
        return found[0] if found else self._away()

    async def clock_offset_ms(self) -> int:
        return 0

    def _older(self, state: AccountState) -> AccountState:
        """As it was one block ago: a node that is behind."""
        (before,) = self._chain.entries(state.public_key, state.height - 1, state.height - 1)
        changes = {
            "height": before.height,
            "balance": before.balance,
            "frontier": before.hash,
            "timestamp_ms": before.timestamp_ms,
        }
        fields = {name: getattr(state, name) for name in AccountState.__dataclass_fields__}
        return AccountState(**{**fields, **changes})

    async def _arrive(self) -> Fault | None:
        fault = await self._side.arrive()
        if fault in {"no connection", "lost request", "lost answer"}:
            self._away()
        await self._side.step()
        return fault

    @staticmethod
    def _away() -> NoReturn:
        raise NodeUnavailable("The node does not answer")


def _new_keyring(clock: ManualClock) -> Keyring:
    vault, bindings = Vault(RING, SeededEntropy()), Bindings(RING, WALLETS)
    return Keyring(
        vault=vault, bindings=bindings, clock=clock, cache_s=10**6, refused=lambda _name, _why: None
    )


@cache
def _work_for(target: bytes, moment_ms: int) -> bytes:
    return find_work(Network.LOCAL, moment_ms, target)


@cache
def _template() -> Template:
    """Made once."""
    path = Path(mkdtemp(prefix="strongroom-atto-")) / "template.sqlite3"
    return _in_a_loop_of_its_own(lambda: _make_template(path))


def _in_a_loop_of_its_own(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    with asyncio.Runner() as runner:
        return runner.run(make())


async def _make_template(path: Path) -> Template:
    clock, entropy, chain = ManualClock(), SeededEntropy(), Chain()
    database = Database(sqlite_url(str(path)))
    await migrate(database, [REVISIONS])
    keyring = _new_keyring(clock)
    audit = Audit(clock, open_trail())
    wallets = Wallets(
        database=database,
        vault=Vault(RING, entropy),
        bindings=Bindings(RING, WALLETS),
        keyring=keyring,
        audit=audit,
        entropy=entropy,
        attempts=KeyAttempts(database, keyring, Guesses("atto wallet key", clock), audit),
    )
    made = await wallets.create(CALLER, "shop")
    keys = AccountKeys(made.mnemonic.seed())
    owners: dict[str, AttoAccount] = {}
    for index in range(2):
        owner = AttoAccount(keys.private_key(index))
        funded = chain.faucet(owner.address, FUNDS, clock.now_ms())
        assert funded.receivable is not None
        opened = chain.confirm(owner.open(funded.receivable))
        owners[owner.address.path] = owner
        row: dict[str, Any] = {
            "address": owner.address.path,
            "public_key": owner.public_key,
            "wallet_name": "shop",
            "account_index": index,
            "origin": "created",
            "disabled": False,
            "entry_height": 1,
            **state_values(opened.account),
        }

        def store(connection: Connection, row: dict[str, Any] = row, entry: Any = opened.entry) -> None:
            connection.execute(insert(tables.chain), row)
            insert_entries(connection, "shop", [entry])

        await database.write(store)
    await database.close()
    return Template(path=path, chain=chain, owners=owners)
