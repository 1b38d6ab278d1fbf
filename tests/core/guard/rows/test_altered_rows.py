"""Rows that another program wrote, changed, removed or put back: each counts for nothing, is found, and can be accepted."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, Table, delete, insert, select, update
from structlog.testing import capture_logs

from strongroom.core.coordination.rates import Rate
from strongroom.core.errors import NotFound, Sealed, StrongroomError, Unauthenticated
from strongroom.core.guard import tables as guard_tables
from strongroom.core.guard.approvals.approval import ApprovalState
from strongroom.core.guard.rows.accepting import AlteredRows
from strongroom.core.guard.rows.binding import tag_existing
from strongroom.core.guard.rows.check import find_problems
from strongroom.core.guard.rows.watch import RowWatch
from strongroom.core.guard.state import FreezeScope
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.security.authentication import TokenCheck
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.rows.tokens import TokenRows
from strongroom.core.security.stored_tokens import TokenChange
from strongroom.core.storage import tables
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.guarding import ADMIN, ANN, BEN, Guarded, asks, code, request
from support.tokens import TokenHouse
from support.trail import SECRET, open_trail

pytestmark = pytest.mark.anyio
DENY: dict[str, Any] = {"effect": "deny", "when": {"wallets": ["hot"]}}
COLD: dict[str, Any] = {"effect": "deny", "when": {"wallets": ["cold"]}}
OTHER = "{}"
"""Where a column has JSON, this is another document."""


@pytest.fixture
def house(database: Database, clock: ManualClock, entropy: SeededEntropy) -> TokenHouse:
    return TokenHouse(database, clock, entropy)


@pytest.fixture
def audit(clock: ManualClock) -> Audit:
    return Audit(clock, open_trail())


@pytest.fixture
def rows(database: Database, audit: Audit) -> AlteredRows:
    return AlteredRows(database, audit, SeededEntropy(9))


def other(value: Any) -> Any:
    """Another value for a column."""
    match value:
        case bytes():
            return bytes(len(value)) if value != bytes(len(value)) else b"\1" * len(value)
        case str():
            return f"{value}x"
        case int():
            return value + 1
    return 1


async def copy_of(database: Database, table: Table) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in await database.fetch_all(select(table))]


async def put_back(database: Database, table: Table, copied: list[dict[str, Any]]) -> None:
    def work(connection: Connection) -> None:
        connection.execute(delete(table))
        if copied:
            connection.execute(insert(table), copied)

    await database.write(work)


async def names(rows: AlteredRows) -> list[str]:
    return [one.name for one in await rows.look()]


TEXT_COLUMNS = {
    "limits",
    "networks",
    "makers",
    "certificate_authority",
    "certificate_title",
    "certificate_use",
}
TOKEN_COLUMNS = [column.name for column in tables.token.c if column.name != "id"]


@pytest.mark.parametrize("column", TOKEN_COLUMNS)
async def test_a_token_of_which_any_column_was_changed_opens_nothing(
    house: TokenHouse, rows: AlteredRows, column: str
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"], rate=Rate(requests=9, seconds=9))
    principal = await house.principal(new.secret)
    stored = (await copy_of(house.database, tables.token))[0]
    value = "[]" if column in TEXT_COLUMNS else other(stored[column])
    if column in {"secret_hash", "tag", "earlier_hash", "certificate"}:
        value = bytes(32)
    await house.database.write(
        lambda connection: connection.execute(update(tables.token).values({column: value}))
    )
    assert await house.refusal(new.secret) == "The API token is not valid"
    with pytest.raises(Unauthenticated):
        await house.database.write(
            lambda connection: TokenRows(open_trail()).require_unrevoked(connection, principal)
        )
    assert await names(rows) == [f"token:{new.id}"]


async def test_a_token_that_is_refused_is_logged_once_for_each_reason(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    told = list[str]()
    for values in ({"scopes": '["*"]'}, {"tag": None}):
        change = update(tables.token).values(values)
        await house.database.write(partial(Connection.execute, statement=change))
        with capture_logs() as logs:
            for _ in range(3):
                assert await house.refusal(new.secret) == "The API token is not valid"
        told += [f"{one['token']} {one['why']}" for one in logs if one["event"] == "a token is refused"]
    assert told == [f"{new.id} was altered in the database", f"{new.id} was not written by this service"]


async def test_a_token_that_somebody_else_wrote_opens_nothing_until_it_is_accepted(
    house: TokenHouse, rows: AlteredRows
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    stored = (await copy_of(house.database, tables.token))[0]
    forged = stored | {"id": "f0", "name": "thief", "scopes": '["*"]'}
    await house.database.write(lambda connection: connection.execute(insert(tables.token), forged))
    presented = f"sr_f0_{new.secret.rpartition('_')[2]}"
    assert await house.refusal(presented) == "The API token is not valid"
    untagged = forged | {"sequence": None, "tag": None}
    await put_back(house.database, tables.token, [stored, untagged])
    assert await house.refusal(presented) == "The API token is not valid"
    assert [one.words for one in await rows.look()] == ["The token thief was not written by this service"]
    with pytest.raises(Unauthenticated, match="strongroom rows list"):
        await house.tokens.change(OPERATOR, "f0", TokenChange(expires_at_ms=None))
    with pytest.raises(NotFound, match="token:ff"):
        await rows.accept(OPERATOR, ["token:ff"])
    assert [one.name for one in await rows.accept(ADMIN, ["token:f0"])] == ["token:f0"]
    assert (await house.principal(presented)).scopes == {"*"}
    assert await names(rows) == []
    row = (await house.database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence)))[-1]
    assert (row.principal, row.action, row.subject) == (ADMIN.name, "rows.accept", "f0")


async def test_a_revoked_token_that_was_put_back_is_refused(house: TokenHouse, rows: AlteredRows) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    principal = await house.principal(new.secret)
    before = await copy_of(house.database, tables.token)
    await house.tokens.revoke(OPERATOR, new.id)
    await put_back(house.database, tables.token, before)
    assert await house.refusal(new.secret) == "The API token is not valid"
    with pytest.raises(Unauthenticated, match="revoked"):
        await house.database.write(
            lambda connection: TokenRows(open_trail()).require_unrevoked(connection, principal)
        )
    assert [one.why for one in await rows.look()] == [
        "was replaced in the database by an older version of itself"
    ]


async def test_whatever_a_token_is_it_can_be_revoked(house: TokenHouse) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    wider = update(tables.token).values(scopes='["*"]')
    await house.database.write(lambda connection: connection.execute(wider))
    assert (await house.tokens.revoke(OPERATOR, new.id)).is_revoked
    assert await house.refusal(new.secret) == "The API token was revoked"


async def test_a_token_that_was_removed_is_found(house: TokenHouse, rows: AlteredRows) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    kept = await copy_of(house.database, tables.token)
    await put_back(house.database, tables.token, [])
    assert await names(rows) == [f"token:{new.id}"]
    assert [one.name for one in await rows.accept(OPERATOR, None)] == [f"token:{new.id}"]
    assert await names(rows) == []
    await put_back(house.database, tables.token, kept)
    assert await names(rows) == [f"token:{new.id}"], "what is gone stays gone"
    assert await house.refusal(new.secret) == "The API token is not valid"


async def test_a_token_reads_while_the_service_is_sealed_and_signs_nothing(
    house: TokenHouse, clock: ManualClock
) -> None:
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    key = open_trail()
    check = TokenCheck(house.database, clock, house.uses, house.check._rates, TokenRows(key))
    assert (await check.authenticate(new.secret, "")).is_checked
    key.close()
    wider = update(tables.token).values(scopes='["*"]')
    await house.database.write(lambda connection: connection.execute(wider))
    principal = await check.authenticate(new.secret, "")
    assert not principal.is_checked
    key.open(SECRET)  # unsealed before it signs
    with pytest.raises(Sealed):
        await house.database.write(lambda connection: TokenRows(key).require_unrevoked(connection, principal))
    with pytest.raises(Unauthenticated):
        await check.authenticate(new.secret, "")


Change = Callable[[Connection], object]
RULE, FREEZE, GUARD = guard_tables.rule, guard_tables.freeze, guard_tables.guard
ALTERATIONS: dict[str, Change] = {
    "a rule is removed": lambda c: c.execute(delete(RULE).where(RULE.c.name == "no")),
    "all rules are removed": lambda c: c.execute(delete(RULE)),
    "a freeze is removed": lambda c: c.execute(delete(FREEZE)),
    "a freeze ends": lambda c: c.execute(update(FREEZE).values(ended_at_ms=1)),
    "a freeze is of another": lambda c: c.execute(update(FREEZE).values(subject="cold")),
    "a freeze is of a token": lambda c: c.execute(update(FREEZE).values(scope="token")),
    "the reason is another": lambda c: c.execute(update(FREEZE).values(reason="none")),
    "a rule ends": lambda c: c.execute(update(RULE).values(ends_at_ms=1)),
    "a rule begins later": lambda c: c.execute(update(RULE).values(starts_at_ms=2**60)),
    "a rule says something else": lambda c: c.execute(
        update(RULE).where(RULE.c.name == "no").values(document='{"effect":"allow"}')
    ),
    "a rule has another name": lambda c: c.execute(update(RULE).where(RULE.c.name == "no").values(name="on")),
    "a rule has another author": lambda c: c.execute(update(RULE).values(added_by="token:eve")),
    "two rules are exchanged": lambda c: (
        c.execute(update(RULE).where(RULE.c.name == "no").values(id="x")),
        c.execute(update(RULE).where(RULE.c.name == "cold").values(name="no")),
    ),
    "a rule is added": lambda c: c.execute(
        insert(RULE),
        {
            "id": "f0",
            "name": "all",
            "document": '{"effect":"allow"}',
            "added_at_ms": 1,
            "added_by": ADMIN.name,
            "starts_at_ms": 1,
        },
    ),
    "the tag is removed": lambda c: c.execute(update(GUARD).values(tag=None)),
    "the sequence is removed": lambda c: c.execute(update(GUARD).values(sequence=None)),
    "the sequence is another": lambda c: c.execute(update(GUARD).values(sequence=2**40)),
    "all is new": lambda c: (
        c.execute(delete(RULE)),
        c.execute(delete(FREEZE)),
        c.execute(update(GUARD).values(tag=None, sequence=None)),
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS)
async def test_nothing_is_signed_under_rules_that_were_altered(
    database: Database, clock: ManualClock, rows: AlteredRows, alteration: str
) -> None:
    guarded = Guarded(database, clock)
    await guarded.add("no", DENY)
    await guarded.add("cold", COLD)
    await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    running = Guarded(database, clock, seed=2)
    assert await code(running, request()) == "frozen"
    await database.write(ALTERATIONS[alteration])
    assert await code(running, request()) == "frozen"  # what it read before was right
    begun_since = Guarded(database, clock, seed=3)
    assert await code(begun_since, request()) == "rules_altered"
    with pytest.raises(StrongroomError) as raised:
        await begun_since.ask(request())
    assert raised.value.instance_code == "rules_altered"
    other_generation = update(GUARD).values(generation=GUARD.c.generation + 1)
    await database.write(lambda connection: connection.execute(other_generation))
    assert await code(running, request()) == "rules_altered"
    for change in (
        guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "cold", "a theft"),
        guarded.rules.unfreeze(ADMIN, FreezeScope.WALLET, "hot"),
        guarded.add("more", DENY),
    ):
        with pytest.raises(StrongroomError) as raised:
            await change
        assert raised.value.instance_code == "rules_altered"
    assert await names(rows) == ["rules"]
    await rows.accept(ADMIN, ["rules"])
    assert await names(rows) == []
    await guarded.rules.freeze(ADMIN, FreezeScope.LEDGER, "", "a theft")
    assert await code(running, request()) == "frozen"


async def test_rules_freezes_and_their_state_put_back_together_are_refused(
    database: Database, clock: ManualClock, rows: AlteredRows
) -> None:
    guarded = Guarded(database, clock)
    await guarded.add("cold", COLD)
    before = {table: await copy_of(database, table) for table in (RULE, FREEZE, GUARD)}
    await guarded.rules.freeze(ADMIN, FreezeScope.WALLET, "hot", "a theft")
    for table, copied in before.items():
        await put_back(database, table, copied)
    assert await code(guarded, request()) == "rules_altered"
    assert [one.words for one in await rows.look()] == [
        "Rules or freezes were put back to an older state in the database"
    ]


APPROVAL, VOTE = guard_tables.approval, guard_tables.vote


def _set(column: str, value: object, connection: Connection) -> None:
    connection.execute(update(APPROVAL).values({column: value}))


FORGERIES: dict[str, Change] = {
    **{
        f"{column} is another": partial(_set, column, value)
        for column, value in {
            "purpose": "change",
            "state": "approved",
            "terms": '{"amountRaw":"500"}',
            "principal": ADMIN.name,
            "requester": '{"limits":"","makers":[],"scopes":["*"],"source":"","token":null}',
            "document": '{"amount":500}',
            "requirements": "[]",
            "asked_at_ms": 1,
            "expires_at_ms": 2**60,
            "sequence": None,
            "tag": None,
        }.items()
    },
    "a vote is added": lambda c: c.execute(
        insert(VOTE),
        {"approval": _only(c), "principal": BEN.name, "has_scope": True, "at_ms": 1, "source": ""},
    ),
    "a vote is removed": lambda c: c.execute(delete(VOTE)),
    "a vote is somebody else's": lambda c: c.execute(update(VOTE).values(principal=BEN.name)),
    "a vote has a token": lambda c: c.execute(update(VOTE).values(token="t")),
    "a vote has no scope": lambda c: c.execute(update(VOTE).values(has_scope=False)),
    "a vote is earlier": lambda c: c.execute(update(VOTE).values(at_ms=1)),
    "a vote is from elsewhere": lambda c: c.execute(update(VOTE).values(source="192.0.2.9")),
}


def _only(connection: Connection) -> str:
    return str(connection.execute(select(APPROVAL.c.id)).scalar_one())


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_nothing_is_signed_for_a_request_that_was_altered(
    guarded: Guarded, rows: AlteredRows, forgery: str
) -> None:
    await guarded.add("two", asks(2))
    waiting = await guarded.park(request(key="k"))
    await guarded.approvals.approve(ANN, waiting)
    await guarded.database.write(FORGERIES[forgery])
    for asked in (request(key="k"), request(key="k", approval=waiting)):
        assert await code(guarded, asked) in {"approval_altered", "approval_spent"}
    with pytest.raises(StrongroomError) as raised:
        await guarded.approvals.approve(BEN, waiting)
    assert raised.value.instance_code in {"approval_altered", "approval_decided"}
    assert await names(rows) == [f"approval:{waiting}"]
    await rows.accept(ADMIN, None)
    assert await names(rows) == []


async def test_a_request_that_somebody_else_wrote_is_not_carried_out(guarded: Guarded) -> None:
    """Without any rule: what a process carries out by itself is written by the service alone."""
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key="k"))
    await guarded.rules.remove(ADMIN, "one")
    stored = (await copy_of(guarded.database, APPROVAL))[0]
    forged = stored | {"id": "f0", "slot": bytes(32), "state": "approved"}
    await guarded.database.write(lambda connection: connection.execute(insert(APPROVAL), forged))
    assert await code(guarded, request(key="k", approval="f0")) == "approval_altered"
    assert (await guarded.sign(request(key="k"))).approval == waiting


async def test_an_approval_that_was_spent_and_put_back_is_not_spent_again(
    guarded: Guarded, rows: AlteredRows
) -> None:
    await guarded.add("one", asks())
    waiting = await guarded.park(request(key="k"))
    await guarded.approvals.approve(ANN, waiting)
    before = await copy_of(guarded.database, APPROVAL)

    def sign(connection: Connection) -> None:
        allowed = guarded.guard.authorize(connection, request(key="k"))
        assert allowed.approval == waiting
        guarded.parked.spent(connection, request().principal, waiting, bytes(32))

    await guarded.database.write(sign)
    assert (await guarded.approvals.show(waiting)).state is ApprovalState.SPENT
    await put_back(guarded.database, APPROVAL, before)
    assert await code(guarded, request(key="k")) == "approval_altered"
    assert await names(rows) == [f"approval:{waiting}"]


async def test_votes_with_a_token_that_was_put_back_do_not_count(
    guarded: Guarded, clock: ManualClock
) -> None:
    house = TokenHouse(guarded.database, clock, SeededEntropy(3))
    new = await house.tokens.create(OPERATOR, "ann", ["*"])
    before = await copy_of(guarded.database, tables.token)
    ann = Principal(name="token:ann", scopes=ANN.scopes, token=new.id)
    await guarded.add("one", asks())
    waiting = await guarded.park(request())
    await guarded.approvals.approve(ann, waiting)
    await house.tokens.revoke(OPERATOR, new.id)
    await put_back(guarded.database, tables.token, before)
    assert await guarded.park(request()) == waiting


async def test_rows_of_before_are_tagged_once(
    database: Database, clock: ManualClock, house: TokenHouse, audit: Audit, rows: AlteredRows
) -> None:
    guarded = Guarded(database, clock)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    await guarded.add("one", asks())
    waiting = await guarded.park(request())

    def forget(connection: Connection) -> None:
        for table in (tables.token, GUARD, APPROVAL):
            connection.execute(update(table).values(tag=None, sequence=None))
        connection.execute(delete(tables.audit))

    await database.write(forget)
    await tag_existing(database, audit)
    assert await names(rows) == []
    await house.principal(new.secret)
    assert await guarded.park(request()) == waiting
    recorded = await database.fetch_all(select(tables.audit).order_by(tables.audit.c.sequence))
    assert [row.action for row in recorded] == ["rows.bind", "policy.state"]
    assert recorded[0].details == '{"approvals":1,"tokens":1}'
    await tag_existing(database, audit)
    assert len(await database.fetch_all(select(tables.audit))) == 2


async def test_a_new_database_is_tagged_too(database: Database, audit: Audit, house: TokenHouse) -> None:
    """Else a token that is added before the next start would be taken for one of an earlier version."""
    await tag_existing(database, audit)
    new = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    await database.write(lambda c: c.execute(update(tables.token).values(tag=None, sequence=None)))
    await tag_existing(database, audit)
    assert await house.refusal(new.secret) == "The API token is not valid"


@pytest.mark.parametrize("left", ["trail", "rules", "token", "approval"])
async def test_any_sign_of_tags_keeps_others_from_being_made(
    database: Database, clock: ManualClock, house: TokenHouse, audit: Audit, left: str
) -> None:
    guarded = Guarded(database, clock)
    await tag_existing(database, audit)
    first = await house.tokens.create(OPERATOR, "ci", ["atto:send"])
    await guarded.add("one", asks())
    await guarded.park(request())

    def wipe(connection: Connection) -> None:
        if left != "trail":
            connection.execute(delete(tables.audit))
        for name, table in {"rules": GUARD, "approval": APPROVAL}.items():
            if left != name:
                connection.execute(update(table).values(tag=None, sequence=None))
        statement = update(tables.token).values(tag=None, sequence=None)
        connection.execute(statement.where(tables.token.c.id == first.id))

    if left == "token":
        await house.tokens.create(OPERATOR, "cd", ["atto:send"])
    await database.write(wipe)
    await tag_existing(database, audit)
    assert await house.refusal(first.secret) == "The API token is not valid"


async def test_the_watch_reports_each_problem_once(
    database: Database, house: TokenHouse, audit: Audit, rows: AlteredRows
) -> None:
    watch = RowWatch(database, audit)
    await watch.look()
    assert watch.check().status is Status.UP
    made = [await house.tokens.create(OPERATOR, f"ci-{number}", ["atto:send"]) for number in range(5)]
    wider = update(tables.token).values(scopes='["*"]')
    await database.write(lambda connection: connection.execute(wider))
    await watch.look()
    await watch.look()
    found = watch.check()
    assert found.status is Status.DEGRADED
    assert found.detail is not None
    assert found.detail.count("was altered in the database") == 3
    assert found.detail.endswith("; and 2 more")
    refused = select(tables.audit).where(tables.audit.c.action == "rows.refuse")
    told = await database.fetch_all(refused)
    assert sorted(row.subject for row in told) == sorted(one.id for one in made)
    await rows.accept(OPERATOR, None)
    await watch.look()
    assert watch.check().status is Status.UP


async def test_a_sealed_service_reports_nothing_it_cannot_know(
    database: Database, clock: ManualClock
) -> None:
    key = TrailKey()
    watch = RowWatch(database, Audit(clock, key))
    await watch.look()
    assert watch.check().status is Status.UP
    with pytest.raises(Sealed):
        await database.read(partial(find_problems, key=key))
