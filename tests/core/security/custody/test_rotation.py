"""The key-encryption key is changed while rows are used, and whoever dies meanwhile leaves nothing that nobody opens."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection, select, update
from sqlalchemy.engine import URL

from strongroom.atto import tables as atto_tables
from strongroom.core.errors import Conflict, InvalidInput, VaultError
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.replicas import Replica
from strongroom.core.security.custody.resealing import CHUNK
from strongroom.core.security.keys.ring import CHECKPOINT, TRAIL
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.keys.versions import KeyState, load_versions
from strongroom.core.storage import tables
from support.dying_database import CrashPoint, Died, DyingDatabase
from support.keys import KEY, OTHER_KEY
from support.sealed_rows import (
    ATTO,
    BITTENSOR,
    Estate,
    SealingLedger,
    assert_all_open,
    fill,
)

pytestmark = pytest.mark.anyio

THIRD_KEY = "6B0D2E94F1A7C385D2E6490B7F1C8A35E09D4B62C7F1385A0E9D6B24C1F7A583"
SOME = CHUNK * 2 + 10
"""Three chunks."""


def names(ledger: SealingLedger, count: int) -> list[str]:
    return [f"wallet-{number:05}{'/hot' if ledger is BITTENSOR else ''}" for number in range(count)]


async def filled(estate: Estate, source: KeySource | None = None, count: int = SOME) -> Custody:
    custody = await estate.start(source)
    await fill(custody, estate.place.ledger, names(estate.place.ledger, count), estate.clock)
    return custody


async def states(custody: Custody) -> dict[int, KeyState]:
    versions = await custody.keeping.database.read(load_versions)
    return {one.version: one.state for one in versions}


async def actions(custody: Custody) -> Sequence[tuple[str, str]]:
    query = select(tables.audit.c.action, tables.audit.c.details).order_by(tables.audit.c.sequence)
    rows = await custody.keeping.database.fetch_all(query)
    return [(row.action, row.details) for row in rows if row.action.startswith("key.rot")]


async def test_an_installation_s_own_key_is_changed(estate: Estate) -> None:
    custody = await filled(estate)
    old = custody.ring.current.check()
    secrets = [custody.ring.secret(purpose) for purpose in (TRAIL, CHECKPOINT)]
    told: list[tuple[int, int]] = []
    done = await custody.rotation().run(OPERATOR, lambda *count: told.append(count))
    assert (done.version, done.rows, done.left) == (2, SOME, [])
    assert told[-1] == (SOME, SOME)
    assert await states(custody) == {1: KeyState.RETIRED, 2: KeyState.ACTIVE}
    assert [action for action, _ in await actions(custody)] == ["key.rotate", "key.rotated"]
    assert custody.ring.current.check() != old
    file = estate.place.source().file
    assert sorted(path.name for path in file.parent.glob(f"{file.name}*")) == [file.name, f"{file.name}.v1"]
    file.with_name(f"{file.name}.v1").unlink()  # nothing needs it any more
    again = await estate.start()
    assert (await assert_all_open(again), again.ring.versions) == (SOME, frozenset({2}))
    assert [again.ring.secret(purpose) for purpose in (TRAIL, CHECKPOINT)] == secrets
    assert (await again.rotation().run(OPERATOR)).version == 3
    assert (await assert_all_open(again)) == SOME
    # The old key has the name of its version, so that it takes the place of no other one where they are kept.
    assert sorted(path.name for path in file.parent.glob(f"{file.name}*")) == [file.name, f"{file.name}.v2"]


async def test_a_key_that_was_given_is_changed_and_the_old_one_removed(estate: Estate) -> None:
    place = estate.place
    await filled(estate, place.source(KEY))
    custody = await estate.start(place.source(KEY, OTHER_KEY))
    plan = await custody.rotation().plan()
    assert (plan.version, plan.rows, plan.goes_on) == (2, SOME, False)
    assert await states(custody) == {1: KeyState.ACTIVE}
    await custody.rotation().run(OPERATOR)
    assert await assert_all_open(await estate.start(place.source(OTHER_KEY))) == SOME
    # The order of the two variables means nothing.
    assert await assert_all_open(await estate.start(place.source(OTHER_KEY, KEY))) == SOME
    with pytest.raises(
        VaultError, match=r"is version 1 of the key-encryption key, .* sealed with version 2: put"
    ) as wrong:
        await estate.start(place.source(KEY))
    assert wrong.value.instance_code == "wrong_key"
    with pytest.raises(
        InvalidInput, match=f"The key in {place.source(KEY).variable}_NEXT is version"
    ) as raised:
        await custody.rotation().run(OPERATOR)
    assert raised.value.instance_code == "no_next_key"


async def test_a_key_that_rows_still_need_is_not_missed_in_silence(estate: Estate) -> None:
    place = estate.place
    await filled(estate, place.source(KEY))
    custody = await estate.start(place.source(KEY, OTHER_KEY))
    await custody.rotation().begin(OPERATOR)
    assert await states(custody) == {1: KeyState.REPLACED, 2: KeyState.ACTIVE}
    with pytest.raises(VaultError, match=f"Version 1 .* {SOME} of {SOME} .* still need it") as raised:
        await estate.start(place.source(OTHER_KEY))
    assert raised.value.instance_code == "key_needed"
    both = await estate.start(place.source(OTHER_KEY, KEY))
    assert await assert_all_open(both) == SOME
    assert (await both.rotation().plan()).goes_on
    assert await both.rotation().needs() == {1: SOME}
    await both.carry_on()
    assert await both.rotation().needs() == {2: SOME}
    assert await assert_all_open(await estate.start(place.source(OTHER_KEY))) == SOME


async def test_a_process_without_the_next_key_is_named(estate: Estate) -> None:
    place = estate.place
    other = await filled(estate, place.source(KEY), count=3)
    await other.look()
    custody = await estate.start(place.source(KEY, OTHER_KEY))
    await custody.look()
    with pytest.raises(Conflict, match="do not have version 2") as raised:
        await custody.rotation().run(OPERATOR)
    assert raised.value.instance_code == "replica_without_key"
    assert await states(custody) == {1: KeyState.ACTIVE, 2: KeyState.READY}
    plan = await custody.rotation().plan()
    assert (len(plan.replicas), len(plan.without_key)) == (2, 2)  # this one has not reported itself anew
    await custody.look()
    assert len((await custody.rotation().plan()).without_key) == 1
    await other.leave()
    await custody.rotation().begin(OPERATOR)
    await custody.look()
    assert (await custody.rotation().finish(OPERATOR)).version == 2


async def test_processes_follow(estate: Estate) -> None:
    custody, other = await filled(estate, count=3), await estate.start()
    for one in (custody, other):
        await one.look()
    with pytest.raises(Conflict, match="do not have version 2"):
        await custody.rotation().begin(OPERATOR)
    for one in (custody, other):
        await one.look()
    assert other.ring.versions == {1, 2}
    await custody.rotation().begin(OPERATOR)
    with pytest.raises(Conflict, match=r"do not have version 2 .* in use yet"):
        await custody.rotation().finish(OPERATOR)
    assert other.ring.version == 1
    await fill(other, estate.place.ledger, names(estate.place.ledger, 5)[3:], estate.clock)
    for one in (custody, other):
        await one.look()
    assert (other.ring.versions, other.ring.version) == (frozenset({1, 2}), 2)
    await custody.rotation().finish(OPERATOR)
    assert await states(custody) == {1: KeyState.RETIRED, 2: KeyState.ACTIVE}
    await other.look()
    assert other.ring.versions == {1, 2}  # a transaction may still read rows as they were
    await other.look()
    assert other.ring.versions == {2}
    assert await assert_all_open(other) == 5


async def test_a_process_that_appears_at_the_last_moment_is_waited_for(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the look without a lock; it has the old key alone until it looks itself."""
    custody, late = await filled(estate, count=1), await estate.start()
    rotation = custody.rotation()
    real, looks = rotation._agreement.without, list[int]()

    def without(connection: Connection, version: int) -> Sequence[Replica]:
        looks.append(version)
        return () if len(looks) == 1 else real(connection, version)

    async def pause(_seconds: float) -> None:
        await late.look()

    await late.look()
    monkeypatch.setattr(rotation._agreement, "without", without)
    monkeypatch.setattr(estate.clock, "sleep", pause)
    assert await rotation.begin(OPERATOR) == 2
    assert looks == [2, 2, 2, 2]
    assert late.ring.versions == {1, 2}


async def test_who_looks_while_its_own_change_begins_stays_with_the_new_key(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it read is from before. If it went back, the secrets would stay under the key that is retired next."""
    custody = await filled(estate, count=1)
    database, rotation = custody.keeping.database, custody.rotation()
    read, begun = database.read, list[int]()

    async def read_early(work: Callable[[Connection], object]) -> object:
        found = await read(work)
        monkeypatch.undo()
        begun.append(await rotation.begin(OPERATOR))
        return found

    monkeypatch.setattr(database, "read", read_early)
    await custody.look()
    assert (begun, custody.ring.version) == ([2], 2)
    await rotation.finish(OPERATOR)
    estate.place.source().file.with_name(f"{estate.place.source().file.name}.v1").unlink()
    assert await assert_all_open(await estate.start()) == 1


async def test_who_has_not_followed_yet_does_not_finish(estate: Estate) -> None:
    custody, late = await filled(estate, count=1), await estate.start()
    await custody.rotation().begin(OPERATOR)
    await late.carry_on()
    assert await states(custody) == {1: KeyState.REPLACED, 2: KeyState.ACTIVE}
    with pytest.raises(Conflict, match="Another change"):
        await late.rotation().finish(OPERATOR)
    assert await custody.rotation().needs() == {1: 1}


async def test_nothing_is_bound_with_a_retired_key(estate: Estate) -> None:
    custody, late = await filled(estate, count=1), await estate.start()
    await custody.rotation().run(OPERATOR)
    with pytest.raises(Conflict, match="changed meanwhile") as raised:
        await fill(late, estate.place.ledger, names(estate.place.ledger, 2)[1:], estate.clock)
    assert raised.value.instance_code == "key_changed"


async def test_another_next_key_takes_the_place_of_one_that_was_tried(estate: Estate) -> None:
    place = estate.place
    await (await filled(estate, place.source(KEY), count=1)).look()
    custody = await estate.start(place.source(KEY, OTHER_KEY))
    with pytest.raises(Conflict):
        await custody.rotation().begin(OPERATOR)
    estate.clock.advance(3600)
    custody = await estate.start(place.source(KEY, THIRD_KEY))
    await custody.rotation().run(OPERATOR)
    assert await assert_all_open(await estate.start(place.source(THIRD_KEY))) == 1


async def test_of_two_changes_at_once_with_different_keys_one_does_nothing(estate: Estate) -> None:
    place = estate.place
    await filled(estate, place.source(KEY), count=1)
    custody, other = [await estate.start(place.source(KEY, key)) for key in (OTHER_KEY, THIRD_KEY)]
    first, second = custody.rotation(), other.rotation()
    ready = await first._next_key.make_ready(await first.versions())
    theirs = await second._next_key.make_ready(await second.versions())
    with pytest.raises(Conflict, match="Another change") as raised:
        await first._activate(OPERATOR, ready)
    assert raised.value.instance_code == "other_rotation"
    await second._activate(OPERATOR, theirs)
    with pytest.raises(Conflict, match="Another change"):  # it read the versions before
        await first._next_key.make_ready([one for one in await first.versions() if one.version == 1])
    await second.finish(OPERATOR)
    assert KeyState.ACTIVE in (await states(custody)).values()
    assert await assert_all_open(await estate.start(place.source(THIRD_KEY))) == 1


async def test_what_a_late_process_binds_at_the_last_moment_is_sealed_anew_too(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had the old key in use, and was not live, when the rotation looked whether anything still needs that key."""
    custody, late = await filled(estate, count=1), await estate.start()
    rotation = custody.rotation()
    look = rotation._needing
    more = names(estate.place.ledger, 2)[1:]

    async def needing(version: int) -> list[str]:
        found = await look(version)
        while more:
            await fill(late, estate.place.ledger, [more.pop()], estate.clock)
        return found

    monkeypatch.setattr(rotation, "_needing", needing)
    assert (await rotation.run(OPERATOR)).left == []
    assert await states(custody) == {1: KeyState.RETIRED, 2: KeyState.ACTIVE}
    assert await rotation.needs() == {2: 2}


@pytest.mark.parametrize("ledger", [ATTO], ids=str)
async def test_a_row_that_is_refused_is_not_made_good(estate: Estate) -> None:
    custody = await filled(estate, count=3)
    first, second, third = names(ATTO, 3)
    wallet = atto_tables.wallet
    forged = update(wallet).where(wallet.c.name == second)
    stolen = select(wallet.c.encrypted_encryption_key).where(wallet.c.name == first)
    sealed = (await custody.keeping.database.fetch_all(stolen))[0][0]
    await custody.keeping.database.write(
        lambda connection: connection.execute(forged.values(encrypted_encryption_key=sealed))
    )
    done = await custody.rotation().run(OPERATOR)
    assert (done.rows, done.left) == (2, [second])
    assert await states(custody) == {1: KeyState.REPLACED, 2: KeyState.ACTIVE}
    assert await custody.rotation().needs() == {1: 1, 2: 2}
    before = await actions(custody)
    assert (await custody.rotation().finish(OPERATOR)).left == [second]
    assert await actions(custody) == before
    assert third


@pytest.mark.parametrize("database_url", ["sqlite", "mariadb"], indirect=True)
async def test_whoever_dies_at_a_commit_leaves_every_row_open(
    estate: Estate, database_url: URL, ledger: SealingLedger
) -> None:
    """At every commit of a rotation, before and after it; then the rotation goes on."""
    del ledger
    await filled(estate)
    rehearsal = DyingDatabase(database_url)
    custody = await estate.start(database=rehearsal)
    rehearsal.names.clear()
    await custody.rotation().run(OPERATOR)
    points = [
        CrashPoint(name=name, committed=committed)
        for name in dict.fromkeys(rehearsal.names)
        for committed in (False, True)
    ]
    assert len(points) >= 8
    for point in points:
        dying = DyingDatabase(database_url)
        custody = await estate.start(database=dying)
        dying.arm(point)
        with pytest.raises(Died):
            await custody.rotation().run(OPERATOR)
        again = await estate.start()
        assert await assert_all_open(again) == SOME, str(point)
        await again.rotation().run(OPERATOR)
        assert await again.rotation().needs() == {again.ring.version: SOME}, str(point)
        assert await assert_all_open(await estate.start()) == SOME, str(point)
