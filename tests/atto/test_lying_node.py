"""A node that lies: nothing that it says alone leads to a signature, and what it said does no harm for long."""

from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from strongroom.atto.protocol import (
    Address,
    ChangeBlock,
    OpenBlock,
    ReceiveBlock,
    SendBlock,
    Transaction,
)
from strongroom.core.intents.tables import intent as intent_table
from strongroom_sandbox.atto.faults.faults import Lie
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry, until
from support.waiting import eventually

pytestmark = pytest.mark.anyio
ELSEWHERE = Address.parse(NOBODY)
LIES = [
    Lie.BALANCE,
    Lie.NETWORK,
    Lie.PREVIOUS,
    Lie.HEIGHT,
    Lie.REPRESENTATIVE,
    Lie.SENDER,
    Lie.HASH,
    Lie.SIGNATURE,
]
NOT_ABOUT_STATES = {Lie.SENDER}
NOT_ABOUT_RECEIVABLES = {Lie.HEIGHT, Lie.REPRESENTATIVE}


@dataclass
class Complaints:
    """Replaces a module's logger and stores its messages."""

    heard: list[str] = field(default_factory=list)

    def warning(self, event: str, **_: object) -> None:
        self.heard.append(event)

    info = error = warning


@pytest.fixture
def complaints(monkeypatch: pytest.MonkeyPatch) -> Complaints:
    heard = Complaints()
    for module in ("following.follower", "receiving.arrivals", "receiving.receiver"):
        monkeypatch.setattr(f"strongroom.atto.{module}.log", heard)
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)
    monkeypatch.setattr("strongroom.atto.history.store.POLL_S", 0.1)
    return heard


async def assert_nothing_false(service: AttoService, network: AttoNetwork, address: str) -> None:
    """What is shown is a true state of the account, and every signature was made on a true state."""
    details = await service.details(address)
    if details is not None:
        height = details["height"]
        (true,) = network.sandbox.chain.entries(Address.parse(address).public_key, height, height)
        assert (details["balance"], details["lastTransactionHash"]) == (true.balance, true.hash.hex().upper())
    for row in await service.ledger.database.fetch_all(select(intent_table)):
        assert_built_on_truth(network, Transaction.from_bytes(row.payload))


def assert_built_on_truth(network: AttoNetwork, signed: Transaction) -> None:
    chain, block = network.sandbox.chain, signed.block
    balance = 0
    if not isinstance(block, OpenBlock):
        (before,) = chain.entries(block.public_key, block.height - 1, block.height - 1)
        assert block.previous == before.hash
        balance = before.balance
    match block:
        case OpenBlock() | ReceiveBlock():
            received = chain.transaction(block.send_hash)
            assert received is not None
            assert isinstance(received.block, SendBlock)
            assert received.block.receiver_public_key == block.public_key
            assert block.balance == balance + received.block.amount
        case SendBlock():
            assert block.balance == balance - block.amount
        case ChangeBlock():
            assert block.balance == balance


@pytest.mark.parametrize("lie", LIES)
async def test_nothing_is_signed_on_a_lie_and_the_truth_prevails(
    service: AttoService, network: AttoNetwork, complaints: Complaints, lie: Lie
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    other = await service.create_account(wallet)
    state = network.state(address)
    assert state is not None
    network.faults.lie = lie
    await network.publish(wallet.account().send(state, ELSEWHERE, 30))
    await network.fund(address, 7)
    await network.fund(other, 7)
    if lie not in NOT_ABOUT_STATES:
        await eventually(lambda: "account state not taken over yet" in complaints.heard)
    if lie not in NOT_ABOUT_RECEIVABLES:
        words = "a receivable of another network was ignored" if lie is Lie.NETWORK else "not received yet"
        await eventually(lambda: complaints.heard.count(words) >= 2)
    await assert_nothing_false(service, network, address)
    await assert_nothing_false(service, network, other)
    network.heal()
    network.cut_streams()
    assert (await service.until_balance(address, 77))["height"] == 3
    assert (await service.until_balance(other, 7))["height"] == 1
    await assert_nothing_false(service, network, address)
    await assert_nothing_false(service, network, other)
    await assert_true_history(service, network, address)
    details = await service.details(address)
    assert details is not None
    assert details["representativeAddress"] == address
    assert entry(await service.send(address, NOBODY, 77, lastHeight=3))["balance"] == 0


async def assert_true_history(service: AttoService, network: AttoNetwork, address: str) -> None:
    async def shown() -> list[tuple[int, str, int]]:
        page = await service.get(f"/wallets/accounts/{address}/entries")
        return [(one["height"], one["hash"], one["balance"]) for one in page["entries"]]

    true = network.sandbox.chain.entries(Address.parse(address).public_key, 1, 100)
    expected = [(one.height, one.hash.hex().upper(), one.balance) for one in reversed(true)]
    await until(shown, lambda found: found == expected)
