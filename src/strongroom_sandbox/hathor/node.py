"""The node: its chain, its rules for transactions, its miner and its faucet."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from coincurve import PrivateKey

from strongroom.core.clock import Clock
from strongroom.hathor.protocol.addresses import Address, Network, parse_address, public_key_address
from strongroom.hathor.protocol.errors import ProtocolError
from strongroom.hathor.protocol.hashes import base58check_encode
from strongroom.hathor.protocol.headers import NanoHeader
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.signatures import sign_input
from strongroom.hathor.protocol.transactions import (
    Input,
    Transaction,
    parse_transaction,
)
from strongroom.hathor.protocol.transactions import Output as TransactionOutput
from strongroom.hathor.protocol.work import WeightRule, mine, minimum_weight
from strongroom_sandbox.hathor.chain import GENESIS_VALUE, Chain
from strongroom_sandbox.hathor.journal import Journal
from strongroom_sandbox.hathor.rules import RejectedError, verify
from strongroom_sandbox.hathor.vertices import (
    BLOCK,
    TRANSACTION,
    Nano,
    Outpoint,
    Output,
    Vertex,
    read_output,
)

FAUCET_KEY = hashlib.sha256(b"the sandbox faucet of Hathor; everybody knows this key").digest()
GENESIS_TRANSACTIONS = (
    "0002d4d2a15def7604688e1878ab681142a7b155cbe52a6b4e031250ae96db0a",
    "0002ad8d1519daaddc8e1a37b14aac0b045129c01832281fb1c02d873c7abbf9",
)
BLOCK_REWARD = 6_400
WEIGHTS = WeightRule(minimum=1.0, coefficient=0.0, k=0.0)
"""Work for a test network: some hundred tries."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """The faults that were asked for. Each count goes down to zero."""

    skip_events: int = 0
    """Events left out of the stream."""
    repeat_events: int = 0
    """Events sent twice."""
    silent: bool = False
    """The stream stays open and says nothing."""
    latency_ms: int = 0
    """How long each message of the stream takes, in each direction."""
    pages_down: int = 0
    """Requests for pages of events answered with 503."""
    push_lost: int = 0
    """Transactions taken whose answer gets lost (500)."""


@dataclass(slots=True)
class Node:
    """Everything behind the node's API."""

    chain: Chain
    clock: Clock
    weights: WeightRule = WEIGHTS
    faults: Faults = field(default_factory=Faults)
    blocks: int = 0
    pushed: Callable[[bytes], None] = lambda _raw: None
    """Told of every transaction taken."""
    mined: Callable[[str | None, int], None] = lambda _address, _now_s: None
    """Told of every block: its miner and time."""

    def push(self, raw: bytes) -> Vertex:
        """Verifies a transaction and puts it in the mempool.

        Raises:
            RejectedError: the node does not take it.
        """
        try:
            transaction = parse_transaction(raw)
        except ProtocolError as error:
            raise RejectedError(f"Invalid transaction: {error}") from error
        verify(transaction, self.chain, self.weights)
        vertex = vertex_of(transaction, self.chain.network)
        self.pushed(raw)
        self.chain.add_transaction(vertex)
        return vertex

    def mine(self, address: str | None = None) -> Vertex:
        """A block on the best chain that confirms the mempool."""
        self.blocks += 1
        now_s = self.now_s()
        script = Payment(address=self._payee(address)).encode()
        block = Vertex(
            hash=hashlib.sha256(b"block %d %d" % (self.blocks, now_s)).hexdigest(),
            version=BLOCK,
            timestamp_s=max(now_s, self.chain.vertices[self.chain.best].timestamp_s + 1),
            outputs=[read_output(BLOCK_REWARD, 0, script, self.chain.network)],
            confirms=list(self.chain.mempool),
        )
        self.mined(address, now_s)
        self.chain.add_block(block)
        return block

    def faucet(self, address: str, value: int) -> Vertex:
        """Pays from the faucet; the change goes back to it.

        Raises:
            RejectedError: the address is malformed, or the faucet has too little.
        """
        try:
            payee = parse_address(address, self.chain.network)
        except ProtocolError as error:
            raise RejectedError(str(error)) from error
        spent, total = self._faucet_outputs(value)
        outputs = [TransactionOutput(value=value, token_data=0, script=Payment(address=payee).encode())]
        if total > value:
            change = Payment(address=public_key_address(_faucet_public_key()))
            outputs.append(TransactionOutput(value=total - value, token_data=0, script=change.encode()))
        newest = max(self.chain.vertices[tx_id].timestamp_s for tx_id, _index in spent)
        draft = Transaction(
            inputs=tuple(Input(tx_id=bytes.fromhex(tx_id), index=index) for tx_id, index in spent),
            outputs=tuple(outputs),
            timestamp_s=max(self.now_s(), newest + 1),
            parents=tuple(map(bytes.fromhex, self.parents())),
        )
        data = sign_input(draft.signing_digest(), FAUCET_KEY)
        signed = draft.with_input_data((data,) * len(spent))
        weighed = replace(signed, weight=minimum_weight(signed, self.weights))
        return self.push(mine(weighed).encode())

    def parents(self) -> tuple[str, str]:
        """Two transactions that a new one may name as its parents."""
        return GENESIS_TRANSACTIONS

    def now_s(self) -> int:
        return self.clock.now_ms() // 1000

    def _payee(self, address: str | None) -> Address:
        if address is None:
            return public_key_address(_faucet_public_key())
        return parse_address(address, self.chain.network)

    def _faucet_outputs(self, value: int) -> tuple[list[Outpoint], int]:
        own = public_key_address(_faucet_public_key()).encode(self.chain.network)
        spent: list[Outpoint] = []
        total = 0
        for vertex in self.chain.vertices.values():
            for index, output in enumerate(vertex.outputs):
                if output.address == own and self.chain.is_spendable((vertex.hash, index), self.now_s()):
                    spent.append((vertex.hash, index))
                    total += output.value
                    if total >= value:
                        return spent, total
        raise RejectedError("The faucet is dry")


def new_node(clock: Clock, network: Network, *, reward_spend_min_blocks: int = 10, name: str = "") -> Node:
    """A network of its own, whose faucet can pay at once."""
    journal = Journal(network=name or network.name)
    now_s = clock.now_ms() // 1000
    node = Node(
        Chain(
            journal,
            _genesis(network, now_s - 1_000),
            network=network,
            reward_spend_min_blocks=reward_spend_min_blocks,
        ),
        clock,
    )
    for _ in range(reward_spend_min_blocks):
        node.mine()
    return node


def vertex_of(transaction: Transaction, network: Network) -> Vertex:
    info = transaction.token_info
    nano = next((header for header in transaction.headers if isinstance(header, NanoHeader)), None)
    return Vertex(
        hash=transaction.id,
        version=transaction.version,
        timestamp_s=transaction.timestamp_s,
        weight=transaction.weight,
        nonce=transaction.nonce,
        signal_bits=transaction.signal_bits,
        parents=[parent.hex() for parent in transaction.parents],
        inputs=[(spent.tx_id.hex(), spent.index) for spent in transaction.inputs],
        outputs=[
            read_output(output.value, output.token_data, output.script, network)
            for output in transaction.outputs
        ],
        tokens=[transaction.id] if info else [token.hex() for token in transaction.token_ids],
        token_name=info.name if info else None,
        token_symbol=info.symbol if info else None,
        token_version=info.version if info else 1,
        nano=None if nano is None else _nano_of(nano),
        raw=transaction.encode(),
    )


def _nano_of(header: NanoHeader) -> Nano:
    return Nano(
        contract_id=header.contract_id.hex(),
        seqnum=header.seqnum,
        method=header.method,
        address=base58check_encode(header.address[:-4]),
        arguments=header.arguments,
        actions=header.actions,
        vault=True,
    )


def _genesis(network: Network, now_s: int) -> list[Vertex]:
    script = Payment(address=public_key_address(_faucet_public_key())).encode()
    output: Output = read_output(GENESIS_VALUE, 0, script, network)
    block = Vertex(
        hash=hashlib.sha256(b"sandbox genesis").hexdigest(),
        version=BLOCK,
        timestamp_s=now_s,
        outputs=[output],
    )
    transactions = [
        Vertex(hash=tx_id, version=TRANSACTION, timestamp_s=now_s + number)
        for number, tx_id in enumerate(GENESIS_TRANSACTIONS, 1)
    ]
    return [block, *transactions]


def _faucet_public_key() -> bytes:
    return PrivateKey(FAUCET_KEY).public_key.format()
