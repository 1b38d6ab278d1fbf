"""The life of a payment of Atto, whoever is told of it."""

from collections.abc import AsyncIterator, Sequence

import pytest

from atto.conftest import Start
from strongroom.core.clock import SystemClock
from strongroom.core.ledger.life.facts import Step, Word
from strongroom.core.ledger.life.reading import find_lives
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry
from support.callback_listener import CallbackListener, listening
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio


@pytest.fixture
async def listener() -> AsyncIterator[CallbackListener]:
    async with listening() as listener:
        yield listener


async def life(service: AttoService, name: str) -> Sequence[Step]:
    (one,) = await find_lives(service.ledger, name, SystemClock().now_ms())
    return one.steps


async def test_the_callback_is_waited_for_and_then_told(
    start: Start, network: AttoNetwork, listener: CallbackListener
) -> None:
    async with start(CALLBACK_URL=listener.url) as service:
        address = await service.open_account(network, 100)
        await eventually(lambda: listener.heights(address) == [1])
        listener.status = lambda _: 500
        sent = entry(await service.send(address, NOBODY, 1, key="invoice"))

        async def is_refused() -> bool:
            return "status 500" in (await life(service, "invoice"))[-1].text

        await until_true(is_refused)
        waiting = (await life(service, sent["hash"]))[-1]
        assert waiting.word is Word.NEXT
        later = entry(await service.send(address, NOBODY, 1))
        behind = (await life(service, later["hash"]))[-1].text
        assert "an earlier entry of the account goes first: the callback URL" in behind
        assert waiting.text.startswith("CALLBACK_URL is told, at least once a minute until it takes it (")
        listener.status = lambda _: 200

        async def is_told() -> bool:
            return (await life(service, "invoice"))[-1].word is Word.TOLD

        await until_true(is_told)
        steps = await life(service, "invoice")
        assert [one.word for one in steps] == [
            Word.ASKED,
            Word.ALLOWED,
            Word.SIGNED,
            Word.OFFERED,
            Word.CONFIRMED,
            Word.TOLD,
        ]
        told = steps[-1]
        assert told.at_ms is not None
        assert "CALLBACK_URL took it at attempt " in told.text
