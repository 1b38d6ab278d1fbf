"""A Hathor network whose node takes, loses, delays and denies transactions, and looks into the service's books meanwhile.

Each transaction that reaches the node is held against what the service has stored at that moment: a payment that arrives
after it was called failed, or whose outputs are free already, is written down in `wrongs`.
"""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from strongroom.hathor.gateway import NodeUnavailable
from strongroom.hathor.gateway.push import TIMEOUT_S, NotDelivered, Presence
from strongroom.hathor.proposals.broadcaster import PUSH_WINDOW_S
from strongroom.hathor.protocol.addresses import MAINNET
from strongroom.hathor.protocol.events import Event, RawEvent, read_event
from strongroom.hathor.protocol.transactions import Transaction, parse_transaction
from strongroom_sandbox.hathor.chain import Chain
from strongroom_sandbox.hathor.node import vertex_of
from strongroom_sandbox.hathor.vertices import TRANSACTION, Outpoint, Vertex
from support.clock import ManualClock
from support.hathor.scenes import pay
from support.intents.world import Side

LARGEST = 100_000
"""The network takes no payment above it."""
LATE_S = 8.0
"""After so long a request that was thought lost arrives all the same."""
LAG_S = 8.0
"""For so long after a transaction came a node that is behind does not have it."""
COIN = 10**9


class HathorNetwork:
    """The chain, the service's database as a stranger reads it, and what was wrong with them."""

    def __init__(self, chain: Chain, clock: ManualClock, path: Path) -> None:
        self.chain = chain
        self.clock = clock
        self.wrongs: list[str] = []
        self.offered: list[bytes] = []
        self.failed: set[str] = set()
        """Transactions that were called failed, of which nobody asks any more."""
        self.arrived_s: dict[str, float] = {}
        self._path = path
        self._events: list[Event] = []
        self._late: set[asyncio.Task[None]] = set()
        self._lost = 0
        self._rivals = 0

    def was_taken(self, tx_id: str) -> bool:
        return tx_id in self.arrived_s

    def is_live(self, tx_id: str) -> bool:
        return tx_id in self.chain.vertices and self.chain.vertices[tx_id].live

    def events(self) -> list[Event]:
        for line in self.chain.journal.events[len(self._events) :]:
            self._events.append(read_event(msgspec.json.decode(line, type=RawEvent)))
        return self._events

    def outputs(self, owner: str) -> dict[Outpoint, str | None]:
        """Of an address: each that is live, and what spends it."""
        chain, found = self.chain, dict[Outpoint, str | None]()
        for vertex in chain.vertices.values():
            for index, output in enumerate(vertex.outputs):
                if vertex.live and output.address == owner:
                    spender = chain.live_spender((vertex.hash, index))
                    found[vertex.hash, index] = spender.hash if spender else None
        return found

    def take(self, raw: bytes) -> str | None:
        """None: it is in the mempool now; else why not."""
        transaction = parse_transaction(raw)
        if transaction.id in self.chain.vertices:
            return "Transaction already exists"
        if max(output.value for output in transaction.outputs[:1]) > LARGEST:
            return "Invalid transaction: it breaks a rule"
        spent = [(one.tx_id.hex(), one.index) for one in transaction.inputs]
        if not all(self.chain.is_spendable(one, transaction.timestamp_s) for one in spent):
            return "At least one of your inputs has already been spent"
        self._look_at_arrival(transaction, raw)
        self.chain.add_transaction(vertex_of(transaction, MAINNET))
        self.arrived_s[transaction.id] = self.clock.monotonic_s()
        return None

    def lose(self, raw: bytes) -> None:
        """Every other request that is lost only takes its time."""
        self._lost += 1
        if self._lost % 2:
            task = asyncio.get_running_loop().create_task(self._arrive_late(raw))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    def rival(self, coin: Outpoint, owner: str) -> None:
        """Another wallet of the owner's spends the coin: before us, or in a block although the node has ours; or it fails."""
        chain = self.chain
        if not chain.vertices[coin[0]].live:
            return
        spender = chain.live_spender(coin)
        if spender is not None:
            chain.void(spender)
            if not spender.raw:  # it was the rival's
                return
        self._rivals += 1
        chain.add_transaction(
            Vertex(
                hash=hashlib.sha256(b"rival %d" % self._rivals).hexdigest(),
                version=TRANSACTION,
                timestamp_s=self.clock.now_ms() // 1000,
                inputs=[coin],
                outputs=[pay("rival", 1), pay(owner, chain.output(coin).value - 1)],
            )
        )

    def look_at_push(self, raw: bytes) -> None:
        """Is called before the request leaves: only what is stored, in one form, and in its time goes out."""
        transaction = parse_transaction(raw)
        with closing(sqlite3.connect(self._path)) as books:
            sql = "SELECT payload, request, created_at_ms FROM strongroom_intent WHERE id = ?"
            row = books.execute(sql, (transaction.hash,)).fetchone()
            if row is None or row[0] != raw:
                self.wrongs.append(f"{transaction.id} is pushed and not stored")
                return
            sql = "SELECT COUNT(*) FROM strongroom_intent WHERE request = ? AND outcome <> 'REJECTED' AND id <> ?"
            if books.execute(sql, (row[1], transaction.hash)).fetchone()[0]:
                self.wrongs.append(f"{transaction.id} is pushed while another form may arrive")
        if self.clock.now_ms() - row[2] > PUSH_WINDOW_S * 1000:
            self.wrongs.append(f"{transaction.id} is pushed when nobody waits for it any more")

    def _look_at_arrival(self, transaction: Transaction, raw: bytes) -> None:
        if transaction.id in self.failed:
            self.wrongs.append(f"{transaction.id} arrives after it was called failed")
        with closing(sqlite3.connect(self._path)) as books:
            sql = "SELECT payload, outcome, json_extract(request, '$.proposal') FROM strongroom_intent WHERE id = ?"
            payload, outcome, proposal = books.execute(sql, (transaction.hash,)).fetchone()
            if payload != raw or outcome == "REJECTED":
                self.wrongs.append(f"{transaction.id} arrives and is {outcome}")
            sql = (
                "SELECT o.tx_proposal, h.proposal_id FROM tx_output o LEFT JOIN strongroom_hathor_held_output h"
                ' ON h.tx_id = o.tx_id AND h."index" = o."index" WHERE o.tx_id = ? AND o."index" = ?'
            )
            for spent in transaction.inputs:
                if books.execute(sql, (spent.tx_id.hex(), spent.index)).fetchone() != (proposal, proposal):
                    self.wrongs.append(f"{transaction.id} arrives and its outputs are not held")

    async def _arrive_late(self, raw: bytes) -> None:
        await self.clock.sleep(LATE_S)
        self.take(raw)


class SidedNode:
    """The node, as one replica reaches it."""

    def __init__(self, side: Side, network: HathorNetwork) -> None:
        self._side = side
        self._network = network

    async def push(self, raw: bytes) -> str | None:
        network, tx_id = self._network, parse_transaction(raw).hash
        network.look_at_push(raw)
        began_s = network.clock.monotonic_s()
        fault = await self._side.arrive()
        self._require_time(began_s)
        if fault == "no connection":
            raise NotDelivered("The node does not answer")
        network.offered.append(tx_id)
        if fault == "lost request":
            network.lose(raw)
            raise NodeUnavailable("The node does not answer")
        if fault == "lie":  # another node behind the same name, which is behind
            return "A parent does not exist"
        refusal = network.take(raw)
        await self._side.step()
        if fault == "lost answer":
            raise NodeUnavailable("The node does not answer")
        self._require_time(began_s)
        return refusal

    async def presence(self, tx_id: str) -> Presence:
        network = self._network
        began_s = network.clock.monotonic_s()
        fault = await self._side.arrive()
        if fault in {"no connection", "lost request", "lost answer"}:
            raise NodeUnavailable("The node does not answer")
        is_behind = fault == "lie" and network.clock.monotonic_s() - network.arrived_s.get(tx_id, 0) < LAG_S
        found = Presence.ABSENT
        if tx_id in network.chain.vertices and not is_behind:
            found = Presence.LIVE if network.is_live(tx_id) else Presence.VOIDED
        await self._side.step()
        self._require_time(began_s)
        return found

    def _require_time(self, began_s: float) -> None:
        """A process that stood still gives up what it asked: its time limit is over."""
        if self._network.clock.monotonic_s() - began_s > TIMEOUT_S:
            raise NodeUnavailable("The node does not answer in time")
