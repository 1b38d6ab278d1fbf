"""Wrapped versions of a ledger's key, opened through the backends that are configured."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from strongroom.core.environment import Secret
from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.security.custody import backends as module
from strongroom.core.security.custody.backends import (
    FIRST_PAUSE_S,
    MAX_PAUSE_S,
    KeyBackends,
    KeySupply,
    WrappedKey,
)
from strongroom.core.security.keys.backends.backend import WRONG_ANSWER, KeyBackend
from strongroom.core.security.keys.source import KeySource
from strongroom.core.security.keys.versions import KeyState, KeyVersion
from strongroom.core.security.vault import KeyEncryptionKey
from support.clock import ManualClock, SeededEntropy
from support.custody.houses import House
from support.custody.scripted import Scripted
from support.keys import KEY

VARIABLE = "ATTO_KEY_BACKEND"


def version(made: WrappedKey, number: int = 1, state: KeyState = KeyState.ACTIVE) -> KeyVersion:
    return KeyVersion(
        version=number,
        state=state,
        check=made.key.check(),
        created_at_ms=0,
        backend=made.backend,
        wrapped=made.wrapped,
    )


def backends(*them: KeyBackend, clock: ManualClock | None = None) -> KeyBackends:
    return KeyBackends(them, variable=VARIABLE, clock=clock or ManualClock(), entropy=SeededEntropy())


@pytest.fixture
async def real(house: House, clock: ManualClock) -> AsyncIterator[KeyBackends]:
    made = backends(house.backend(), clock=clock)
    yield made
    await made.close()


async def test_a_new_key_is_wrapped_and_opens(house: House, real: KeyBackends) -> None:
    made = await real.make()
    assert made.backend == house.reference
    (found,) = await real.open([version(made)])
    assert found.key.reveal() == made.key.reveal()
    assert found.origin == house.reference


async def test_what_was_away_opens_when_it_is_back(
    house: House, real: KeyBackends, clock: ManualClock
) -> None:
    wrapped = [version(await real.make())]
    house.leave()
    try:
        with pytest.raises(KeyBackendAway):
            await real.open(wrapped)
    finally:
        house.come_back()
    clock.advance(MAX_PAUSE_S)
    assert len(await real.open(wrapped)) == 1


async def test_an_old_wrapped_key_put_back_is_refused(house: House, real: KeyBackends) -> None:
    """Whoever writes the database can put back what the backend wrapped before. Its check, in another row, does not fit."""
    old, new = await real.make(), await real.make()
    swapped = version(WrappedKey(key=new.key, backend=new.backend, wrapped=old.wrapped))
    with pytest.raises(VaultError, match="to another key than it was") as refused:
        await real.open([swapped])
    assert refused.value.instance_code == "wrong_key"
    assert house.reference in refused.value.message


async def test_retired_versions_and_those_of_variables_are_not_asked_for() -> None:
    backend = Scripted()
    here = backends(backend)
    made = await here.make()
    backend.asked = 0
    plain = KeyVersion(version=2, state=KeyState.ACTIVE, check=bytes(32), created_at_ms=0)
    assert await here.open([version(made, state=KeyState.RETIRED), plain]) == []
    assert backend.asked == 0


async def test_a_version_is_opened_by_the_backend_that_wrapped_it() -> None:
    first, second = Scripted("vault:a/keys/a"), Scripted("kms:alias/b")
    old = await backends(first).make()
    both = backends(first, second)
    new = await both.make()
    assert (old.backend, new.backend) == ("vault:a/keys/a", "kms:alias/b")
    found = await both.open([version(old, 1, KeyState.REPLACED), version(new, 2)])
    assert [one.origin for one in found] == ["vault:a/keys/a", "kms:alias/b"]


async def test_an_active_version_without_its_backend_is_refused_and_others_are_left_out() -> None:
    gone = Scripted("vault:a/keys/a")
    made = await backends(gone).make()
    here = backends(Scripted("kms:alias/b"))
    for state in (KeyState.READY, KeyState.REPLACED):
        assert await here.open([version(made, state=state)]) == []
    with pytest.raises(VaultError, match="wrapped by vault:a/keys/a: set ATTO_KEY_BACKEND") as missing:
        await here.open([version(made)])
    assert missing.value.instance_code == "key_missing"


async def test_what_is_away_is_not_asked_all_the_time(clock: ManualClock) -> None:
    backend = Scripted()
    here = backends(backend, clock=clock)
    made = await here.make()
    backend.asked = 0
    backend.answers[made.wrapped] = KeyBackendAway("it is away")
    for _ in range(100):
        with pytest.raises(KeyBackendAway, match="it is away"):
            await here.open([version(made)])
    assert backend.asked == 1
    pauses = []
    for _ in range(10):
        asked, since_s = backend.asked, clock.monotonic_s()
        while backend.asked == asked:
            clock.advance(0.25)
            with pytest.raises(KeyBackendAway):
                await here.open([version(made)])
        pauses.append(clock.monotonic_s() - since_s)
    assert pauses[0] <= 1.0
    assert pauses[-1] > pauses[0]
    assert max(pauses) <= MAX_PAUSE_S + 0.25
    backend.answers[made.wrapped] = made.key.reveal()
    clock.advance(MAX_PAUSE_S)
    assert len(await here.open([version(made)])) == 1
    backend.answers[made.wrapped] = KeyBackendAway("again")
    with pytest.raises(KeyBackendAway, match="again"):  # at once: the pauses begin anew
        await here.open([version(made)])


async def test_after_an_answer_the_pauses_begin_anew(clock: ManualClock) -> None:
    backend = Scripted()
    here = backends(backend, clock=clock)
    made = await here.make()
    backend.answers[made.wrapped] = KeyBackendAway("away")
    for _ in range(8):
        with pytest.raises(KeyBackendAway):
            await here.open([version(made)])
        clock.advance(MAX_PAUSE_S)
    backend.answers[made.wrapped] = made.key.reveal()
    await here.open([version(made)])
    backend.answers[made.wrapped] = KeyBackendAway("away")
    with pytest.raises(KeyBackendAway):
        await here.open([version(made)])
    backend.asked = 0
    clock.advance(FIRST_PAUSE_S)  # the longest that the first pause is
    with pytest.raises(KeyBackendAway):
        await here.open([version(made)])
    assert backend.asked == 1


async def test_an_answer_that_is_another_key_is_refused() -> None:
    backend = Scripted()
    here = backends(backend)
    made, other = await here.make(), await here.make()
    backend.answers[made.wrapped] = other.key.reveal()
    with pytest.raises(VaultError, match="to another key than it was") as refused:
        await here.open([version(made)])
    assert refused.value.instance_code == "wrong_key"
    with pytest.raises(VaultError, match="to another key than it was"):
        await here.rewrap(version(made))


async def test_it_knows_which_keys_are_in_no_file() -> None:
    backend = Scripted()
    made = await backends(backend).make()
    here = backends(backend)
    assert here.has_opened(made.key.check()) is False
    await here.open([version(made)])
    assert here.has_opened(made.key.check()) is True
    assert here.has_opened(bytes(32)) is False
    await here.make()  # as random as that of the first: the entropy of tests begins anew
    assert here.has_opened((await here.make()).key.check()) is True


async def test_a_lost_backend_may_be_left_out_where_the_operator_gives_up_what_it_kept() -> None:
    made = await backends(Scripted("vault:a/keys/a")).make()
    assert await backends().open([version(made)], misses_active=True) == []


async def test_what_no_backend_here_wrapped_is_not_rewrapped() -> None:
    made = await backends(Scripted("vault:a/keys/a")).make()
    here = backends(Scripted("kms:alias/b"))
    assert await here.rewrap(version(made)) is None
    plain = KeyVersion(version=2, state=KeyState.ACTIVE, check=bytes(32), created_at_ms=0)
    assert await here.rewrap(plain) is None


async def test_a_rewrapped_key_that_does_not_open_is_not_stored() -> None:
    class Forgetful(Scripted):
        async def rewrap(self, wrapped: bytes) -> bytes:
            self.answers[b"new"] = bytes(32)
            return b"new" if wrapped else b""

    here = backends(Forgetful())
    made = await here.make()
    with pytest.raises(VaultError, match="does not give back the key"):
        await here.rewrap(version(made))


async def test_a_backend_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    class Hanging(Scripted):
        async def unwrap(self, wrapped: bytes) -> bytes:
            self.asked += 1
            await asyncio.Event().wait()
            return wrapped

    monkeypatch.setattr(module, "LIMIT_S", 0.05)
    backend = Hanging()
    here = backends(backend, clock=clock)
    hung = KeyVersion(
        version=1,
        state=KeyState.ACTIVE,
        check=bytes(32),
        created_at_ms=0,
        backend=backend.reference,
        wrapped=b"x",
    )
    for work in (here.make, lambda: here.rewrap(hung), lambda: here.open([hung])):
        with pytest.raises(KeyBackendAway, match="within 0 s"):
            await work()
    asked = backend.asked
    with pytest.raises(KeyBackendAway):  # its pause is not over
        await here.open([hung])
    assert backend.asked == asked


async def test_a_supply_has_what_is_given_first_and_then_what_is_wrapped(tmp_path: Path) -> None:
    source = KeySource(
        ledger="atto", variable="KEY", origin="KEY", given=Secret(KEY), file=tmp_path / "atto.kek"
    )
    here = backends(Scripted())
    made = await here.make()
    both = await KeySupply(source=source, backends=here).found([version(made)])
    assert [one.origin for one in both] == ["KEY", made.backend]
    assert [one.origin for one in await KeySupply(source=source).found([version(made)])] == ["KEY"]


@pytest.mark.parametrize("answer", [bytes(32), bytes(31), b""], ids=len)
async def test_a_backend_that_lies_has_nothing_stored(answer: bytes) -> None:
    class Liar(Scripted):
        async def unwrap(self, wrapped: bytes) -> bytes:
            del wrapped
            return answer

    with pytest.raises(VaultError, match="nothing was stored") as refused:
        await backends(Liar()).make()
    assert refused.value.instance_code == WRONG_ANSWER


async def test_without_a_backend_no_key_is_made() -> None:
    here = backends()
    assert here.newest is None
    with pytest.raises(ValueError, match="no backend"):
        await here.make()


async def test_each_backend_is_asked_to_describe_itself_and_is_closed() -> None:
    them: Sequence[Scripted] = [Scripted("kms:a"), Scripted("kms:b")]
    here = backends(*them)
    assert await here.describe() == ["kms:a is scripted", "kms:b is scripted"]
    await here.close()
    assert [one.is_closed for one in them] == [True, True]


def test_a_wrapped_key_shows_no_secret() -> None:
    shown = repr(WrappedKey(key=KeyEncryptionKey(b"c4n4ry!!" * 4), backend="kms:a", wrapped=b"c4n4ry"))
    assert "c4n4ry" not in shown
