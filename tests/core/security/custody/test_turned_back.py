"""A change of the key that somebody turns back in the database is refused: by a process that runs, and by one that starts."""

from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, text

from strongroom.core.errors import VaultError
from strongroom.core.ledger.inspecting import sealed_rows_altered
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.turned_back import CODE
from strongroom.core.security.keys.versions import KeyState, load_versions
from support.keys import KEY, OTHER_KEY
from support.sealed_rows import ATTO, BITTENSOR, Estate, SealingLedger, assert_all_open, fill

pytestmark = pytest.mark.anyio

BACK = (
    "UPDATE strongroom_key SET state = 'active' WHERE version = 1",
    "UPDATE strongroom_key SET state = '{}' WHERE version = 2",
    "UPDATE strongroom_binding_state SET key_check = (SELECT key_check FROM strongroom_key WHERE version = 1)",
)
FORGET = "DELETE FROM strongroom_audit WHERE action LIKE 'key.rot%'"
REPLACED = "UPDATE strongroom_key SET state = 'replaced' WHERE version = 1"


def turned(state: str, *more: str) -> Sequence[str]:
    return [*(one.format(state) for one in BACK), *more]


TURNS = {
    "the new key counts as replaced": turned("replaced"),
    "the new key counts as retired": turned("retired"),
    "the new key was never used": turned("ready"),
    "the new key is not there": [*turned("ready"), "DELETE FROM strongroom_key WHERE version = 2"],
    "the trail forgot the change": turned("replaced", FORGET),
    "the old key is used beside the new one": [REPLACED],
}


async def rotated(estate: Estate, ledger: SealingLedger, count: int = 3) -> Custody:
    """A process that runs after a change of the key, and still has the old one in its variables."""
    sources = estate.place.source(KEY), estate.place.source(OTHER_KEY, KEY)
    custody = await estate.start(sources[0])
    names = [f"wallet-{number}{'/hot' if ledger is BITTENSOR else ''}" for number in range(count)]
    await fill(custody, ledger, names, estate.clock)
    custody = await estate.start(sources[1])
    await custody.rotation().run(OPERATOR)
    for _ in range(2):
        await custody.look()
    assert custody.ring.versions == {2}
    return custody


async def run(custody: Custody, *statements: str) -> None:
    def work(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    await custody.keeping.database.write(work)


@pytest.mark.parametrize("turn", TURNS)
async def test_a_process_that_runs_does_not_follow(estate: Estate, ledger: SealingLedger, turn: str) -> None:
    custody = await rotated(estate, ledger)
    await run(custody, *TURNS[turn])
    for _ in range(3):
        with pytest.raises(VaultError, match=r"strongroom_key.*Restore") as raised:
            await custody.look()
        assert raised.value.instance_code == CODE
    assert (custody.ring.versions, custody.ring.version) == (frozenset({2}), 2)
    assert custody.ring.current.check() == (await check_of(custody, OTHER_KEY))


@pytest.mark.parametrize("ledger", [ATTO], ids=str)
async def test_a_seal_holds_also_then(estate: Estate, ledger: SealingLedger) -> None:
    custody = await rotated(estate, ledger)
    await run(custody, *turned("replaced"))
    await custody.sealing().seal(OPERATOR)
    assert custody.ring.is_open
    await custody.look()
    assert not custody.ring.is_open


async def check_of(custody: Custody, key: str) -> bytes:
    found = [one.key for one in await custody.keeping.supply.found([])]
    (check,) = [one.check() for one in found if one.reveal() == bytes.fromhex(key)]
    return check


@pytest.mark.parametrize("turn", TURNS)
async def test_a_process_that_starts_refuses(estate: Estate, ledger: SealingLedger, turn: str) -> None:
    custody = await rotated(estate, ledger)
    await run(custody, *TURNS[turn])
    with pytest.raises(VaultError, match=r"strongroom_key.*Restore") as raised:
        await estate.start(estate.place.source(OTHER_KEY, KEY))
    assert raised.value.instance_code == CODE
    custody.shut()
    (found,) = await sealed_rows_altered(custody.keeping.database, custody)
    assert found.code == CODE
    assert not custody.ring.is_open


async def test_it_goes_on_when_the_records_are_put_back(estate: Estate, ledger: SealingLedger) -> None:
    custody = await rotated(estate, ledger)
    await run(custody, *turned("replaced"))
    with pytest.raises(VaultError):
        await custody.look()
    await run(
        custody,
        "UPDATE strongroom_key SET state = 'retired' WHERE version = 1",
        "UPDATE strongroom_key SET state = 'active' WHERE version = 2",
        "UPDATE strongroom_binding_state SET key_check = (SELECT key_check FROM strongroom_key WHERE version = 2)",
    )
    await custody.look()
    assert await assert_all_open(await estate.start(estate.place.source(OTHER_KEY, KEY))) == 3
    assert (await custody.rotation().versions())[1].state is KeyState.ACTIVE


@pytest.mark.parametrize("ledger", [ATTO], ids=str)
async def test_a_process_that_was_sealed_meanwhile_opens_no_earlier_key(
    estate: Estate, ledger: SealingLedger
) -> None:
    """Also where the trail forgot the change, and no row needs the new key."""
    custody = await rotated(estate, ledger, count=0)
    custody.shut()
    await run(custody, *turned("ready", FORGET), "DELETE FROM strongroom_secret")
    assert [one.version for one in await custody.keeping.database.read(load_versions)] == [1, 2]
    with pytest.raises(VaultError, match="this process saw 2 active") as raised:
        await custody.look()
    assert raised.value.instance_code == CODE
    assert not custody.ring.is_open
