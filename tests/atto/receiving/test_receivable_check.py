"""A receivable that the node denies is removed from the list; a real one stays."""

from typing import Any

import pytest

from strongroom_sandbox.atto.faults.faults import Lie
from support.atto_network import AttoNetwork
from support.atto_service import AttoService, Wallet, until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.atto.receiving.receivable_check.CERTAIN_S", 1.0)
    monkeypatch.setattr("strongroom.atto.receiving.receiver.POLL_S", 0.1)


async def listed(service: AttoService, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await service.get(f"/wallets/accounts/{address}/receivables")
    return found


async def disabled_account(service: AttoService, wallet: Wallet) -> str:
    """A disabled account: nothing is received for it, so its list of receivables changes only by the check."""
    address = await service.create_account(wallet)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    return address


@pytest.mark.parametrize("disabled", [True, False])
async def test_an_invented_receivable_is_dropped_once_the_node_has_healed(
    service: AttoService, network: AttoNetwork, disabled: bool
) -> None:
    wallet = await service.create_wallet()
    address = await (disabled_account(service, wallet) if disabled else service.create_account(wallet))
    network.faults.lie = Lie.HASH
    true = (await network.fund(address, 7)).hex().upper()
    invented = await until(lambda: listed(service, address), lambda found: len(found) == 1)
    assert invented[0]["hash"] != true
    network.heal()
    network.cut_streams()
    if disabled:
        found = await until(
            lambda: listed(service, address), lambda found: len(found) == 1 and found != invented
        )
        assert (found[0]["hash"], found[0]["amount"]) == (true, 7)
        await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    await service.until_balance(address, 7)
    await until(lambda: listed(service, address), lambda found: found == [])


async def test_a_real_one_stays_however_often_it_is_checked_and_while_the_node_is_away(
    service: AttoService, network: AttoNetwork
) -> None:
    address = await disabled_account(service, await service.create_wallet())
    await network.fund(address, 7)
    await until(lambda: listed(service, address), lambda found: len(found) == 1)
    check = service.ledger.use_cases.receivable_check
    for _ in range(3):
        await check.check()
    network.faults.lie = Lie.HASH  # the node answers with another transaction: it is not believed
    for _ in range(3):
        with pytest.raises(Exception, match="another transaction"):
            await check.check()
    network.heal()
    assert len(await listed(service, address)) == 1


async def test_one_that_a_node_does_not_know_because_it_is_behind_stays(
    service: AttoService, network: AttoNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    await network.fund(address, 7)
    await until(lambda: listed(service, address), lambda found: len(found) == 1)
    check = service.ledger.use_cases.receivable_check

    async def unknown(_: object) -> None:
        """As from a node that was restored from an old copy and is catching up."""

    monkeypatch.setattr("strongroom.atto.receiving.receivable_check.CERTAIN_S", 0.0)
    monkeypatch.setattr(check._node, "transaction", unknown)
    monkeypatch.setattr(check._node, "account", unknown)
    for _ in range(3):
        await check.check()
    assert len(await listed(service, address)) == 1
