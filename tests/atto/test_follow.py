"""The life of a payment of Atto, whoever is told of it."""

import json
from collections.abc import AsyncIterator, Sequence

import pytest

from atto.conftest import Start
from strongroom.core.clock import SystemClock
from strongroom.core.errors import NotFound
from strongroom.core.ledger.life.facts import Step, Word
from strongroom.core.ledger.life.reading import find_lives
from strongroom.core.security.access import OPERATOR, Principal
from support.atto_network import AttoNetwork
from support.atto_service import NOBODY, AttoService, entry
from support.callback_listener import CallbackListener, listening
from support.named_requests import naming
from support.waiting import eventually, until_true

pytestmark = pytest.mark.anyio
ANN = Principal(name="token:ann", scopes=frozenset({"atto:approve"}))
LARGE = {"effect": "approve", "approvals": {"needed": 1}, "limit": {"amount_raw": "10"}}


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


async def test_no_name_hides_what_another_name_names(start: Start, network: AttoNetwork) -> None:
    """A client may call its request as another client calls a payment, or a request that waits."""
    async with start() as service:
        address = await service.open_account(network, 100)
        await service.ledger.rules.add(OPERATOR, "large", json.dumps(LARGE))
        first = entry(await service.send(address, NOBODY, 1, key="invoice"))["hash"]
        waits = (await service.send(address, NOBODY, 20, key="waiting")).json()["approvalId"]
        path, paying = f"/wallets/accounts/{address}/transactions/SEND", {"receiverAddress": NOBODY}
        async with naming(service.application, service.client) as other:
            for name, older in (
                ("invoice", first),
                (first, first),
                ("waiting", f"waits as {waits}"),
                (waits, f"waits as {waits}"),
            ):
                answer = await other.post(path, json=paying | {"amount": 1}, headers={"X-Request-Id": name})
                assert await named(service, name) == [entry(answer)["hash"], older]


async def test_an_approval_names_what_it_was_spent_on(start: Start, network: AttoNetwork) -> None:
    async with start() as service:
        address = await service.open_account(network, 100)
        await service.ledger.rules.add(OPERATOR, "large", json.dumps(LARGE))
        waits = (await service.send(address, NOBODY, 20, key="invoice")).json()["approvalId"]
        assert await named(service, waits) == [f"waits as {waits}"]
        await service.ledger.approvals.approve(ANN, waits)

        async def is_signed() -> bool:
            return await named(service, "invoice") not in ([], [f"waits as {waits}"])

        await until_true(is_signed)
        assert await named(service, waits) == await named(service, "invoice")


async def named(service: AttoService, name: str) -> list[str]:
    """The payments that the name names, and as what waits what is not signed."""
    try:
        lives = await find_lives(service.ledger, name, SystemClock().now_ms())
    except NotFound:
        return []
    return [
        f"waits as {one.facts.approval.id}"
        if one.facts.payment is None and one.facts.approval is not None
        else one.facts.network_id
        for one in lives
    ]
