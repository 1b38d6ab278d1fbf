"""A process that follows its database while the backend that wrapped the keys is away."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from strongroom.atto.definition import REVISIONS
from strongroom.core.errors import KeyBackendAway
from strongroom.core.revisions import Revisions
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.audit import Audit
from strongroom.core.security.custody.backends import KeyBackends
from strongroom.core.security.custody.custody import Custody
from strongroom.core.security.custody.keeping import Keeping
from strongroom.core.security.custody.replicas import live_replicas
from strongroom.core.security.holdings import bind_holdings
from strongroom.core.security.keys.trail_key import TrailKey
from strongroom.core.security.keys.versions import KeyState, KeyVersion, add_version
from strongroom.core.storage.database import Database
from support.clock import ManualClock, SeededEntropy
from support.custody.scripted import Scripted
from support.sealed_rows import ATTO, KeyPlace

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def components() -> Sequence[Revisions]:
    return (REVISIONS,)


def process(
    folder: Path, database: Database, clock: ManualClock, entropy: SeededEntropy, backend: Scripted
) -> Custody:
    """One that has a backend, and no key of its own."""
    source = KeyPlace(ledger=ATTO, folder=folder).source()
    keeping = Keeping(
        source=source,
        holdings=ATTO.holdings,
        database=database,
        clock=clock,
        entropy=entropy,
        backends=KeyBackends([backend], variable="ATTO_KEY_BACKEND", clock=clock, entropy=entropy),
    )
    trail_key = TrailKey()
    return Custody(keeping, Audit(clock, trail_key), trail_key, entropy.token(8).hex())


async def started(custody: Custody) -> Custody:
    await custody.open()
    keeping = custody.keeping
    await bind_holdings(keeping.database, keeping.holdings, custody.ring, custody.sealing().audit)
    return custody


async def next_version(custody: Custody, backend: str) -> KeyVersion:
    """Records a version that follows, as a rotation does that another process runs."""
    backends = custody.keeping.backends
    assert backends is not None
    made = await backends.make()
    following = KeyVersion(
        version=2,
        state=KeyState.READY,
        check=made.key.check(),
        created_at_ms=0,
        backend=backend,
        wrapped=made.wrapped,
    )
    await custody.keeping.database.write(lambda connection: add_version(connection, following))
    return following


async def test_what_is_here_is_not_asked_for_again(
    database: Database, clock: ManualClock, entropy: SeededEntropy, tmp_path: Path
) -> None:
    """Every process looks several times a second, and each question costs money, or a process."""
    backend = Scripted()
    custody = await started(process(tmp_path, database, clock, entropy, backend))
    await next_version(custody, "kms:alias/of-processes-that-were-started-later")
    backend.asked = 0
    for _ in range(5):
        await custody.look()
        clock.advance(1)
    assert backend.asked == 0
    assert custody.ring.versions == {1}


async def test_a_version_that_follows_is_opened_once(
    database: Database, clock: ManualClock, entropy: SeededEntropy, tmp_path: Path
) -> None:
    backend = Scripted()
    custody = await started(process(tmp_path, database, clock, entropy, backend))
    await next_version(custody, backend.reference)
    backend.asked = 0
    for _ in range(5):
        await custody.look()
    assert backend.asked == 1
    assert custody.ring.versions == {1, 2}


async def test_while_the_backend_is_away_a_process_counts_as_alive_and_as_without_the_next_key(
    database: Database, clock: ManualClock, entropy: SeededEntropy, tmp_path: Path
) -> None:
    """Otherwise a rotation would go past it, and it could not open what the others seal."""
    backend = Scripted()
    custody = await started(process(tmp_path, database, clock, entropy, backend))
    following = await next_version(custody, backend.reference)
    key = backend.answers[following.wrapped or b""]
    backend.answers[following.wrapped or b""] = KeyBackendAway("it is away")
    for _ in range(60):
        with pytest.raises(KeyBackendAway):
            await custody.look()
        clock.advance(1)
    (alive,) = await database.read(lambda connection: live_replicas(connection, clock.now_ms()))
    assert (alive.versions, alive.version) == (frozenset({1}), 1)
    backend.answers[following.wrapped or b""] = key
    clock.advance(60)
    await custody.look()
    (alive,) = await database.read(lambda connection: live_replicas(connection, clock.now_ms()))
    assert alive.versions == {1, 2}


async def test_the_backend_unseals_what_was_sealed(
    database: Database, clock: ManualClock, entropy: SeededEntropy, tmp_path: Path
) -> None:
    backend = Scripted()
    custody = await started(process(tmp_path, database, clock, entropy, backend))
    key = custody.ring.current.reveal()
    await custody.seal(OPERATOR)
    (wrapped,) = [one for one, answer in backend.answers.items() if answer == key]
    backend.answers[wrapped] = KeyBackendAway("it is away")
    with pytest.raises(KeyBackendAway):
        await custody.unseal(OPERATOR, None)
    await custody.look()
    assert not custody.ring.is_open
    backend.answers[wrapped] = key
    clock.advance(60)
    await custody.unseal(OPERATOR, None)
    await custody.look()
    assert custody.ring.current.reveal() == key
