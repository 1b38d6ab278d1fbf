"""Whatever the OpenAPI document allows, and much that it does not, is answered as it says, and never with 5xx."""

from pathlib import Path

import pytest

from atto.conftest import Start
from support.atto_network import AttoNetwork
from support.atto_service import ATTO, NOBODY, AttoService, entry
from support.fuzzing import fuzz
from support.odd_text import ask_oddly

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _brief_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.atto.wallets.recovery.SILENCE_S", 0.02)


async def ask_anything(service: AttoService, network: AttoNetwork, folder: Path, *, seconds: int) -> None:
    wallet = await service.create_wallet("known")
    addresses = [await service.open_account(network, 1_000 * ATTO, wallet) for _ in range(2)]
    sent = entry(await service.send(addresses[0], addresses[1], 1))
    known = {
        "name": ["known"],
        "walletName": ["known"],
        "toIndex": ["0", "3"],
        "transactionHash": [sent["hash"]],
        "address": [*addresses, NOBODY],
        "receiverAddress": [*addresses, NOBODY],
        "representativeAddress": [*addresses, NOBODY],
    }
    document = str(service.client.base_url.join("/v3/api-docs"))
    await fuzz(document, folder, seconds=seconds, known=known)


async def assert_unharmed(service: AttoService, network: AttoNetwork) -> None:
    defects = service.metrics.registry.get_sample_value(
        "strongroom_refusals_total", {"ledger": "atto", "code": "internal"}
    )
    assert defects is None
    assert await service.verify_audit() > 0
    address = await service.open_account(network, 10)
    assert entry(await service.send(address, NOBODY, 1))["balance"] == 9


async def test_requests_that_nobody_thought_of(start: Start, network: AttoNetwork, tmp_path: Path) -> None:
    async with start(ATTO_SCAN_LIMIT="20") as service:
        await ask_anything(service, network, tmp_path, seconds=8)
        await assert_unharmed(service, network)


@pytest.mark.slow
async def test_many_requests_that_nobody_thought_of(
    start: Start, network: AttoNetwork, tmp_path: Path
) -> None:
    async with start(ATTO_SCAN_LIMIT="20") as service:
        await ask_anything(service, network, tmp_path, seconds=90)
        await assert_unharmed(service, network)


async def test_text_that_no_column_holds_is_no_defect(start: Start, network: AttoNetwork) -> None:
    async with start(ATTO_SCAN_LIMIT="20") as service:
        wallet = await service.create_wallet("known")
        address = await service.open_account(network, 1_000 * ATTO, wallet)
        document = (await service.client.get("/v3/api-docs")).json()
        known = {"name": "known", "walletName": "known", "address": address}
        bodies = {"SEND": {"receiverAddress": NOBODY, "amount": 1}}
        count, defects = await ask_oddly(service.client, document, known=known, bodies=bodies, headers={})
        assert (count > 50, defects) == (True, [])
        await assert_unharmed(service, network)
