"""Every signature passes the gate, and leaves its row."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Connection, Insert, select

from strongroom.core.errors import Forbidden, Unauthenticated
from strongroom.core.guard.guard import Default, Guard
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit, AuditBroken
from strongroom.core.security.policy import Allowed, SignatureRequest, SigningGate
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.tokens import TokenHouse
from support.trail import open_trail, verify

Elsewhere = Callable[[str], list[list[str]]]


class Signer:
    """Signs by turning the payload round; counts."""

    def __init__(self) -> None:
        self.signed: list[bytes] = []

    def __call__(self, payload_hash: bytes) -> bytes:
        self.signed.append(payload_hash)
        return payload_hash[::-1]


def request(*scopes: str) -> SignatureRequest:
    return SignatureRequest(
        principal=Principal(name="token:ci", scopes=frozenset(scopes)),
        scope="atto:send",
        account="atto://account",
        kind="SEND",
        payload_hash=bytes(range(32)),
        amount_raw=2**64 - 1,
        destination="atto://other",
    )


@pytest.fixture
def gate(clock: ManualClock) -> SigningGate:
    return SigningGate(Guard(clock, Default.ALLOW, key=open_trail()), Audit(clock, open_trail()))


async def sign(database: Database, gate: SigningGate, asked: SignatureRequest, signer: Signer) -> bytes:
    def work(connection: Connection) -> bytes:
        with gate.sign(connection, asked, signer) as granted:
            return granted.signature

    return await database.write(work)


async def test_a_signature_is_persisted_with_its_audit_row(database: Database, gate: SigningGate) -> None:
    signer = Signer()
    assert await sign(database, gate, request("atto:send"), signer) == bytes(range(31, -1, -1))
    rows = await database.fetch_all(select(tables.audit))
    assert [(row.principal, row.action, row.subject, json.loads(row.details)) for row in rows] == [
        (
            "token:ci",
            "sign",
            "atto://account",
            {
                "kind": "SEND",
                "hash": bytes(range(32)).hex().upper(),
                "amountRaw": "18446744073709551615",
                "destination": "atto://other",
            },
        )
    ]
    assert await verify(database) == 1


async def test_a_refusal_leaves_neither_signature_nor_row(database: Database, gate: SigningGate) -> None:
    signer = Signer()
    with pytest.raises(Forbidden, match="atto:send"):
        await sign(database, gate, request("atto:read", "hathor:*"), signer)
    assert signer.signed == []
    assert await verify(database) == 0


async def test_a_stricter_policy_is_asked_first(database: Database, clock: ManualClock) -> None:
    class Closed:
        def authorize(self, connection: Connection, request: SignatureRequest) -> Allowed:
            del connection
            raise Forbidden(f"no {request.kind} today")

        ask = authorize

    signer = Signer()
    with pytest.raises(Forbidden, match="no SEND today"):
        await sign(database, SigningGate(Closed(), Audit(clock, open_trail())), request("*"), signer)
    assert signer.signed == []
    assert await verify(database) == 0


@pytest.mark.parametrize("way", ["sign", "admit"])
async def test_nothing_is_signed_for_a_token_that_was_revoked_meanwhile(
    database: Database, gate: SigningGate, clock: ManualClock, entropy: SeededEntropy, way: str
) -> None:
    """Between the look at the request and the signature may lie the search for work, or the account's turn."""
    house = TokenHouse(database, clock, entropy)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    asked = replace(request(), principal=await house.principal(new.secret))
    signer = Signer()

    async def ask() -> None:
        def work(connection: Connection) -> None:
            with gate.admit(connection, asked) if way == "admit" else gate.sign(connection, asked, signer):
                pass

        await database.write(work)

    await ask()
    await house.tokens.rotate(OPERATOR, new.id)
    await ask()
    await house.tokens.revoke(OPERATOR, new.id)
    signed, rows = len(signer.signed), await verify(database)
    with pytest.raises(Unauthenticated, match="The API token was revoked"):
        await ask()
    assert (len(signer.signed), await verify(database)) == (signed, rows)


async def test_nothing_is_signed_for_a_token_that_is_not_there(database: Database, gate: SigningGate) -> None:
    unknown = replace(request("*"), principal=replace(request("*").principal, token="0123"))
    with pytest.raises(Unauthenticated):
        await sign(database, gate, unknown, Signer())
    assert await verify(database) == 0


async def test_a_signer_that_fails_leaves_no_row(database: Database, gate: SigningGate) -> None:
    def broken(_: bytes) -> bytes:
        raise RuntimeError("no key")

    stored: list[bytes] = []

    def work(connection: Connection) -> None:
        with gate.sign(connection, request("*"), broken) as granted:
            stored.append(granted.signature)

    with pytest.raises(RuntimeError, match="no key"):
        await database.write(work)
    assert stored == []
    assert await verify(database) == 0


async def test_what_cannot_be_persisted_leaves_no_row(database: Database, gate: SigningGate) -> None:
    signer = Signer()

    def work(connection: Connection) -> None:
        with gate.sign(connection, request("*"), signer):
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        await database.write(work)
    assert len(signer.signed) == 1
    assert await verify(database) == 0


async def test_nothing_is_persisted_when_the_row_cannot_be_written(
    database: Database, gate: SigningGate
) -> None:
    def work(connection: Connection) -> None:
        connection.execute(token_row())
        connection.execute(tables.audit_lane.delete())
        with gate.sign(connection, request("*"), Signer()):
            pass

    with pytest.raises(AuditBroken):
        await database.write(work)
    assert await verify(database) == 0
    assert await database.fetch_all(select(tables.token)) == []


def token_row() -> Insert:
    """Something that the caller's transaction wrote before."""
    return tables.token.insert().values(id="1", name="n", secret_hash=bytes(32), scopes="[]", created_at_ms=1)


@pytest.mark.parametrize("database_url", ["mariadb"], indirect=True)  # SQLite has one writer
async def test_no_token_is_revoked_between_the_look_at_it_and_the_signature(
    database: Database, gate: SigningGate, clock: ManualClock, entropy: SeededEntropy, elsewhere: Elsewhere
) -> None:
    """Whoever revokes it waits until the transaction that signs has ended."""
    house = TokenHouse(database, clock, entropy)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    asked = replace(request(), principal=await house.principal(new.secret))
    # As a revocation takes the row, but it does not wait.
    take = "SELECT name FROM strongroom_token WHERE revoked_at_ms IS NULL FOR UPDATE SKIP LOCKED"
    assert elsewhere(take) == [["ci"]]
    found: list[list[list[str]]] = []

    def signer(message: bytes) -> bytes:
        found.append(elsewhere(take))
        return message

    def work(connection: Connection) -> None:
        with gate.sign(connection, asked, signer):
            pass

    await database.write(work)
    assert found == [[]]
    await house.tokens.revoke(OPERATOR, new.id)
    with pytest.raises(Unauthenticated):
        await database.write(work)
