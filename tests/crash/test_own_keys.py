"""The process dies before and after every write of a change of a wallet's key: the one key opens it or the other, never both."""

import secrets
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.atto.wallets.attempts import KeyAttempts
from strongroom.atto.wallets.own_keys import OwnKeys
from support.atto_network import AttoNetwork
from support.atto_network import running_network as running_sandbox
from support.atto_service import NOBODY, AttoService, Wallet, database_variables, entry, running_service
from support.dying_database import CrashPoint, DyingDatabase
from support.running import running
from support.waiting import eventually

pytestmark = pytest.mark.anyio

OPENING = f"{KeyAttempts.open.__qualname__}.<locals>.work"
CHANGING = f"{OwnKeys.change.__qualname__}.<locals>.work"


@pytest.fixture
async def sandbox() -> AsyncIterator[AttoNetwork]:
    async with running_sandbox() as network:
        yield network


async def change(service: AttoService, wallet: Wallet, key: str, new_key: str) -> httpx2.Response:
    body = {"encryptionKey": key, "newEncryptionKey": new_key}
    return await service.client.put(f"/wallets/{wallet.name}/encryptionKey", json=body)


async def test_one_key_opens_the_wallet_wherever_the_process_dies(
    sandbox: AttoNetwork, database_url: URL, tmp_path: Path, dying: Callable[[], DyingDatabase]
) -> None:
    start = partial(running_service, sandbox, database_variables(database_url, tmp_path))
    async with start() as service:
        wallet = await service.create_wallet()
        address = await service.open_account(sandbox, 100, wallet)
        dying().names.clear()
        key = secrets.token_hex(32)
        assert (await change(service, wallet, wallet.encryption_key, key)).status_code == 200
        names = [
            name for name in dict.fromkeys(dying().names) if "wallets" in name or name in {OPENING, CHANGING}
        ]
        assert names == [OPENING, CHANGING]
    points = [CrashPoint(name=name, committed=committed) for name in names for committed in (False, True)]
    balance = 100
    for point in points:
        new_key = secrets.token_hex(32)
        async with start() as service:
            dying().arm(point)
            async with running(change(service, wallet, key, new_key)):
                await eventually(lambda: dying().dead)
        sandbox.clock.ahead_ms += 10_000
        is_changed = point == CrashPoint(name=CHANGING, committed=True)
        right, wrong = (new_key, key) if is_changed else (key, new_key)
        async with start() as service:
            answers = [
                await service.client.put(
                    f"/wallets/{wallet.name}/locks/UNLOCKED", json={"encryptionKey": one}
                )
                for one in (wrong, right)
            ]
            assert [answer.status_code for answer in answers] == [400, 200], str(point)
            balance -= 1
            assert entry(await service.send(address, NOBODY, 1))["balance"] == balance
            await service.verify_audit()
        key = right
