"""Route 9 and its progress: what counts as used, how far a scan goes, what it leaves behind."""

import asyncio
from http import HTTPStatus
from typing import Any

import pytest

from atto.conftest import Start
from strongroom.atto.protocol import AccountKeys, Address, Mnemonic
from strongroom_sandbox.atto.faults.faults import FaultRequest
from support.atto_network import AttoNetwork
from support.atto_service import AttoService, Wallet, assert_refused, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def service(shared_service: AttoService) -> AttoService:
    return shared_service


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


@pytest.fixture
def _brief_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox says at once what is receivable."""
    monkeypatch.setattr("strongroom.atto.wallets.recovery.SILENCE_S", 0.1)


brief = pytest.mark.usefixtures("_brief_silence")


def address_of(wallet: Wallet, index: int) -> str:
    keys = AccountKeys(Mnemonic.parse(wallet.mnemonic).seed())
    return Address(public_key=keys.public_key(index)).path


async def recover(service: AttoService, wallet: Wallet, gap_limit: int | str) -> dict[str, Any]:
    found: dict[str, Any] = await service.post(f"/wallets/{wallet.name}/recoveries", {"gapLimit": gap_limit})
    return found


async def indexes(service: AttoService, wallet: Wallet) -> list[int]:
    return [row["accountIndex"] for row in await service.get(f"/wallets/{wallet.name}/accounts")]


@brief
async def test_recovery_tells_what_it_found(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    """The seed was used before: account 0 is known here, account 2 was opened by another wallet."""
    known = await service.open_account(network, 5, wallet)
    await network.fund(address_of(wallet, 2), 7)
    assert await recover(service, wallet, 2) == {
        "fromIndex": 0,
        "toIndex": 2,
        "scannedCount": 5,
        "gapCount": 2,
        "recoveredCount": 2,
        "existingCount": 1,
        "accounts": [
            {
                "address": address_of(wallet, index),
                "displayAddress": f"atto://{address_of(wallet, index)}",
                "index": index,
                "opened": index == 0,
                "recovered": index > 0,
            }
            for index in range(3)
        ],
    }
    assert await indexes(service, wallet) == [0, 1, 2]
    await service.until_balance(address_of(wallet, 2), 7)
    assert known == address_of(wallet, 0)


@brief
async def test_pending_amount_counts_as_use(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    await network.fund(address_of(wallet, 3), 7)
    found = await recover(service, wallet, 4)
    assert (found["toIndex"], found["gapCount"], found["scannedCount"]) == (3, 4, 8)
    await service.until_balance(address_of(wallet, 3), 7)


async def test_pending_amount_is_found_at_a_slow_node(
    service: AttoService, network: AttoNetwork, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silence counts from the node's first word on, however late that comes."""
    monkeypatch.setattr("strongroom.atto.wallets.recovery.SILENCE_S", 0.2)
    await network.fund(address_of(wallet, 1), 7)
    network.faults.stall_ms = 600
    assert (await recover(service, wallet, 2))["toIndex"] == 1


@brief
async def test_recovery_repeated_on_nothing_changes_nothing(service: AttoService, wallet: Wallet) -> None:
    first = await recover(service, wallet, 3)
    audited = await service.verify_audit()
    second = await recover(service, wallet, 3)
    assert await indexes(service, wallet) == [0, 1, 2]
    assert await service.verify_audit() == audited
    assert (first["recoveredCount"], second["recoveredCount"]) == (3, 0)
    assert [second[name] for name in ("fromIndex", "toIndex", "scannedCount", "existingCount")] == [
        0,
        2,
        3,
        3,
    ]


@brief
async def test_guessed_account_that_was_used_is_where_the_next_scan_starts(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    await recover(service, wallet, 3)
    await network.fund(address_of(wallet, 1), 7)
    await service.until_balance(address_of(wallet, 1), 7)
    found = await recover(service, wallet, 3)
    assert (found["fromIndex"], found["toIndex"], found["scannedCount"]) == (1, 1, 4)
    assert await indexes(service, wallet) == [0, 1, 2]


@brief
async def test_use_far_away_is_found_across_many_requests(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    await network.fund(address_of(wallet, 450), 7)
    found = await recover(service, wallet, 460)
    assert (found["toIndex"], found["scannedCount"], found["gapCount"]) == (450, 911, 460)
    assert len(await indexes(service, wallet)) == 451
    await service.until_balance(address_of(wallet, 450), 7)


@brief
async def test_gap_limit_may_be_a_decimal_string(service: AttoService, wallet: Wallet) -> None:
    assert (await recover(service, wallet, "2"))["scannedCount"] == 2


@pytest.mark.parametrize(
    ("gap_limit", "words", "code"),
    [
        (0, "gapLimit must be greater than 0", "invalid_number"),
        (-1, "gapLimit must be greater than 0", "invalid_number"),
        ("-1", "gapLimit must be an integer from 0 to 18446744073709551615", "invalid_number"),
        (4294967296, "gapLimit must be less than or equal to 4294967295", "invalid_number"),
        ("x", "gapLimit must be an integer from 0 to 18446744073709551615", "invalid_number"),
        (
            10_001,
            "That would touch 10001 account indexes; at most 10000 are allowed at once (ATTO_SCAN_LIMIT)",
            "scan_limit",
        ),
    ],
)
async def test_impossible_gap_limit_is_refused(
    service: AttoService, wallet: Wallet, gap_limit: int | str, words: str, code: str
) -> None:
    response = await service.client.post(f"/wallets/{wallet.name}/recoveries", json={"gapLimit": gap_limit})
    assert_refused(response, 400, words, code)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"gapLimit":1.5}', b'{"gapLimit":true}', b'{"gapLimit":null}']
)
async def test_unreadable_gap_limit_is_refused(service: AttoService, wallet: Wallet, content: bytes) -> None:
    response = await service.client.post(
        f"/wallets/{wallet.name}/recoveries", content=content, headers={"Content-Type": "application/json"}
    )
    assert (response.status_code, response.json()["error"]) == (400, "Bad Request")


async def test_recovery_of_an_unknown_wallet(service: AttoService) -> None:
    response = await service.client.post("/wallets/nowhere/recoveries", json={"gapLimit": 1})
    assert_refused(response, 404, "Wallet with nowhere not found", "wallet_not_found")


@brief
async def test_recovery_without_a_node_changes_nothing(
    service: AttoService, network: AttoNetwork, wallet: Wallet
) -> None:
    network.faults.set(FaultRequest(status=HTTPStatus.SERVICE_UNAVAILABLE, count=1000))
    response = await service.client.post(f"/wallets/{wallet.name}/recoveries", json={"gapLimit": 3})
    assert (response.status_code, response.json()["code"]) == (503, "node_unavailable")
    assert await indexes(service, wallet) == []
    network.heal()
    assert (await recover(service, wallet, 3))["recoveredCount"] == 3


async def test_progress_of_a_scan(
    service: AttoService, network: AttoNetwork, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.atto.wallets.recovery.CHUNK", 2)
    monkeypatch.setattr("strongroom.atto.wallets.recovery.CHUNKS_AT_ONCE", 1)
    monkeypatch.setattr("strongroom.atto.wallets.recovery.SILENCE_S", 0.2)
    path = f"/wallets/{wallet.name}/progress"
    words = f"Wallet {wallet.name} has no range or recovery"
    assert_refused(await service.client.get(path), 404, words, "no_progress")
    await network.fund(address_of(wallet, 0), 1)
    recovery = asyncio.create_task(recover(service, wallet, 5))

    async def progress() -> Any:
        response = await service.client.get(path)
        return response.json() if response.is_success else {"done": 0}

    under_way = await until(progress, lambda scan: scan["done"] >= 2)
    expected = {"kind": "recovery", "total": None, "found": 1, "running": True}
    assert {name: value for name, value in under_way.items() if name != "done"} == expected
    await recovery
    assert await service.get(path) == expected | {"done": 6, "running": False}
    await service.post(f"/wallets/{wallet.name}/accounts/ranges/8")
    assert await service.get(path) == {"kind": "range", "done": 9, "total": 9, "found": 0, "running": False}


async def test_scan_of_an_unknown_wallet_leaves_no_progress(service: AttoService) -> None:
    await service.client.post("/wallets/nowhere/accounts/ranges/3")
    assert (await service.client.get("/wallets/nowhere/progress")).status_code == 404


async def test_a_recovery_that_stops_at_the_limit_says_so_and_continues_when_repeated(
    start: Start, network: AttoNetwork
) -> None:
    async with start(ATTO_SCAN_LIMIT="4") as service:
        wallet = await service.create_wallet()
        for index in (2, 5, 7):
            await network.fund(wallet.account(index).address.path, 1)
        path = f"/wallets/{wallet.name}"
        first = await service.post(f"{path}/recoveries", {"gapLimit": 3})
        assert (first["toIndex"], first["scannedCount"], first["limitReached"]) == (2, 4, True)
        assert (await service.get(f"{path}/progress"))["limitReached"] is True
        while first.get("limitReached"):
            first = await service.post(f"{path}/recoveries", {"gapLimit": 3})
        assert first["toIndex"] == 7
        assert "limitReached" not in await service.get(f"{path}/progress")


async def test_a_recovery_whose_gap_is_the_limit_ends_when_repeated(
    start: Start, network: AttoNetwork
) -> None:
    """The account at which it starts over is known, and must not use up what the gap needs."""
    async with start(ATTO_SCAN_LIMIT="4") as service:
        wallet = await service.create_wallet()
        await network.fund(wallet.account(0).address.path, 1)
        path = f"/wallets/{wallet.name}/recoveries"
        first = await service.post(path, {"gapLimit": 4})
        assert (first["toIndex"], first["limitReached"]) == (0, True)
        again = await service.post(path, {"gapLimit": 4})
        assert (again["toIndex"], again["gapCount"], again.get("limitReached")) == (0, 4, None)
