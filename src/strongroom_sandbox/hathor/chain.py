"""A block chain with its mempool: what is live, what spends what, and the events that each change causes.

The order of events is the node's: metadata changes of everything touched, then the acceptance of what came.
Consensus is simple: the longest branch is best, and of two spenders of an output the first one stays.
"""

from collections.abc import Iterable
from typing import Any

from strongroom.hathor.protocol.addresses import MAINNET, Network
from strongroom_sandbox.hathor.contracts import cannot_run
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.vertices import TOKEN_CREATION, Outpoint, Output, Vertex

CHANGED = "VERTEX_METADATA_CHANGED"
ACCEPTED = "NEW_VERTEX_ACCEPTED"
NC_FAIL = "6e632d6578656375" + "0" * 48
GENESIS_VALUE = 100_000_000_000


class Chain:
    def __init__(
        self,
        journal: Journal,
        genesis: Iterable[Vertex],
        *,
        network: Network = MAINNET,
        reward_spend_min_blocks: int = 10,
    ) -> None:
        self.journal = journal
        self.network = network
        self.reward_spend_min_blocks = reward_spend_min_blocks
        self.vertices: dict[str, Vertex] = {}
        self.spenders: dict[Outpoint, list[str]] = {}
        self.mempool: dict[str, None] = {}
        self.best = ""
        self.time_s = 0
        self._emit("LOAD_STARTED", {})
        for vertex in genesis:
            self._store(vertex)
            if vertex.is_block:
                self.best = vertex.hash
            self._accepted(vertex)
        self._emit("LOAD_FINISHED", {})

    @property
    def height(self) -> int:
        return self.vertices[self.best].height

    def output(self, outpoint: Outpoint) -> Output:
        return self.vertices[outpoint[0]].outputs[outpoint[1]]

    def live_spender(self, outpoint: Outpoint) -> Vertex | None:
        for tx_id in self.spenders.get(outpoint, ()):
            if self.vertices[tx_id].live:
                return self.vertices[tx_id]
        return None

    def is_spendable(self, outpoint: Outpoint, now_s: int) -> bool:
        """Whether an output is not voided, unspent, and past its timelock and reward lock."""
        vertex = self.vertices[outpoint[0]]
        timelock_s = vertex.outputs[outpoint[1]].timelock_s
        if not vertex.live or (timelock_s is not None and timelock_s >= now_s):
            return False
        if vertex.is_block and vertex.height + self.reward_spend_min_blocks > self.height:
            return False
        return self.live_spender(outpoint) is None

    def add_transaction(self, vertex: Vertex) -> None:
        """Puts a transaction in the mempool. If another transaction has spent one of its inputs already, it is voided from the start."""
        self._store(vertex)
        rival = any(
            (other := self.live_spender(spent)) is not None and other is not vertex for spent in vertex.inputs
        )
        if rival or any(not self.vertices[tx_id].live for tx_id, _index in vertex.inputs):
            vertex.voided_by = {vertex.hash}
        else:
            self.mempool[vertex.hash] = None
        self._changed(vertex)
        for tx_id in dict.fromkeys(tx_id for tx_id, _index in vertex.inputs):
            self._changed(self.vertices[tx_id])
        self._accepted(vertex)
        if vertex.version == TOKEN_CREATION and vertex.live:
            self._token_created(vertex, vertex.hash, in_contract=False)

    def add_block(self, block: Vertex) -> None:
        """Adds a block after `block.previous`; when its branch becomes the longest, the chain moves over to it."""
        previous = self.vertices[block.previous or self.best]
        block.previous, block.height = previous.hash, previous.height + 1
        self._store(block)
        if previous.hash == self.best:
            self.best = block.hash
            self._changed(block)
            self._connect(block, None)
        elif block.height > self.height:
            self._reorganise(block)
        else:
            block.voided_by = {block.hash}
            self._changed(block)
        self._accepted(block)

    def void(self, vertex: Vertex, group: int | None = None) -> list[Vertex]:
        """Voids a transaction and all that spend it; returns them in that order."""
        fallen = [vertex]
        for parent in fallen:
            parent.voided_by.add(parent.hash)
            self.mempool.pop(parent.hash, None)
            self._changed(parent, group)
            for index in range(len(parent.outputs)):
                child = self.live_spender((parent.hash, index))
                if child is not None:
                    fallen.append(child)
                    child.voided_by.add(vertex.hash)
        return fallen

    def revive(self, vertex: Vertex) -> bool:
        """Restores a voided transaction, if everything that it spends is live and unspent."""
        if vertex.live or vertex.is_block or vertex.hash not in self.vertices:
            return False
        for spent in vertex.inputs:
            if not self.vertices[spent[0]].live or self.live_spender(spent) is not None:
                return False
        vertex.voided_by, vertex.first_block, vertex.nc_execution = set(), None, None
        self.mempool[vertex.hash] = None
        self._changed(vertex)
        if vertex.version == TOKEN_CREATION:
            self._token_created(vertex, vertex.hash, in_contract=False)
        return True

    def remove(self, vertex: Vertex, group: int | None = None) -> None:
        """Removes a voided transaction whose outputs no other transaction spends."""
        for index in range(len(vertex.outputs)):
            if self.spenders.get((vertex.hash, index)):
                return
        for spent in vertex.inputs:
            self.spenders[spent].remove(vertex.hash)
        del self.vertices[vertex.hash]
        self.mempool.pop(vertex.hash, None)
        self._emit("VERTEX_REMOVED", vertex.to_json(self.spent(vertex), with_metadata=False), group)

    def _reorganise(self, tip: Vertex) -> None:
        old, new = self._branches(self.vertices[self.best], tip)
        group = self.journal.next_group()
        reorg = {
            "reorg_size": len(old),
            "previous_best_block": self.best,
            "new_best_block": tip.hash,
            "common_block": old[-1].previous,
        }
        self._emit("REORG_STARTED", reorg, group)
        for block in old:
            self._disconnect(block, group)
        self.best = tip.hash
        for block in reversed(new):
            block.voided_by.discard(block.hash)
            self._changed(block, group)
            self._connect(block, group)
        for tx_id in [tx_id for block in old for tx_id in block.confirms]:
            vertex = self.vertices.get(tx_id)
            if vertex is not None and vertex.live and vertex.first_block is None:
                self._changed(vertex, group)
        self._emit("REORG_FINISHED", {}, group)

    def _branches(self, old_tip: Vertex, new_tip: Vertex) -> tuple[list[Vertex], list[Vertex]]:
        """The blocks of both branches above their common one, tips first."""
        old: list[Vertex] = []
        new: list[Vertex] = []
        while old_tip is not new_tip:
            if new_tip.height > old_tip.height:
                new.append(new_tip)
                new_tip = self.vertices[new_tip.previous or ""]
            else:
                old.append(old_tip)
                old_tip = self.vertices[old_tip.previous or ""]
        return old, new

    def _disconnect(self, block: Vertex, group: int) -> None:
        for tx_id in block.confirms:
            vertex = self.vertices.get(tx_id)
            if vertex is None or vertex.first_block != block.hash:
                continue
            vertex.first_block, vertex.nc_execution = None, None
            if NC_FAIL in vertex.voided_by:
                vertex.voided_by = set()
            if vertex.live:
                self.mempool[tx_id] = None
        for fallen in reversed(self.void(block, group)[1:]):
            fallen.first_block = None
            self.remove(fallen, group)

    def _connect(self, block: Vertex, group: int | None) -> None:
        for tx_id in block.confirms:
            vertex = self.vertices.get(tx_id)
            if vertex is None or not vertex.live or vertex.first_block is not None:
                continue
            vertex.first_block, vertex.height = block.hash, 0
            self.mempool.pop(tx_id, None)
            if vertex.nano is not None:
                self._execute(vertex, block, group)
            else:
                self._changed(vertex, group)

    def _execute(self, vertex: Vertex, block: Vertex, group: int | None) -> None:
        nano = vertex.nano
        if nano is None:
            return
        if nano.fails or cannot_run(vertex, self.vertices.values()):
            vertex.nc_execution = "failure"
            for fallen in self.void(vertex, group)[1:]:
                fallen.first_block = None
            vertex.voided_by.add(NC_FAIL)
            return
        vertex.nc_execution = "success"
        self._changed(vertex, group)
        if nano.creates_token is not None:
            self._token_created(vertex, nano.creates_token, in_contract=True, group=group)
        event = {"vertex_id": vertex.hash, "nc_id": nano.contract_id, "nc_execution": "success"}
        self._emit("NC_EVENT", event | {"first_block": block.hash, "data_hex": ""}, group)

    def _token_created(
        self, vertex: Vertex, token_id: str, *, in_contract: bool, group: int | None = None
    ) -> None:
        execution = {"nc_tx": vertex.hash, "nc_block": vertex.first_block} if in_contract else None
        data = {
            "token_uid": token_id,
            "nc_exec_info": execution,
            "token_name": vertex.token_name or "Contract Token",
            "token_symbol": vertex.token_symbol or "NCT",
            "token_version": vertex.token_version,
        }
        self._emit("TOKEN_CREATED", data, group)

    def _store(self, vertex: Vertex) -> None:
        self.vertices[vertex.hash] = vertex
        self.time_s = max(self.time_s, vertex.timestamp_s)
        for spent in vertex.inputs:
            self.spenders.setdefault(spent, []).append(vertex.hash)

    def spent(self, vertex: Vertex) -> list[Output]:
        return [self.output(spent) for spent in vertex.inputs]

    def _changed(self, vertex: Vertex, group: int | None = None) -> None:
        self._emit(CHANGED, vertex.to_json(self.spent(vertex)), group)

    def _accepted(self, vertex: Vertex) -> None:
        self._emit(ACCEPTED, vertex.to_json(self.spent(vertex)))

    def _emit(self, kind: str, data: dict[str, Any], group: int | None = None) -> None:
        self.journal.append(kind, data, float(self.time_s), group)
