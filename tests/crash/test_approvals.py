"""kill -9 of services that carry out what people approve: what was approved is paid once, and nothing else."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.engine import URL

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.guard.administration import GuardAdministration
from strongroom.core.guard.approvals.administration import ApprovalAdministration
from strongroom.core.guard.approvals.approval import Approval, ApprovalState
from strongroom.core.security.access import OPERATOR, Principal
from strongroom.core.security.audit import Audit
from strongroom.core.storage.database import Database
from strongroom.registry import BY_NAME
from support.atto_payments import Books, Payers, Payment, new_payment, open_accounts
from support.atto_processes import NetworkProgram, ServiceProgram
from support.atto_service import NOBODY, database_variables
from support.databases import execute_elsewhere
from support.seeds import seeded
from support.trail import trail_of_service
from support.waiting import until_true

pytestmark = pytest.mark.anyio
PAYMENTS = 36
KILLS = 5
ACCOUNTS = 3
LANES = 6
MAX_PAUSE_S = 0.4
ANN = Principal(name="token:ann", scopes=frozenset({"atto:approve"}))
BEN = Principal(name="token:ben", scopes=frozenset({"atto:approve"}))
RULE = {"effect": "approve", "when": {"kinds": ["SEND"]}, "approvals": {"needed": 2}}


class People:
    """Those who approve and refuse, in a process of their own, as at the command line."""

    def __init__(self, database: Database) -> None:
        clock, audit = SystemClock(), Audit(SystemClock(), trail_of_service())
        self.approvals = ApprovalAdministration(database, audit, clock, ledger="atto")
        self.rules = GuardAdministration(
            database,
            audit,
            clock,
            SystemEntropy(),
            vocabulary=BY_NAME["atto"].vocabulary(),
            loosening_delay_ms=0,
        )

    async def decide(self, approval: str, *, refuses: bool) -> None:
        """Two say yes; of those who say no, one does after the first yes."""
        await self.approvals.approve(ANN, approval)
        if refuses:
            await self.approvals.refuse(BEN, approval, "no")
        else:
            await self.approvals.approve(BEN, approval)

    async def all(self) -> list[Approval]:
        return await self.approvals.list(list(ApprovalState))


@asynccontextmanager
async def people_at(url: URL) -> AsyncIterator[People]:
    database = Database(url)
    try:
        yield People(database)
    finally:
        await database.close()


async def park(payers: Payers, payment: Payment, services: Sequence[ServiceProgram]) -> str:
    """Asks until the service says that the payment waits."""
    while True:
        for service in services:
            with contextlib.suppress(httpx2.HTTPError):
                answer = await payers.ask(payment, service)
                if answer.status_code == httpx2.codes.FORBIDDEN:
                    body = answer.json()
                    assert body["code"] == "approval_needed", answer.text
                    return str(body["approvalId"])
        await asyncio.sleep(0.05)  # the service is being started again


async def ask_again(payers: Payers, payment: Payment, services: Sequence[ServiceProgram]) -> None:
    """Some clients do, whatever they hear."""
    for service in services:
        with contextlib.suppress(httpx2.HTTPError):
            await payers.ask(payment, service)


async def live(
    source: random.Random,
    people: People,
    payers: Payers,
    payments: Sequence[Payment],
    services: Sequence[ServiceProgram],
    refused: set[str],
) -> None:
    for payment in payments:
        approval = await park(payers, payment, services)
        assert await park(payers, payment, services) == approval
        await people.decide(approval, refuses=payment.key in refused)
        if source.random() < 0.5:  # the others do not come back
            await ask_again(payers, payment, services)


async def kill(source: random.Random, services: Sequence[ServiceProgram]) -> None:
    for _ in range(KILLS):
        await asyncio.sleep(source.uniform(0, MAX_PAUSE_S))
        service = source.choice(services)
        service.kill()
        await service.start()


async def test_what_is_approved_is_paid_once_when_services_are_killed(
    network: NetworkProgram, database_url: URL, tmp_path: Path
) -> None:
    source = seeded("approvals")
    variables = network.variables | database_variables(database_url, tmp_path)
    replicas = 1 if database_url.get_backend_name() == "sqlite" else 2
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(ServiceProgram(variables)) for _ in range(replicas)]
        addresses, _ = await open_accounts(services[0], network, ACCOUNTS)
        people = await stack.enter_async_context(people_at(database_url))
        await people.rules.add(OPERATOR, "all", json.dumps(RULE))
        await network.fault(confirmation_delay_ms=20)
        payments = [new_payment(addresses[number % ACCOUNTS], NOBODY) for number in range(PAYMENTS)]
        refused = {payment.key for payment in source.sample(payments, PAYMENTS // 4)}
        payers = Payers(*services)
        async with asyncio.TaskGroup() as group:
            for lane in range(LANES):
                group.create_task(live(source, people, payers, payments[lane::LANES], services, refused))
            group.create_task(kill(source, services))

        async def is_all_decided() -> bool:
            return {one.state for one in await people.all()} == {ApprovalState.SPENT, ApprovalState.REFUSED}

        await until_true(is_all_decided)
        books = Books(service=services[0], network=network, database_url=database_url, addresses=addresses)
        await books.settle()
        paid = [amount for address in addresses for amount in await amounts_of(books, address)]
        wanted = [payment for payment in payments if payment.key not in refused]
        assert sorted(paid) == sorted(payment.amount_raw for payment in wanted)
        found = await people.all()
        assert {one.key for one in found if one.state is ApprovalState.SPENT} == {one.key for one in wanted}
        signed = execute_elsewhere(database_url, "SELECT COUNT(*) FROM strongroom_intent WHERE kind = 'SEND'")
        assert signed == [[str(len(wanted))]]
        for payment in wanted:
            answer = await payers.ask(payment, services[-1])
            assert answer.status_code == httpx2.codes.OK, answer.text
        assert len({answer["hash"] for answer in payers.answers.values()}) == len(wanted)
        for payment in payments:
            if payment.key in refused:
                await until_true(partial(is_refused, payers, payment, services[-1]))


async def is_refused(payers: Payers, payment: Payment, service: ServiceProgram) -> bool:
    """False: a process that was killed holds the key, until its lease ends."""
    code = (await payers.ask(payment, service)).json()["code"]
    assert code in {"approval_refused", "idempotency_key_in_progress"}
    return bool(code == "approval_refused")


async def amounts_of(books: Books, address: str) -> list[int]:
    """What the account has sent, as the chain says."""
    entries = await books.chain_entries(address)
    return [one["previousBalance"] - one["balance"] for one in entries if one["blockType"] == "SEND"]
