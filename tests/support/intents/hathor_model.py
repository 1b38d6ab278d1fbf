"""Hathor in the world of intents: its proposals, broadcasts and sweep as they are, with the sync of a chain beside them."""

import asyncio
import copy
import hashlib
import shutil
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, cast

from sqlalchemy import Connection, select, update
from sqlalchemy.engine import URL

from strongroom.core.errors import StrongroomError
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.intents.intent import Intent, Outcome
from strongroom.core.intents.network import Effects
from strongroom.core.intents.network import Network as IntentNetwork
from strongroom.core.runtime.telemetry import Metrics
from strongroom.core.security.audit import Audit
from strongroom.core.security.policy import SigningGate
from strongroom.core.storage.database import Database, sqlite_url
from strongroom.hathor import tables
from strongroom.hathor.gateway.network_rules import Versions
from strongroom.hathor.proposals.broadcast_policy import BroadcastPolicy, wallet_caller
from strongroom.hathor.proposals.broadcaster import PACE, BroadcastResult, ProposalEffects, TransactionNetwork
from strongroom.hathor.proposals.store import cancel, propose
from strongroom.hathor.proposals.submitter import Submitter
from strongroom.hathor.proposals.sweeper import UNSEEN_S, ProposalSweep
from strongroom.hathor.proposals.utxo_locks import ProposalRefused
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.transactions import Input, Output, Transaction
from strongroom.hathor.sync.batch import apply_batch
from strongroom.hathor.tables import CANCELLED, SENT
from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.vertices import BLOCK, TRANSACTION, Outpoint, Vertex
from support.clock import START_MS, ManualClock
from support.hathor.scenes import NOW_S, address, pay, text_address
from support.hathor.signing import PARENTS
from support.hathor.streams import OUTBOX, RULES, apply, prepare
from support.intents.hathor_network import COIN, LARGEST, HathorNetwork, SidedNode
from support.intents.world import Model, Replica, Side, World
from support.trail import open_trail

ACCOUNTS = ("alice", "bob")
COINS = 3
OUTPUT = tables.tx_output.c
OUTPUTS = select(
    OUTPUT.tx_id,
    OUTPUT.index.label("place"),
    OUTPUT.value,
    OUTPUT.spent_by,
    OUTPUT.voided,
    OUTPUT.tx_proposal,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed:
    """A payment as its wallet announced it."""

    id: str
    account: str
    transaction: Transaction

    def form(self, number: int) -> Transaction:
        """Signed and mined; another number is the same payment in other bytes."""
        signed = self.transaction.with_input_data((b"signed",) * len(self.transaction.inputs))
        return replace(signed, nonce=number)


class HathorModel(Model):
    accounts: Sequence[str] = ACCOUNTS
    pace = PACE
    keeps_counts = True

    def __init__(self) -> None:
        self._chain = copy.deepcopy(_template().chain)
        self._network: HathorNetwork | None = None
        self._path: Path | None = None
        self._latest: dict[str, Outpoint] = {}
        self._sides: list[Replica] = []
        self._forms: dict[str, list[str]] = {}
        self._amounts: dict[str, tuple[str, int]] = {}
        self._asking: Counter[str] = Counter()

    @property
    def network(self) -> HathorNetwork:
        assert self._network is not None
        return self._network

    async def new_database(self, folder: Path) -> URL:
        self._path = folder / "hathor.sqlite3"
        shutil.copy(_template().path, self._path)
        return sqlite_url(str(self._path))

    def connect(self, side: Side, database: Database) -> tuple[IntentNetwork, Effects[Any]]:
        del database
        if self._network is None:
            assert self._path is not None
            self._network = HathorNetwork(self._chain, side.clock, self._path)
        network = TransactionNetwork(SidedNode(side, self._network), side.clock)
        return network, ProposalEffects(side.clock, Metrics("world"))

    def request(
        self, replica: Replica, account: str, amount: int, *, is_refused: bool
    ) -> Coroutine[Any, Any, None]:
        if replica not in self._sides:
            self._sides.append(replica)
        return self._pay(replica, account, amount + LARGEST if is_refused else amount)

    async def sweep(self, replica: Replica) -> None:
        """What the process that leads does: it follows the chain, and looks after proposals."""
        clock = replica.side.clock
        work = partial(
            apply_batch,
            events=self.network.events(),
            rules=RULES,
            outbox=OUTBOX,
            now_s=clock.now_ms() // 1000,
        )
        await replica.database.write(work)
        node = SidedNode(replica.side, self.network)
        await ProposalSweep(
            replica.database, replica.resolver, node, clock, lambda _connection, _id: None
        ).sweep()

    def take_next_place(self, account: str) -> None:
        coin = self._latest.get(account)
        if coin is not None:
            self.network.rival(coin, account)

    def amounts_on_chain(self, account: str) -> list[int]:
        paid = [self._amounts[one] for one in self._amounts if self.network.is_live(one)]
        return [amount for owner, amount in paid if owner == account]

    def is_true(self, intent: Intent) -> bool:
        """What was sent may be voided by another's later block; nobody can know that before."""
        tx_id = intent.id.hex()
        if intent.outcome is Outcome.ACCEPTED:
            return self.network.was_taken(tx_id)
        return intent.outcome is Outcome.REJECTED and not self.network.is_live(tx_id)

    async def assert_told(self, world: World, intents: Sequence[Intent]) -> None:
        del intents
        await world.advance(UNSEEN_S + 1)
        for _ in range(2):
            await world.sweep(0)
            await world.advance(1)
        assert not self.network.wrongs

    def offered(self) -> list[bytes]:
        return self.network.offered

    async def books_are_right(self, database: Database, account: str) -> bool:
        """In the end each output is spent by whom the chain says, and none is held for what is over."""
        found = await database.fetch_all(select(tables.tx_proposal))
        proposals: dict[str, str] = {row.id: row.status for row in found}
        # The same bytes may be those of several proposals, one after the other.
        sent = [tx_id for one, status in proposals.items() if status == SENT for tx_id in self._forms[one]]
        for proposal, status in proposals.items():
            forms = self._forms[proposal]
            assert status in {SENT, CANCELLED}, (proposal, status)
            assert status != SENT or any(map(self.network.was_taken, forms)), proposal
            assert status == SENT or not any(map(self.network.is_live, set(forms) - set(sent))), proposal
        assert not await database.fetch_all(select(tables.held_output))
        rows = await database.fetch_all(OUTPUTS.where(OUTPUT.address == text_address(account)))
        marked = [row for row in rows if row.tx_proposal is not None]
        assert all(row.spent_by and proposals[row.tx_proposal] == SENT for row in marked), marked
        stored = {(row.tx_id, row.place): row.spent_by for row in rows if not row.voided}
        return stored == self.network.outputs(text_address(account))

    async def _pay(self, replica: Replica, account: str, amount: int) -> None:
        """A wallet's way, which its amount decides: what it does at once, and what after a failure."""
        at_once, afterwards = amount % 4, amount // 4 % 3
        proposed = await self._propose(replica, account, amount)
        if proposed is None:
            return
        other = next((one for one in reversed(self._sides) if one is not replica), replica)
        if at_once == 1:
            other.background.start(self._send(other, proposed, 0))
        elif at_once == 2:
            other.background.start(self._send(other, proposed, 1))
        elif at_once == 3:
            other.background.start(self._give_up(other, proposed))
        if await self._send(replica, proposed, 0) is not False:
            return
        if afterwards == 0:
            await self._send(replica, proposed, 0)
        elif afterwards == 1 and (anew := await self._propose(replica, account, amount)) is not None:
            await self._send(replica, anew, 0)
        elif afterwards == 2:
            await self._send(replica, proposed, 1)

    async def _propose(self, replica: Replica, account: str, amount: int) -> Proposed | None:
        clock, database = replica.side.clock, replica.database
        now_s = clock.now_ms() // 1000
        with suppress(StrongroomError):
            free = (OUTPUT.spent_by.is_(None), ~OUTPUT.voided, OUTPUT.tx_proposal.is_(None))
            own = OUTPUTS.where(OUTPUT.address == text_address(account), *free)
            coin = await database.fetch_one(own.order_by(OUTPUT.tx_id, OUTPUT.index))
            if coin is None:
                return None
            outputs = ((amount, "payee"), (coin.value - amount, account))
            transaction = Transaction(
                inputs=(Input(tx_id=bytes.fromhex(coin.tx_id), index=coin.place),),
                outputs=tuple(
                    Output(value=each, token_data=0, script=Payment(address=address(name)).encode())
                    for each, name in outputs
                ),
                timestamp_s=now_s,
                weight=8.0,
                parents=PARENTS,
            )
            proposal = f"{len(self._forms):036}"
            self._forms[proposal] = []
            self._latest[account] = (coin.tx_id, coin.place)
            raw = transaction.encode()
            await database.write(lambda c: propose(c, proposal, account, transaction, raw, now_s))
            return Proposed(id=proposal, account=account, transaction=transaction)
        return None

    async def _send(self, replica: Replica, proposed: Proposed, form: int) -> bool | None:
        """True: it was told to be sent, False: to have failed, None: neither."""
        transaction = proposed.form(form)
        tx_id = transaction.id
        self._forms[proposed.id].append(tx_id)
        self._amounts[tx_id] = (proposed.account, transaction.outputs[0].value % LARGEST)
        self._asking[tx_id] += 1
        self.network.failed.discard(tx_id)
        try:
            result = await self._submitter(replica).send(
                proposed.account,
                proposed.id,
                transaction,
                transaction.encode(),
                wallet_caller(proposed.account, ""),
            )
        except ProposalRefused:
            self._asking[tx_id] -= 1
            return None
        except StrongroomError:
            return None  # it is not told anything
        return self._tell(tx_id, result)

    def _tell(self, tx_id: str, result: BroadcastResult | None) -> bool | None:
        if result is None:
            return None
        if result.status == SENT:
            if not self.network.was_taken(tx_id):
                self.network.wrongs.append(f"{tx_id} is called sent and did not arrive")
            return True
        self._asking[tx_id] -= 1
        if not self._asking[tx_id]:
            self.network.failed.add(tx_id)
        if self.network.is_live(tx_id):
            self.network.wrongs.append(f"{tx_id} is called failed and the node has it")
        return False

    async def _give_up(self, replica: Replica, proposed: Proposed) -> None:
        now_s = replica.side.clock.now_ms() // 1000
        with suppress(StrongroomError):
            await replica.database.write(partial(_cancel, proposed=proposed, now_s=now_s))

    @staticmethod
    def _submitter(replica: Replica) -> Submitter:
        return Submitter(
            database=replica.database,
            broadcaster=replica.resolver,
            versions=cast("Versions", None),  # nothing is verified here
            clock=replica.side.clock,
            network=MAINNET,
            verify=False,
            policy=BroadcastPolicy(
                SigningGate(
                    Guard(replica.side.clock, Default.ALLOW, key=open_trail()),
                    Audit(replica.side.clock, open_trail()),
                ),
                MAINNET,
            ),
        )


def _cancel(connection: Connection, proposed: Proposed, now_s: int) -> None:
    cancel(connection, proposed.id, proposed.account, now_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Two wallets with coins: the database, and the chain that it follows."""

    path: Path
    chain: Chain


@cache
def _template() -> Template:
    """Made once."""
    path = Path(mkdtemp(prefix="strongroom-hathor-")) / "template.sqlite3"
    genesis = Vertex(hash=_digest("genesis"), version=BLOCK, timestamp_s=NOW_S, outputs=[pay("genesis", 1)])
    coins = [pay(account, COIN) for account in ACCOUNTS for _ in range(COINS)]
    funds = Vertex(hash=_digest("funds"), version=TRANSACTION, timestamp_s=NOW_S, outputs=coins)
    chain = Chain(Journal(), [genesis, funds])
    with asyncio.Runner() as runner:
        runner.run(_make_template(path, chain))
    return Template(path=path, chain=chain)


async def _make_template(path: Path, chain: Chain) -> None:
    database = Database(sqlite_url(str(path)))
    await prepare(database)
    network = HathorNetwork(chain, ManualClock(), path)
    await apply(database, network.events(), window=100, now_s=START_MS // 1000)

    def claim(connection: Connection) -> None:
        for account in ACCOUNTS:
            is_its = tables.address.c.address == text_address(account)
            owned = {"wallet_id": account, "index": 0, "bip32_account": 0}
            connection.execute(update(tables.address).where(is_its).values(owned))

    await database.write(claim)
    await database.close()


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
