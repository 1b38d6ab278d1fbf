"""One token on several ledgers: which are the same, and what is recorded of them."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from strongroom.core.coordination.rates import parse_rate
from strongroom.core.errors import Conflict, InvalidInput, NotFound
from strongroom.core.security.access import ADMIN_SCOPES, OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.certificates import CertificateBinding, CertificateUse
from strongroom.core.security.stored_tokens import new_token, same_token
from strongroom.core.security.tokens import MAX_OVERLAP_MS, Tokens
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import START_MS, ManualClock, SeededEntropy
from support.tokens import TokenHouse
from support.trail import open_trail

SCOPES = ("toy:read", "toy:*", "*", *ADMIN_SCOPES)
BINDING = CertificateBinding(key=b"k" * 32, authority=None, title="sha256 6b")


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    house = TokenHouse(database, clock, entropy)
    house.tokens = Tokens(database, Audit(clock, open_trail()), clock, entropy, scopes=SCOPES)
    return house


async def last_row(database: Database) -> tuple[str, dict[str, Any]]:
    row = await database.fetch_one(select(tables.audit).order_by(tables.audit.c.sequence.desc()))
    assert row is not None
    return row.action, json.loads(row.details)


async def test_a_token_is_made_and_rotated_with_the_secret_of_another_ledger(
    house: TokenHouse, entropy: SeededEntropy
) -> None:
    made = new_token(entropy)
    created = await house.tokens.create(OPERATOR, "boss", ["admin"], made=made)
    assert (created.id, created.secret) == (made.id, made.secret)
    assert (await house.principal(made.secret)).token == made.id
    again = same_token(made.id, entropy)
    assert again.id == made.id
    rotated = await house.tokens.rotate(OPERATOR, made.id, made=again)
    assert (rotated.id, rotated.secret) == (again.id, again.secret)
    assert (await house.principal(again.secret)).token == made.id
    assert await house.refusal(made.secret) == "The API token is not valid"


async def test_only_an_active_token_of_the_admin_api_is_copied(
    house: TokenHouse, entropy: SeededEntropy
) -> None:
    tokens = house.tokens
    for number, scopes in enumerate((["toy:read"], ["admin", "toy:read"], ["*"])):
        made = await tokens.create(OPERATOR, f"shop {number}", scopes)
        with pytest.raises(InvalidInput, match="Only tokens of the admin API"):
            await tokens.copy_from(OPERATOR, tokens, made.id)
    boss = await tokens.create(OPERATOR, "boss", [*ADMIN_SCOPES])
    with pytest.raises(Conflict, match="already a token named boss"):  # the ledger itself has it
        await tokens.copy_from(OPERATOR, tokens, boss.id)
    await tokens.revoke(OPERATOR, boss.id)
    for token_id in (boss.id, new_token(entropy).id):
        with pytest.raises(NotFound, match=token_id):
            await tokens.copy_from(OPERATOR, tokens, token_id)


async def test_what_a_token_was_given_is_recorded(house: TokenHouse, database: Database) -> None:
    await house.tokens.create(
        OPERATOR,
        "shop",
        ["toy:read", "*", "toy:read"],
        limits='{"wallets":["hot"]}',
        rate=parse_rate("5/s"),
        certificate=BINDING,
        certificate_use=CertificateUse.BESIDE,
    )
    assert await last_row(database) == (
        "token.create",
        {
            "name": "shop",
            "scopes": ["*", "toy:read"],
            "expiresAtMs": None,
            "limits": '{"wallets":["hot"]}',
            "rate": "5/s",
            "certificate": BINDING.title,
            "certificateUse": "beside",
        },
    )


async def test_only_a_certificate_alone_stands_for_the_secret(house: TokenHouse) -> None:
    alone, beside = [
        await house.tokens.create(OPERATOR, use.value, ["*"], certificate=BINDING, certificate_use=use)
        for use in (CertificateUse.ALONE, CertificateUse.BESIDE)
    ]
    assert alone.secret == ""
    assert beside.secret.startswith(f"sr_{beside.id}_")


async def test_an_overlap_may_be_a_year(house: TokenHouse) -> None:
    made = await house.tokens.create(OPERATOR, "shop", ["*"])
    await house.tokens.rotate(OPERATOR, made.id, MAX_OVERLAP_MS)
    assert (await house.tokens.find(made.id)).earlier_secret_until_ms == START_MS + MAX_OVERLAP_MS
