"""A sealed ledger has no keys in any process, and only whoever has its key unseals it."""

import pytest
from sqlalchemy import delete, select, update

from strongroom.core.errors import Conflict, Forbidden, RateLimited, Sealed
from strongroom.core.runtime.telemetry import Status
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.keys.local import key_from_hex
from strongroom.core.storage import tables
from strongroom.core.storage.errors import ConnectionSevered
from support.dying_database import CrashPoint, Died, DyingDatabase
from support.keys import KEY, OTHER_KEY
from support.sealed_rows import Estate, assert_all_open, fill

pytestmark = pytest.mark.anyio

NAMES = ["one/hot", "two/hot"]
RIGHT, WRONG = key_from_hex(KEY), key_from_hex(OTHER_KEY)


async def started(estate: Estate) -> Custody:
    return await estate.start(estate.place.source(KEY))


@pytest.fixture
async def custody(estate: Estate) -> Custody:
    custody = await started(estate)
    await fill(custody, estate.place.ledger, NAMES, estate.clock)
    return custody


def assert_shut(custody: Custody) -> None:
    assert (custody.ring.is_open, custody.ring.versions) == (False, frozenset())
    assert custody.check().status is Status.SEALED
    with pytest.raises(Sealed):
        custody.ring.unseal(bytes(64))
    with pytest.raises(Sealed):
        custody._trail_key.derive(b"audit")


async def actions(custody: Custody) -> list[tuple[str, str]]:
    query = select(tables.audit.c.action, tables.audit.c.details).order_by(tables.audit.c.sequence)
    rows = await custody.keeping.database.fetch_all(query)
    return [(row.action, row.details) for row in rows if row.action in {"seal", "unseal"}]


async def test_every_process_drops_its_keys_when_it_looks(estate: Estate, custody: Custody) -> None:
    other = await started(estate)
    dropped: list[str] = []
    other.ring.when_closed(lambda: dropped.append("opened wallets"))
    assert await custody.seal(OPERATOR)
    assert_shut(custody)
    assert other.ring.is_open
    await other.look()
    assert_shut(other)
    assert dropped == ["opened wallets"]
    for _ in range(2):
        await custody.look()
        await other.look()
        assert_shut(custody)
        assert_shut(other)
    assert not await custody.seal(OPERATOR)
    assert await actions(custody) == [("seal", "{}")]


async def test_it_stays_so_over_restarts_and_ends_with_the_key(estate: Estate, custody: Custody) -> None:
    await custody.seal(OPERATOR)
    with pytest.raises(Sealed):
        await started(estate)
    with pytest.raises(Forbidden) as raised:
        await custody.unseal(OPERATOR, WRONG)
    assert raised.value.instance_code == "unseal_refused"
    await custody.look()
    assert_shut(custody)
    await custody.unseal(OPERATOR, RIGHT)
    assert_shut(custody)
    await custody.look()
    assert custody.check().status is Status.UP
    assert await assert_all_open(custody) == len(NAMES)
    assert await assert_all_open(await started(estate)) == len(NAMES)
    assert await actions(custody) == [("seal", "{}"), ("unseal", '{"failedAttempts":1}')]
    with pytest.raises(Conflict) as again:
        await custody.unseal(OPERATOR, RIGHT)
    assert again.value.instance_code == "not_sealed"


async def test_wrong_keys_are_slowed_down(estate: Estate, custody: Custody) -> None:
    await custody.seal(OPERATOR)
    for _ in range(5):
        with pytest.raises(Forbidden):
            await custody.unseal(OPERATOR, WRONG)
    for key in (WRONG, RIGHT):
        with pytest.raises(RateLimited, match="Try again in 1 s") as raised:
            await custody.unseal(OPERATOR, key)
        assert raised.value.retry_after_s == 1
    estate.clock.advance(1)
    with pytest.raises(Forbidden):
        await custody.unseal(OPERATOR, WRONG)
    estate.clock.advance(1)
    with pytest.raises(RateLimited):
        await custody.unseal(OPERATOR, RIGHT)
    estate.clock.advance(1)
    await custody.unseal(OPERATOR, RIGHT)
    assert (await actions(custody))[-1] == ("unseal", '{"failedAttempts":6}')


async def test_a_key_without_its_backend_is_asked_for(estate: Estate, custody: Custody) -> None:
    del estate
    await custody.seal(OPERATOR)
    for _ in range(7):  # it is no wrong key, and pauses nobody
        with pytest.raises(Forbidden, match="give the key-encryption key"):
            await custody.unseal(OPERATOR, None)
    await custody.unseal(OPERATOR, RIGHT)
    assert (await actions(custody))[-1] == ("unseal", '{"failedAttempts":0}')


@pytest.mark.parametrize("forgery", ["flipped", "removed", "old"])
async def test_who_writes_the_database_does_not_unseal(
    estate: Estate, custody: Custody, forgery: str
) -> None:
    """The record is flipped, removed, or put back as it was after an earlier unsealing."""
    seal, database = tables.seal, custody.keeping.database
    await custody.seal(OPERATOR)
    await custody.unseal(OPERATOR, RIGHT)
    (old,) = await database.fetch_all(select(seal))
    await custody.look()
    await custody.seal(OPERATOR)
    forged = {
        "flipped": update(seal).values(is_sealed=False),
        "removed": delete(seal),
        "old": update(seal).values(dict(old._mapping)),
    }[forgery]
    await database.write(lambda connection: connection.execute(forged))
    await custody.look()
    assert_shut(custody)
    with pytest.raises(Sealed):
        await started(estate)
    await custody.unseal(OPERATOR, RIGHT)
    await custody.look()
    assert custody.check().status is Status.UP


async def test_what_is_sealed_stays_sealed_while_the_database_is_away(
    custody: Custody, estate: Estate
) -> None:
    del estate
    await custody.seal(OPERATOR)
    await custody.keeping.database.close()
    assert_shut(custody)


async def test_who_cannot_open_everything_opens_nothing_and_tries_again(
    custody: Custody, monkeypatch: pytest.MonkeyPatch
) -> None:
    await custody.seal(OPERATOR)
    await custody.unseal(OPERATOR, RIGHT)

    async def away(*_: object) -> None:
        raise ConnectionSevered

    with monkeypatch.context() as patch:
        patch.setattr("strongroom.core.security.custody.custody.open_secrets", away)
        with pytest.raises(ConnectionSevered):
            await custody.look()
    assert_shut(custody)
    await custody.look()
    assert custody.is_open
    assert custody.check().status is Status.UP


async def test_a_rotation_and_a_seal_follow_each_other(estate: Estate, custody: Custody) -> None:
    await custody.seal(OPERATOR)
    await custody.unseal(OPERATOR, RIGHT)
    both = await estate.start(estate.place.source(KEY, OTHER_KEY))
    await both.rotation().run(OPERATOR)
    fresh = await estate.start(estate.place.source(OTHER_KEY))
    assert fresh.check().status is Status.UP
    await fresh.seal(OPERATOR)
    await fresh.carry_on()
    with pytest.raises(Forbidden):
        await fresh.unseal(OPERATOR, RIGHT)
    await fresh.unseal(OPERATOR, WRONG)
    await fresh.look()
    assert await assert_all_open(fresh) == len(NAMES)


async def test_who_unseals_before_it_saw_the_seal_keeps_its_keys(estate: Estate, custody: Custody) -> None:
    other = await started(estate)
    await custody.seal(OPERATOR)
    secret = other._trail_key.derive(b"audit")
    await other.unseal(OPERATOR, RIGHT)
    assert other._trail_key.derive(b"audit") == secret
    await other.look()
    assert await assert_all_open(other) == len(NAMES)
    await custody.look()
    assert custody._trail_key.derive(b"audit") == secret


async def test_a_rotation_proves_no_record_that_somebody_forged(estate: Estate, custody: Custody) -> None:
    await custody.seal(OPERATOR)
    await custody.unseal(OPERATOR, RIGHT)
    both = await estate.start(estate.place.source(KEY, OTHER_KEY))
    (record,) = await both.keeping.database.fetch_all(select(tables.seal))
    assert (record.id, record.is_sealed, record.key_version) == (1, False, 1)
    forged = update(tables.seal).values(tag=bytes(32))
    await both.keeping.database.write(lambda connection: connection.execute(forged))
    await both.rotation().run(OPERATOR)
    (record,) = await both.keeping.database.fetch_all(select(tables.seal))
    assert (record.tag, record.key_version) == (bytes(32), 1)
    with pytest.raises(Sealed, match="was not written by who has its key"):
        await estate.start(estate.place.source(OTHER_KEY))


async def test_a_process_without_keys_seals_too(estate: Estate, custody: Custody) -> None:
    await custody.seal(OPERATOR)
    await custody.unseal(OPERATOR, RIGHT)
    assert await custody.seal(OPERATOR)  # its keys are not open yet: it has not looked
    with pytest.raises(Sealed):
        await started(estate)
    await custody.unseal(OPERATOR, RIGHT)
    await custody.look()
    assert custody.check().status is Status.UP


@pytest.mark.parametrize("committed", [False, True])
async def test_whoever_dies_while_unsealing_leaves_it_sealed_or_unsealed(
    estate: Estate, custody: Custody, committed: bool
) -> None:
    await custody.seal(OPERATOR)
    rehearsal = DyingDatabase(estate.url)
    with pytest.raises(Sealed):
        await estate.start(estate.place.source(KEY), rehearsal)
    name = "Sealing._record.<locals>.work"
    rehearsal.arm(CrashPoint(name=name, committed=committed))
    dying = Custody(
        type(custody.keeping)(
            **{each: getattr(custody.keeping, each) for each in ("source", "holdings", "clock", "entropy")},
            database=rehearsal,
        ),
        custody._audit,
        custody._trail_key,
        "dying",
    )
    with pytest.raises(Died):
        await dying.unseal(OPERATOR, RIGHT)
    if committed:
        assert await assert_all_open(await started(estate)) == len(NAMES)
        return
    with pytest.raises(Sealed):
        await started(estate)
    await custody.unseal(OPERATOR, RIGHT)
    assert await assert_all_open(await started(estate)) == len(NAMES)
