"""kill -9 of the service, again and again, while clients pay through it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy.engine import URL

from support.atto_payments import Books, Payers, Payment, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables
from support.callback_sink import running_sink
from support.seeds import seeded

pytestmark = pytest.mark.anyio

SENDS = 90
ACCOUNTS = 6
CLIENTS = 12
KILLS = 3
MAX_PAUSE_S = 0.15
TROUBLES: tuple[dict[str, object], ...] = (
    {},
    {"drop_reply": 4},
    {"drop_request": 4},
    {"election_expired": 4, "then_confirm": True},
    {"status": 503, "count": 20, "path": "/"},
    {"restart": True, "down_ms": 500},
    {"drop_streams": True},
)
"""What goes wrong at the node while the service dies."""

Trouble = Callable[[], Awaitable[None]]


def random_payments(source: random.Random, addresses: Sequence[str], number: int) -> list[Payment]:
    """Payments between our own accounts, so that receives are interrupted too, and to another account."""
    payments = []
    for _ in range(number):
        sender, receiver = source.sample([*addresses, NOBODY], 2)
        payments.append(new_payment(*((sender, receiver) if sender != NOBODY else (receiver, sender))))
    return payments


async def kill_at_random(
    source: random.Random,
    service: ServiceProgram,
    payers: Payers,
    trouble: Trouble,
    *,
    sends: int,
    kills: int,
) -> None:
    """Kills the service when so many payments were answered, and a moment later, and starts it again."""
    for threshold in sorted(source.sample(range(sends), kills)):
        while len(payers.answers) < threshold:  # noqa: ASYNC110 - clients work meanwhile, and tell nobody
            await asyncio.sleep(0.005)
        await trouble()
        await asyncio.sleep(source.uniform(0, MAX_PAUSE_S))
        service.kill()
        await service.start()


async def pay_through_kills(
    source: random.Random,
    network: NetworkProgram,
    database_url: URL,
    folder: Path,
    *,
    sends: int,
    kills: int,
    troubles: Sequence[dict[str, object]] = ({},),
) -> None:
    async def trouble() -> None:
        await network.fault(**source.choice(troubles))

    async with running_sink(source, refused=0.1) as sink:
        variables = network.variables | database_variables(database_url, folder) | {"CALLBACK_URL": sink.url}
        async with ServiceProgram(variables) as service:
            addresses, _ = await open_accounts(service, network, ACCOUNTS)
            await network.fault(confirmation_delay_ms=20)
            payments, payers = random_payments(source, addresses, sends), Payers(service)
            async with asyncio.TaskGroup() as group:
                for lane in range(CLIENTS):
                    group.create_task(payers.pay_in_turn(payments[lane::CLIENTS]))
                group.create_task(kill_at_random(source, service, payers, trouble, sends=sends, kills=kills))
            assert any(isinstance(status, str) for status in payers.statuses), "no client noticed a kill"
            await network.heal()
            # Every account goes on, without an unlock or a restart.
            await asyncio.gather(*(payers.pay(new_payment(address, NOBODY)) for address in addresses))
            assert len(payers.answers) == sends + len(addresses)
            books = Books(
                service=service,
                network=network,
                database_url=database_url,
                addresses=addresses,
                sink=sink,
            )
            await books.assert_agree(payers.answers)
            print(dict(payers.statuses))  # noqa: T201 - how rough it was


async def test_no_payment_is_lost_or_made_twice_when_the_service_is_killed(
    network: NetworkProgram, database_url: URL, tmp_path: Path
) -> None:
    source = seeded("kill")
    await pay_through_kills(source, network, database_url, tmp_path, sends=SENDS, kills=KILLS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("repetition", range(8))
async def test_no_payment_is_lost_or_made_twice_with_many_seeds(
    network: NetworkProgram, database_url: URL, tmp_path: Path, repetition: int
) -> None:
    source = seeded(f"kill {repetition}")
    await pay_through_kills(source, network, database_url, tmp_path, sends=300, kills=15, troubles=TROUBLES)
