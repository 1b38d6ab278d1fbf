"""A mnemonic leaves the service for a token that names the scope, after somebody else approved it, once, and is recorded."""

import asyncio
import json

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.state import FreezeScope
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.stored_tokens import IssuedToken
from support.atto_service import AttoService, Wallet, assert_refused
from support.databases import execute_elsewhere

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"atto:approve"}))
BEN = Principal(name="token:ben", scopes=frozenset({"atto:approve"}))
NOT_APPROVED = "approval_needed"


@pytest.fixture
async def keeper(service: AttoService) -> IssuedToken:
    return await service.ledger.tokens.create(OPERATOR, "keeper", ["atto:export"])


@pytest.fixture
async def wallet(service: AttoService) -> Wallet:
    return await service.create_wallet()


async def export(service: AttoService, wallet: Wallet, token: IssuedToken) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token.secret}"}
    return await service.client.post(f"/wallets/{wallet.name}/exports", headers=headers)


async def wait(service: AttoService, wallet: Wallet, token: IssuedToken) -> str:
    """The id under which the export waits."""
    answer = await export(service, wallet, token)
    assert (answer.status_code, answer.json()["code"]) == (403, NOT_APPROVED), answer.text
    assert wallet.mnemonic not in answer.text
    return str(answer.json()["approvalId"])


async def test_a_mnemonic_is_shown_once_for_each_approval(
    service: AttoService, wallet: Wallet, keeper: IssuedToken, database_url: URL
) -> None:
    waiting = await wait(service, wallet, keeper)
    assert await wait(service, wallet, keeper) == waiting
    await service.ledger.approvals.approve(ANN, waiting)
    answers = await asyncio.gather(*(export(service, wallet, keeper) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
    shown = next(answer for answer in answers if answer.is_success)
    assert shown.json() == {"mnemonic": wallet.mnemonic}
    assert shown.headers["cache-control"] == "no-store"
    again = {answer.json()["approvalId"] for answer in answers if not answer.is_success}
    assert again == {await wait(service, wallet, keeper)}
    assert again != {waiting}
    spent = await service.ledger.approvals.show(waiting)
    assert (spent.state, spent.payload_id, spent.document) == (ApprovalState.SPENT, None, None)
    query = f"SELECT principal, details FROM strongroom_audit WHERE action = 'export' AND subject = '{wallet.name}'"  # noqa: S608
    rows = execute_elsewhere(database_url, query)
    assert [(who, json.loads(details)) for who, details in rows] == [
        ("token:keeper", {"kind": "EXPORT", "approval": waiting})
    ]
    await service.verify_audit()


async def test_only_a_token_that_names_the_scope_may_ask(service: AttoService, wallet: Wallet) -> None:
    for number, scope in enumerate(("*", "atto:*", "atto:wallet", "atto:approve")):
        token = await service.ledger.tokens.create(OPERATOR, f"other-{number}", [scope])
        answer = await export(service, wallet, token)
        words = f"The token of 'token:other-{number}' lacks the scope atto:export"
        assert_refused(answer, 403, words, "forbidden")
    answer = await service.client.post(f"/wallets/{wallet.name}/exports")
    assert_refused(answer, 403, "The token of 'anonymous' lacks the scope atto:export", "forbidden")


async def test_nobody_approves_their_own_and_who_refuses_ends_it(
    service: AttoService, wallet: Wallet
) -> None:
    both = await service.ledger.tokens.create(OPERATOR, "both", ["atto:export", "atto:approve"])
    waiting = await wait(service, wallet, both)
    own = Principal(name="token:both", scopes=frozenset({"atto:export", "atto:approve"}), token=both.token.id)
    with pytest.raises(Exception, match="own"):
        await service.ledger.approvals.approve(own, waiting)
    await service.ledger.approvals.refuse(BEN, waiting, "not today")
    assert await wait(service, wallet, both) != waiting


async def test_rules_ask_for_more_deny_and_are_not_loosened(
    service: AttoService, wallet: Wallet, keeper: IssuedToken
) -> None:
    rules = service.ledger.rules
    allow = {"effect": "allow", "when": {"kinds": ["EXPORT"]}}
    await rules.add(OPERATOR, "allow", json.dumps(allow))
    waiting = await wait(service, wallet, keeper)  # what allows approves nothing
    two = {"effect": "approve", "when": {"kinds": ["EXPORT"]}, "approvals": {"needed": 2}}
    await rules.add(OPERATOR, "two", json.dumps(two))
    await service.ledger.approvals.approve(ANN, waiting)
    assert await wait(service, wallet, keeper) == waiting
    await service.ledger.approvals.approve(BEN, waiting)
    deny = {"effect": "deny", "limit": {"amount_raw": "1000000000000"}}
    await rules.add(OPERATOR, "one withdrawal", json.dumps(deny))
    refused = await export(service, wallet, keeper)
    assert (refused.status_code, refused.json()["code"]) == (403, "rule_limit")  # it takes whatever there is
    await rules.remove(OPERATOR, "one withdrawal")
    assert (await export(service, wallet, keeper)).json() == {"mnemonic": wallet.mnemonic}


@pytest.mark.parametrize("scope", list(FreezeScope))
async def test_what_is_frozen_is_not_exported(
    service: AttoService, wallet: Wallet, keeper: IssuedToken, scope: FreezeScope
) -> None:
    waiting = await wait(service, wallet, keeper)
    await service.ledger.approvals.approve(ANN, waiting)
    subject = {FreezeScope.WALLET: wallet.name, FreezeScope.TOKEN: "keeper", FreezeScope.LEDGER: ""}[scope]
    await service.ledger.rules.freeze(OPERATOR, scope, subject, "a theft")
    refused = await export(service, wallet, keeper)
    assert (refused.status_code, refused.json()["code"]) == (403, "frozen")
    await service.ledger.rules.unfreeze(OPERATOR, scope, subject)
    assert (await export(service, wallet, keeper)).json() == {"mnemonic": wallet.mnemonic}


async def test_a_locked_a_revoked_and_an_unknown_one_are_refused(
    service: AttoService, wallet: Wallet, keeper: IssuedToken
) -> None:
    waiting = await wait(service, wallet, keeper)
    await service.ledger.approvals.approve(ANN, waiting)
    await service.lock(wallet)
    locked = await export(service, wallet, keeper)
    assert_refused(locked, 400, f"Wallet {wallet.name} is locked", "wallet_locked")
    await service.unlock(wallet)
    nowhere = Wallet(name="nowhere", mnemonic="", encryption_key="")
    unknown = await export(service, nowhere, keeper)
    assert_refused(unknown, 404, "Wallet with nowhere not found", "wallet_not_found")
    await service.ledger.tokens.revoke(OPERATOR, keeper.token.id)
    assert (await export(service, wallet, keeper)).status_code == 401


async def test_an_altered_row_is_not_exported(
    service: AttoService, wallet: Wallet, keeper: IssuedToken, database_url: URL
) -> None:
    waiting = await wait(service, wallet, keeper)
    await service.ledger.approvals.approve(ANN, waiting)
    other = await service.create_wallet()
    for column in ("encrypted_entropy", "encrypted_encryption_key"):
        value = (
            f"(SELECT value_ FROM (SELECT {column} AS value_ FROM wallet WHERE name = '{other.name}') AS o)"  # noqa: S608
        )
        execute_elsewhere(database_url, f"UPDATE wallet SET {column} = {value} WHERE name = '{wallet.name}'")  # noqa: S608
    refused = await export(service, wallet, keeper)
    assert (refused.status_code, refused.json()["code"]) == (503, "sealed_row_altered")
