"""A trail that is read in several pieces is the same as in one."""

from types import ModuleType

import pytest

from strongroom.core.security.trail import reading
from strongroom.core.storage.database import Database
from strongroom.core.transparency import inspection, proving, rows, signatures, store
from strongroom.core.transparency.checker import NotProven, check_consistency, check_receipt
from strongroom.core.transparency.verification import examine
from support.clock import ManualClock
from support.trails import LANE, Trail

pytestmark = pytest.mark.anyio
PAYMENTS = 9
READERS: tuple[ModuleType, ...] = (inspection, proving, reading, rows, signatures, store)


@pytest.fixture(params=[1, 2, 3, 4])
async def trail(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Trail:
    """Nine payments of one account; each checkpoint has three, and the fourth checkpoint none."""
    for reader in READERS:
        monkeypatch.setattr(reader, "CHUNK", request.param)
    trail = Trail(database=database, clock=clock)
    for number in range(1, PAYMENTS + 1):
        await trail.pay(number)
        if number % 3 == 0:
            await trail.checkpoints.make()
            clock.advance(7200)
    await trail.checkpoints.make()
    return trail


async def test_it_is_whole(trail: Trail) -> None:
    report = await trail.verify()
    assert (report.findings, report.rows, report.checkpoints) == ([], PAYMENTS, 4)
    assert report.last is not None
    assert (report.last.number, report.last.rows) == (4, PAYMENTS)


async def test_every_payment_is_proven_by_the_checkpoint_that_has_it(trail: Trail) -> None:
    key = trail.checkpoints.public_key
    for number in range(1, PAYMENTS + 1):
        payment = number.to_bytes(32, "big")
        found = check_receipt(await trail.proofs.receipt(payment), key, payment)
        assert (found["number"], found["checkpoint"]) == (number, (number + 2) // 3)


async def test_every_checkpoint_continues_every_one_before(trail: Trail) -> None:
    key = trail.checkpoints.public_key
    for later in range(1, 5):
        for earlier in range(1, later + 1):
            proof = await trail.proofs.consistency(earlier, later)
            found = check_consistency(proof, key)
            assert (found["earlier"], found["later"]) == (earlier, later)
            other = proof | {"path": [*proof["path"], "00" * 32]}
            with pytest.raises(NotProven, match="does not continue"):
                check_consistency(other, key)


async def test_whatever_is_gone_is_named(trail: Trail) -> None:
    await trail.sql("DELETE FROM strongroom_audit WHERE number IN (4, 9)")
    found = await examine(trail.database, trail.key)
    payments = [number.to_bytes(32, "big").hex().upper() for number in (4, 9)]
    assert found.faults == (
        f"lane {LANE}: row 4 is missing",
        f"lane {LANE}: it ends at row 8, and its head says 9",
        *(f"the SEND {one} of alice was signed, and its row is missing" for one in payments),
    )
