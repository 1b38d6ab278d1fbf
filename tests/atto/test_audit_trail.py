"""Every signature and every change has its row in the audit trail, whose chain holds."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import select

from atto.conftest import Start
from strongroom.core.intents.tables import intent as intent_table
from strongroom.core.storage import tables
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry

pytestmark = pytest.mark.anyio


async def trail(service: AttoService) -> list[tuple[str, str, str, dict[str, Any]]]:
    """Principal, action, subject and details, oldest first."""
    columns = tables.audit.c
    rows = await service.ledger.database.fetch_all(select(tables.audit).order_by(columns.sequence))
    assert await service.verify_audit() == len(rows)
    return [(row.principal, row.action, row.subject, json.loads(row.details)) for row in rows]


async def test_every_change_has_its_row(service: AttoService) -> None:
    client = service.client
    wallet = await service.create_wallet("savings")
    await client.put("/wallets/twin", json={"mnemonic": wallet.mnemonic})
    address = await service.create_account(wallet)
    created = await service.post("/wallets/savings/accounts/ranges/2")
    await service.lock(wallet)
    await service.unlock(wallet)
    await service.post(f"/wallets/accounts/{address}/states/DISABLED")
    await service.post(f"/wallets/accounts/{address}/states/ENABLED")
    await client.put(f"/wallets/accounts/{address}/label", json={"label": "Ann"})
    assert len(created) == 3
    rows = await trail(service)
    assert [row[:2] for row in rows[:2]] == [("system:rows", "rows.bind"), ("system:rows", "policy.state")]
    assert rows[2:] == [
        ("system:vault", "vault.bind", "wallet", {"bound": 0, "refused": []}),
        ("anonymous", "wallet.create", "savings", {}),
        ("anonymous", "wallet.import", "twin", {}),
        ("anonymous", "account.create", address, {"index": 0}),
        ("anonymous", "account.create", "savings", {"origin": "RANGE", "indexes": [1, 2]}),
        ("anonymous", "wallet.lock", "savings", {}),
        ("anonymous", "wallet.unlock", "savings", {}),
        ("anonymous", "account.disable", address, {}),
        ("anonymous", "account.enable", address, {}),
        ("anonymous", "account.label", address, {"label": "Ann"}),
    ]


async def test_every_signature_has_its_row(service: AttoService, network: AttoNetwork) -> None:
    address = await service.open_account(network, 100)
    opened = await service.details(address)
    sent = entry(await service.send(address, NOBODY, 10))
    changed = entry(await service.change(address, NOBODY))
    assert opened is not None
    signatures = [row for row in await trail(service) if row[1] == "sign"]
    assert signatures == [
        (
            "system:atto-receiver",
            "sign",
            address,
            {"kind": "OPEN", "hash": opened["lastTransactionHash"], "amountRaw": "0", "destination": None},
        ),
        (
            "anonymous",
            "sign",
            address,
            {"kind": "SEND", "hash": sent["hash"], "amountRaw": "10", "destination": NOBODY},
        ),
        (
            "anonymous",
            "sign",
            address,
            {"kind": "CHANGE", "hash": changed["hash"], "amountRaw": "0", "destination": NOBODY},
        ),
    ]


async def test_refusals_leave_no_row(service: AttoService, network: AttoNetwork) -> None:
    wallet = await service.create_wallet()
    address = await service.open_account(network, 100, wallet)
    before = await trail(service)
    for response in (
        await service.client.post(f"/wallets/{wallet.name}"),
        await service.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json={"encryptionKey": "00" * 32}),
        await service.client.post(f"/wallets/{wallet.name}/accounts/ranges/x"),
        await service.client.post(f"/wallets/accounts/{NOBODY}/states/DISABLED"),
        await service.send(address, NOBODY, 101),
        await service.send(address, NOBODY, 1, lastHeight=7),
        await service.change(address, address),
    ):
        assert response.is_client_error
    assert await trail(service) == before


async def test_as_many_rows_as_signatures_under_load(start: Start, network: AttoNetwork) -> None:
    """Also over two replicas, which share the chain."""
    async with start() as one, start() as other:
        wallet = await one.create_wallet()
        addresses = [await one.open_account(network, 100, wallet) for _ in range(4)]
        answers = await asyncio.gather(
            *(
                service.send(address, addresses[number - 1], 1)
                for number, address in enumerate(addresses)
                for service in (one, other)
                for _ in range(3)
            )
        )
        assert {answer.status_code for answer in answers} == {200}
        for address in addresses:
            await one.until_balance(address, 100)
        signed = {row[3]["hash"] for row in await trail(one) if row[1] == "sign"}
        blocks = await one.ledger.database.fetch_all(select(intent_table.c.id))
        assert {block.id.hex().upper() for block in blocks} == signed
        counted = sum(
            sample.value
            for service in (one, other)
            for family in service.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "strongroom_signatures_total"
        )
        assert counted == len(signed)
