"""An Atto account whose owner is the test: it signs whatever block it is given, also what a ledger must refuse."""

from dataclasses import dataclass
from functools import cached_property

from strongroom.atto.protocol import (
    MAX_SUPPLY_RAW,
    AccountState,
    Address,
    Block,
    Network,
    Receivable,
    Transaction,
    change_block,
    open_block,
    public_key_of,
    receive_block,
    send_block,
    sign,
)
from strongroom_sandbox.atto.chain.solver import find_work

NEW_YEAR_2026_MS = 1_767_225_600_000


@dataclass(frozen=True)
class AttoAccount:
    private_key: bytes

    @cached_property
    def address(self) -> Address:
        return Address(public_key=public_key_of(self.private_key))

    @property
    def public_key(self) -> bytes:
        return self.address.public_key

    @property
    def hex(self) -> str:
        """The public key as it stands in paths of the node."""
        return self.public_key.hex().upper()

    def sign(self, block: Block) -> Transaction:
        """With real work and a real signature, of this account whatever the block says."""
        work = find_work(block.network, block.timestamp, block.work_target)
        return Transaction(block=block, signature=sign(self.private_key, block.hash), work=work)

    def open(
        self, receivable: Receivable, *, representative: bytes | None = None, after_ms: int = 1
    ) -> Transaction:
        timestamp_ms = receivable.timestamp_ms + after_ms
        return self.sign(open_block(receivable, representative or self.public_key, timestamp_ms))

    def receive(self, state: AccountState, receivable: Receivable) -> Transaction:
        timestamp_ms = max(state.timestamp_ms, receivable.timestamp_ms) + 1
        return self.sign(receive_block(state, receivable, timestamp_ms))

    def send(self, state: AccountState, receiver: Address, amount_raw: int) -> Transaction:
        return self.sign(send_block(state, receiver.public_key, amount_raw, state.timestamp_ms + 1))

    def change(self, state: AccountState, representative: bytes) -> Transaction:
        return self.sign(change_block(state, representative, state.timestamp_ms + 1))


def account(number: int) -> AttoAccount:
    """Always the same account for the same number."""
    return AttoAccount(number.to_bytes(32, "big"))


def one_of_each(network: Network, amount_raw: int) -> list[Transaction]:
    """OPEN, RECEIVE, SEND and CHANGE of account 1, with the largest values that an account can have."""
    alice, bob = account(1), account(2)
    receivable = Receivable(
        network=network,
        hash=b"\x01" * 32,
        version=0,
        sender_public_key=bob.public_key,
        timestamp_ms=NEW_YEAR_2026_MS,
        receiver_public_key=alice.public_key,
        amount=amount_raw,
    )
    state = AccountState(
        network=network,
        version=0,
        public_key=alice.public_key,
        height=2**64 - 2,
        balance=MAX_SUPPLY_RAW - amount_raw,
        frontier=b"\x02" * 32,
        timestamp_ms=NEW_YEAR_2026_MS,
        representative_public_key=alice.public_key,
    )
    return [
        alice.open(receivable),
        alice.receive(state, receivable),
        alice.send(state, bob.address, MAX_SUPPLY_RAW - amount_raw),
        alice.change(state, bytes(32)),
    ]
