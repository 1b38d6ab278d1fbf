"""What holds for OpenBao, AWS KMS and an HSM alike, each of them real."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from strongroom.core.errors import KeyBackendAway, VaultError
from strongroom.core.security.keys.backends.backend import (
    MAX_WRAPPED_BYTES,
    REFUSED,
    KeyBackend,
    rewrap_surely,
    wrap_surely,
)
from support.custody.houses import House

KEY = bytes(range(100, 132))


@asynccontextmanager
async def opened(house: House, ledger: str = "atto", **changed: str) -> AsyncIterator[KeyBackend]:
    backend = house.backend(ledger, **changed)
    try:
        yield backend
    finally:
        await backend.close()


async def test_a_key_is_wrapped_and_unwrapped(house: House) -> None:
    async with opened(house) as backend:
        wrapped = await wrap_surely(backend, KEY)
    assert KEY not in wrapped
    assert len(wrapped) <= MAX_WRAPPED_BYTES
    async with opened(house) as another_start:
        assert await another_start.unwrap(wrapped) == KEY


async def test_each_wrapping_differs(house: House) -> None:
    async with opened(house) as backend:
        assert await backend.wrap(KEY) != await backend.wrap(KEY)


async def test_a_rewrapped_key_is_the_same(house: House) -> None:
    async with opened(house) as backend:
        wrapped = await backend.wrap(KEY)
        again = await rewrap_surely(backend, wrapped, KEY)
        assert again != wrapped
        assert await backend.unwrap(again) == KEY


async def test_a_key_of_another_ledger_does_not_open(house: House) -> None:
    async with opened(house, "bittensor") as backend:
        wrapped = await backend.wrap(KEY)
    async with opened(house, "atto") as backend:
        with pytest.raises(VaultError) as refused:
            await backend.unwrap(wrapped)
    assert refused.value.instance_code == REFUSED
    assert house.reference in refused.value.message


async def test_what_another_key_wrapped_does_not_open(house: House) -> None:
    async with opened(house, ATTO_KEY_BACKEND=house.other_key()) as backend:
        wrapped = await backend.wrap(KEY)
    async with opened(house) as backend:
        with pytest.raises(VaultError):
            await backend.unwrap(wrapped)


@pytest.mark.parametrize("place", [0, 20, -1])
async def test_a_damaged_wrapped_key_is_refused(house: House, place: int) -> None:
    async with opened(house) as backend:
        damaged = bytearray(await backend.wrap(KEY))
        damaged[place] ^= 2
        with pytest.raises(VaultError):
            await backend.unwrap(bytes(damaged))


@pytest.mark.parametrize("wrapped", [b"", b"\x01", b"vault:v1:", b"\xff" * 200], ids=len)
async def test_what_is_no_wrapped_key_is_refused(house: House, wrapped: bytes) -> None:
    async with opened(house) as backend:
        with pytest.raises(VaultError):
            await backend.unwrap(wrapped)


async def test_while_it_is_away_that_is_said_and_then_it_works_again(house: House) -> None:
    async with opened(house) as backend:
        wrapped = await backend.wrap(KEY)
        house.leave()
        try:
            with pytest.raises(KeyBackendAway) as away:
                await backend.unwrap(wrapped)
            with pytest.raises(KeyBackendAway):
                await backend.wrap(KEY)
        finally:
            house.come_back()
        assert away.value.message.startswith(house.reference)
        assert away.value.instance_code == "key_backend_unavailable"
        assert await backend.unwrap(wrapped) == KEY


async def test_it_describes_itself(house: House) -> None:
    async with opened(house) as backend:
        assert (await backend.describe()).startswith(f"{house.reference} answers")
