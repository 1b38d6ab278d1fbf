"""Computes in memory what a batch of events does to transactions, outputs and tokens.

The state of a vertex decides, not the kind of its event: a vertex that the tables lack is new unless it is voided, and
one that they have is compared with its row. So an event may come again, and a batch may end anywhere, without harm.
"""

from collections.abc import Iterable, Sequence

import structlog

from strongroom.hathor.index.rows import OutputRow, TokenRow, TransactionRow
from strongroom.hathor.protocol.events import VERTEX_REMOVED, Event, Reorg, TokenCreated, Vertex

log = structlog.get_logger(__name__)

NANO_HEADER = "10"
TOKEN_CREATION = 2
AUTHORITY = 0x80

Outpoint = tuple[str, int]


class BatchState:
    """The rows that a batch works on. The caller loads them (`load_*`) before it applies events."""

    def __init__(self, reward_spend_min_blocks: int) -> None:
        self._reward_spend_min_blocks = reward_spend_min_blocks
        self.transactions: dict[str, TransactionRow] = {}
        self.outputs: dict[Outpoint, OutputRow] = {}
        self.callers: dict[str, tuple[str, int]] = {}
        """By transaction: the address that calls a contract with it, and the sequence number of the call."""
        self.new_callers: dict[str, tuple[str, int]] = {}
        """Those of them that the batch brings."""
        self.tokens: dict[str, TokenRow] = {}
        self.stored_tokens: dict[str, tuple[str, str | None]] = {}
        """By token: its creator and the creator's first block, as they are in the database."""
        self.accepted: dict[str, tuple[int, Vertex]] = {}
        """Transactions that became part of the ledger, or did so again: event id and vertex."""
        self.changed: dict[str, tuple[int, Vertex]] = {}
        """Transactions that were known and have another state now: event id and vertex."""
        self.released: list[OutputRow] = []
        """Outputs whose spender was voided. The mark of the proposal that spent them ends with it."""

    def load_transactions(self, rows: Iterable[TransactionRow]) -> None:
        self.transactions.update((row.tx_id, row) for row in rows)

    def load_outputs(self, rows: Iterable[OutputRow]) -> None:
        """Takes stored outputs. An output that the batch has already keeps the batch's state."""
        for row in rows:
            self.outputs.setdefault((row.tx_id, row.index), row)

    def load_tokens(self, rows: Iterable[TokenRow]) -> None:
        for row in rows:
            self.tokens[row.token_id] = row
            self.stored_tokens[row.token_id] = (row.tx_id, row.first_block)

    def apply(self, event: Event) -> None:
        data = event.data
        if isinstance(data, Vertex):
            if event.type == VERTEX_REMOVED:
                self._remove(event.id, data)
            else:
                self._compare(event.id, data)
        elif isinstance(data, TokenCreated):
            self._create_token(data)
        elif isinstance(data, Reorg):
            log.info("reorganisation", size=data.reorg_size, new_best_block=data.new_best_block)

    def affected(self) -> set[str]:
        """Returns the transactions whose history may change: those that make a changed output, and those that spend it."""
        found: set[str] = set()
        for output in self.outputs.values():
            before, after = output.stored, output.state
            if before == after:
                continue
            if before is None or after is None or before.voided != after.voided:
                found.add(output.tx_id)
            for state in (before, after):
                if state is not None and state.spent_by is not None:
                    found.add(state.spent_by)
        found.update(self.new_callers)
        found.update(row.tx_id for row in self.transactions.values() if row.was_live != row.is_live)
        return found

    def _compare(self, event_id: int, vertex: Vertex) -> None:
        """Brings the transaction from the state of its row to that of the event."""
        row = self.transactions.get(vertex.hash)
        if row is None or row.removed:
            # A vertex that is voided when it comes has no part in any balance; it is stored if it ever turns.
            if not vertex.voided:
                self._accept(event_id, vertex)
        elif vertex.voided:
            if not row.voided:
                self._void(row, vertex)
                self.changed[vertex.hash] = (event_id, vertex)
        elif row.voided:
            self._accept(event_id, vertex)
        else:
            self._update(event_id, row, vertex)

    def _accept(self, event_id: int, vertex: Vertex) -> None:
        """Makes the transaction part of the ledger: its outputs exist, and what it spends is spent."""
        row = self.transactions.get(vertex.hash)
        if row is None:
            row = TransactionRow(
                vertex.hash, vertex.timestamp, vertex.version, False, None, vertex.weight, None
            )
            self.transactions[vertex.hash] = row
        row.removed = row.voided = False
        row.height, row.first_block = vertex.height, vertex.first_block
        for index, output in enumerate(vertex.outputs):
            # A script without an address (data, or one that the node does not decode) belongs to no wallet.
            if output.decoded is not None and output.decoded.address is not None:
                self._put_output(vertex, index)
        for spent in vertex.inputs:
            source = self.outputs.get((spent.tx_id, spent.index))
            if source is not None and not source.removed:  # outputs without an address have no row
                source.spend(vertex.hash)
        self._put_caller(vertex)
        if vertex.version == TOKEN_CREATION and vertex.token_name and vertex.token_symbol:
            self.tokens.setdefault(
                vertex.hash,
                TokenRow(vertex.hash, vertex.hash, None, vertex.token_name, vertex.token_symbol),
            )
        self.accepted[vertex.hash] = (event_id, vertex)

    def _put_output(self, vertex: Vertex, index: int) -> None:
        known = self.outputs.get((vertex.hash, index))
        if known is not None:
            known.voided = known.removed = False
            return
        output = vertex.outputs[index]
        token_id = vertex.token_id(output.token_data)
        decoded = output.decoded
        if token_id is None or decoded is None or decoded.address is None:
            raise ValueError(f"Output {index} of {vertex.hash} names a token that its transaction lacks")
        is_authority = bool(output.token_data & AUTHORITY)
        heightlock = None
        # A reward can be spent when so many blocks stand on top of its own.
        if vertex.is_block and vertex.height is not None:
            heightlock = vertex.height + self._reward_spend_min_blocks
        self.outputs[vertex.hash, index] = OutputRow(
            vertex.hash,
            index,
            token_id,
            decoded.address,
            0 if is_authority else output.value,
            output.value if is_authority else 0,
            decoded.timelock,
            heightlock,
        )

    def _put_caller(self, vertex: Vertex) -> None:
        for header in vertex.headers:
            if header.id == NANO_HEADER and header.nc_address is not None:
                caller = (header.nc_address, header.nc_seqnum or 0)
                self.callers[vertex.hash] = self.new_callers[vertex.hash] = caller

    def _update(self, event_id: int, row: TransactionRow, vertex: Vertex) -> None:
        """Notes that a block confirms the transaction, or that it is back in the mempool.

        Where the execution of a contract is undone, the tokens that it created are gone; it creates them anew, perhaps
        others, when it runs again.
        """
        if vertex.headers and (vertex.metadata is None or vertex.metadata.nc_execution != "success"):
            self._drop_tokens(vertex.hash, keep_own=True)
        if row.first_block != vertex.first_block:
            row.height, row.first_block = vertex.height, vertex.first_block
            self.changed[vertex.hash] = (event_id, vertex)

    def _void(self, row: TransactionRow, vertex: Vertex) -> None:
        """Takes the transaction out of the ledger. Its rows stay: the node may bring it back."""
        row.voided = True
        for index in range(len(vertex.outputs)):
            output = self.outputs.get((vertex.hash, index))
            if output is not None:
                output.voided = True
        for spent in vertex.inputs:
            source = self.outputs.get((spent.tx_id, spent.index))
            # Another transaction may have spent it before this event comes: then it stays spent.
            if source is not None and source.spent_by == vertex.hash:
                source.spent_by = None
                self.released.append(source)
        self._drop_tokens(vertex.hash, keep_own=False)
        self.accepted.pop(vertex.hash, None)

    def _remove(self, event_id: int, vertex: Vertex) -> None:
        """Drops the rows of a transaction that the node has forgotten."""
        row = self.transactions.get(vertex.hash)
        if row is None:
            return  # the transaction was voided when it came, so no row was stored
        if not row.voided:
            self._void(row, vertex)
            self.changed[vertex.hash] = (event_id, vertex)
        row.removed = True
        for index in range(len(vertex.outputs)):
            output = self.outputs.get((vertex.hash, index))
            if output is not None:
                output.removed = True

    def _create_token(self, created: TokenCreated) -> None:
        """Adds the token of a contract. Tokens that its creator made on another branch of the chain are gone."""
        for token in self._tokens_of(created.creator):
            if token.token_id != created.creator and token.first_block != created.first_block:
                del self.tokens[token.token_id]
        self.tokens[created.token_uid] = TokenRow(
            created.token_uid,
            created.creator,
            created.first_block,
            created.token_name,
            created.token_symbol,
            created.token_version,
        )

    def _drop_tokens(self, creator: str, *, keep_own: bool) -> None:
        for token in self._tokens_of(creator):
            if not (keep_own and token.token_id == creator):
                del self.tokens[token.token_id]

    def _tokens_of(self, creator: str) -> Sequence[TokenRow]:
        return [token for token in self.tokens.values() if token.tx_id == creator]
