"""A private key leaves the service for a token that names the scope, after somebody else approved it, once, and is recorded."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from strongroom.bittensor.authorization.limits import TokenLimits, encode_limits
from strongroom.bittensor.keystore.names import coldkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keyfiles import read_key
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.storage import tables
from support.bittensor_service import (
    COLD,
    HOT,
    HOTKEY,
    WALLET,
    BittensorService,
    bearer,
    import_validator,
    running_bittensor,
    write_wallet,
)

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"bittensor:approve"}))


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[BittensorService]:
    write_wallet(tmp_path / "wallets", "seed_only", "folder", **{"hotkeys/h": f"hotkeys/{HOTKEY}"})
    variables = {"STRONGROOM_DATA": str(tmp_path), "BITTENSOR_WALLET_PATH": str(tmp_path / "wallets")}
    async with running_bittensor(variables) as running:
        await import_validator(running)
        watched = NewKey(key=coldkey("watched"), public_key=COLD.public_key, keypair=None)
        await running.ledger.wallets.import_(OPERATOR, [watched])
        yield running


async def token(service: BittensorService, *scopes: str, limits: TokenLimits | None = None) -> str:
    name = f"{'-'.join(scopes)}-{limits is not None}"
    encoded = "" if limits is None else encode_limits(limits)
    return (await service.ledger.tokens.create(OPERATOR, name, scopes, limits=encoded)).secret


async def audited(service: BittensorService, subject: str) -> list[object]:
    columns = tables.audit.c
    query = select(columns.details).where(columns.action == "export", columns.subject == subject)
    return [json.loads(row.details) for row in await service.ledger.database.fetch_all(query)]


async def export(
    service: BittensorService, secret: str, wallet: str = WALLET, key: str = "hotkey"
) -> httpx2.Response:
    body = {"wallet_name": wallet, "hotkey_name": HOTKEY, "key": key}
    return await service.client.post("/wallet/export", json=body, headers=bearer(secret))


async def approved(service: BittensorService, secret: str, key: str = "hotkey") -> str:
    waiting = await export(service, secret, key=key)
    assert (waiting.status_code, waiting.json()["code"]) == (403, "approval_needed"), waiting.text
    approval = str(waiting.json()["approval_id"])
    await service.ledger.approvals.approve(ANN, approval)
    return approval


async def test_a_key_is_shown_once_for_each_approval(service: BittensorService) -> None:
    keeper = await token(service, "bittensor:export", limits=TokenLimits(coldkey=True))
    for key, keypair in (("hotkey", HOT), ("coldkey", COLD)):
        approval = await approved(service, keeper, key)
        shown = await export(service, keeper, key=key)
        document = shown.json()
        assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
        assert document == {
            "ss58_address": keypair.address,
            "public_key": f"0x{keypair.public_key.hex()}",
            "private_key": f"0x{keypair.secret().hex()}",
        }
        file = {"privateKey": document["private_key"], "publicKey": document["public_key"]}
        assert read_key(json.dumps(file).encode()).address == keypair.address
        again = await export(service, keeper, key=key)
        assert (again.status_code, again.json()["code"]) == (403, "approval_needed")
        assert again.json()["approval_id"] != approval
        spent = await service.ledger.approvals.show(approval)
        assert (spent.state, spent.payload_id, spent.document) == (ApprovalState.SPENT, None, None)
        name = f"{WALLET}/{key if key == 'coldkey' else HOTKEY}"
        assert await audited(service, keypair.address) == [
            {"kind": "EXPORT", "key": name, "approval": approval}
        ]


async def test_an_approval_of_the_hotkey_is_none_of_the_coldkey(service: BittensorService) -> None:
    keeper = await token(service, "bittensor:export", limits=TokenLimits(coldkey=True))
    await approved(service, keeper)
    refused = await export(service, keeper, key="coldkey")
    assert (refused.status_code, refused.json()["code"]) == (403, "approval_needed")


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (TokenLimits(), "coldkey_not_allowed"),
        (TokenLimits(coldkey=True, wallets=("other",)), "wallet_not_allowed"),
        (TokenLimits(coldkey=True, hotkeys=("other",)), "hotkey_not_allowed"),
    ],
)
async def test_the_limits_of_a_token_hold(service: BittensorService, limits: TokenLimits, code: str) -> None:
    keeper = await token(service, "bittensor:export", limits=limits)
    refused = await export(service, keeper, key="coldkey")
    assert (refused.status_code, refused.json()["code"]) == (403, code)


async def test_a_token_that_may_take_so_much_may_not_take_all(service: BittensorService) -> None:
    keeper = await token(service, "bittensor:export", limits=TokenLimits(coldkey=True, most_rao=10))
    refused = await export(service, keeper, key="coldkey")
    assert (refused.status_code, refused.json()["code"]) == (403, "amount_not_allowed")


async def test_only_a_token_that_names_the_scope_may_ask(service: BittensorService) -> None:
    for scope in ("*", "bittensor:*", "bittensor:sign", "bittensor:submit"):
        refused = await export(service, await token(service, scope))
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden"), scope
    published = {"wallet_name": WALLET, "hotkey_name": HOTKEY}
    refused = await service.client.post("/wallet/export", json=published)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


async def test_what_the_vault_does_not_have_is_not_shown(service: BittensorService) -> None:
    keeper = await token(service, "bittensor:export", limits=TokenLimits(coldkey=True))
    for wallet in ("folder", "nobody", "watched"):
        refused = await export(service, keeper, wallet, "coldkey")
        assert (refused.status_code, refused.json()["code"]) == (404, "key_not_found"), wallet
    refused = await export(service, keeper, "folder")
    assert refused.status_code == 404
    refused = await export(service, keeper, "../../etc")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_wallet_name")
