"""An extrinsic in a final block whose call the chain refused, or of which nobody can tell: nowhere is it shown as confirmed."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from commands.conftest import run
from strongroom.admin.estate import Estate
from strongroom.admin.surface import admin_surface
from strongroom.bittensor.extrinsics.effects import ExtrinsicEffects
from strongroom.bittensor.extrinsics.extrinsic import InBlock, Inclusion, Receipt, finalized
from strongroom.bittensor.extrinsics.store import drop_receipts, load_receipts, put_receipt
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.errors import OutcomeUnknown
from strongroom.core.http.listener import behind_door
from strongroom.core.intents.execution import ExecutionState
from strongroom.core.intents.intent import Outcome
from strongroom.core.intents.payments import PaymentFilter, PaymentRecord
from strongroom.core.intents.store import list_intents
from strongroom.core.security.access import OPERATOR
from strongroom.core.security.attempts import Attempts
from support.admin_office import SETTINGS
from support.atto_service import until
from support.bittensor.live_node import LiveNode, live_node, new_node
from support.bittensor.weighing import Hurried
from support.bittensor_service import HOT, BittensorService, database_variables, running_bittensor
from support.serving import serving
from support.unslowed import UNSLOWED
from support.waiting import eventually
from support.webhooks.house import BOSS
from support.webhooks.page import assert_as_documented

pytestmark = pytest.mark.anyio
PAYER, PAID = Keypair.from_uri("//Bob"), Keypair.from_uri("//Strongroom//paid")
TAO, MORE_THAN_THERE_IS = 10**9, 10**18
UNREADABLE = "the node no longer had the events of its block"


@pytest.fixture
async def node() -> AsyncIterator[LiveNode]:
    async with live_node(new_node(424, [HOT.public_key])) as live:
        yield live


@dataclass(kw_only=True)
class Till:
    """A service whose wallet `payer` pays, with the variables with which an operator finds its database."""

    service: BittensorService
    node: LiveNode
    headers: dict[str, str]
    variables: dict[str, str]

    async def pay(self, amount_rao: int, *, is_readable: bool = True) -> PaymentRecord:
        """A transfer whose outcome is known. Not `is_readable`: the node deletes its block's state before anybody asks for it."""
        data = {"destination": PAID.address, "amount_rao": amount_rao}
        body = {"wallet_name": "payer", "transaction_data": data}
        headers = self.headers | {"Idempotency-Key": f"{amount_rao} {is_readable}"}
        asked = asyncio.create_task(self.service.client.post("/wallet/transfer", json=body, headers=headers))
        await eventually(lambda: len(self.node.node.pool.waiting) == 1 or asked.done())
        self.node.produce(2)
        chain = self.node.node.chain
        if not is_readable and (block := chain.best.at(chain.head.number - 1)) is not None:
            block.values = None
        answer = await asked
        assert answer.status_code == httpx2.codes.OK, answer.text
        return (await until(self.page, lambda found: found[0].state is not Outcome.OPEN))[0]

    async def page(self, **wanted: Any) -> list[PaymentRecord]:
        return [*await self.service.ledger.payments.page(PaymentFilter(**wanted))]

    async def run(self, *arguments: str) -> list[str]:
        """What the command prints, beside the running service."""
        ended = await asyncio.to_thread(partial(run, *arguments, variables=self.variables))
        assert ended.status == 0, ended.stderr
        return ended.stdout

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[httpx2.AsyncClient]:
        """The admin API of the same ledger."""
        service, entropy = self.service, SystemEntropy()
        estate = Estate([service.ledger], service.health, SystemClock())
        attempts = Attempts("console", SystemClock(), entropy, service.metrics, estate.record, free=UNSLOWED)
        surface = admin_surface(SETTINGS, estate, attempts=attempts, metrics=service.metrics)
        token = await service.ledger.tokens.create(OPERATOR, "auditor", ["admin:payments"])
        headers = {"Authorization": f"Bearer {token.secret}"}
        async with (
            serving(behind_door(surface)) as url,
            httpx2.AsyncClient(
                base_url=f"{url}/admin/v1", headers=headers, trust_env=False, verify=False
            ) as client,
        ):
            yield client


@pytest.fixture
async def till(node: LiveNode, database_url: URL, tmp_path: Path) -> AsyncIterator[Till]:
    variables = database_variables(database_url, tmp_path) | {"chain_endpoint": node.url}
    async with running_bittensor(variables, clock=Hurried()) as service:
        pairs = {coldkey("payer"): PAYER, hotkey("payer", "default"): HOT}
        keys = [NewKey(key=key, public_key=pair.public_key, keypair=pair) for key, pair in pairs.items()]
        await service.ledger.wallets.import_(OPERATOR, keys)
        headers = await service.token(calls=["Balances.transfer_keep_alive"], coldkey=True)
        found = variables | {"network": "local", "COLUMNS": "250"}
        yield Till(service=service, node=node, headers=headers, variables=found)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How a payment is shown."""

    execution: ExecutionState
    reason: str | None
    word: str
    """In lists, in place of its state."""
    step: str
    kind: str
    outcome: str
    """The label of the metric."""


async def one_of_each(till: Till) -> Mapping[bytes, Shown]:
    paid = await till.pay(TAO)
    failed = await till.pay(MORE_THAN_THERE_IS)
    unknown = await till.pay(2 * TAO, is_readable=False)
    return {
        paid.id: Shown(
            execution=ExecutionState.SUCCEEDED,
            reason=None,
            word="ACCEPTED",
            step="confirmed",
            kind="payment.confirmed",
            outcome="accepted",
        ),
        failed.id: Shown(
            execution=ExecutionState.FAILED,
            reason="FundsUnavailable",
            word="failed",
            step="failed",
            kind="payment.failed",
            outcome="failed",
        ),
        unknown.id: Shown(
            execution=ExecutionState.UNKNOWN,
            reason=UNREADABLE,
            word="unverified",
            step="unverified",
            kind="payment.unverified",
            outcome="unverified",
        ),
    }


async def test_what_the_chain_refused_and_what_nobody_can_tell_is_nowhere_confirmed(till: Till) -> None:
    await till.service.ledger.webhooks.add(BOSS, "shop", "https://shop.example/", kinds=["payment.*"])
    expected = await one_of_each(till)
    for one in await till.page():
        shown = expected[one.id]
        assert (one.state, one.execution, one.reason) == (Outcome.ACCEPTED, shown.execution, shown.reason)
    await assert_told(till, expected)
    await assert_found(till, expected)
    await assert_in_the_admin_api(till, expected)


async def assert_told(till: Till, expected: Mapping[bytes, Shown]) -> None:
    """By webhooks and metrics."""
    webhooks = till.service.ledger.webhooks
    events = await until(lambda: webhooks.events("shop"), lambda found: len(found) == 2 * len(expected))
    ends = [json.loads(one.payload) for one in events if one.kind != "payment.signed"]
    assert len(ends) == len(expected)
    for event in ends:
        assert_as_documented(event)
        data, shown = event["data"], expected[bytes.fromhex(event["data"]["id"][2:])]
        assert (event["type"], data["state"]) == (shown.kind, "ACCEPTED")
        assert (data["execution"], data["reason"]) == (shown.execution, shown.reason)
    for shown in expected.values():
        labels = {"ledger": "bittensor", "outcome": shown.outcome}
        registry = till.service.metrics.registry
        assert registry.get_sample_value("strongroom_payment_seconds_count", labels) == 1


async def assert_found(till: Till, expected: Mapping[bytes, Shown]) -> None:
    for payment_id, shown in expected.items():
        execution = shown.execution
        assert [found.id for found in await till.page(execution=execution)] == [payment_id]
        assert await till.page(execution=execution, state=Outcome.REJECTED) == []
        assert await till.page(execution=execution, is_stuck=True) == []


async def assert_in_the_admin_api(till: Till, expected: Mapping[bytes, Shown]) -> None:
    async with till.admin() as client:
        for payment_id, shown in expected.items():
            document = (await client.get(f"/payments/{payment_id.hex()}")).json()
            assert (document["state"], document["execution"]) == ("ACCEPTED", shown.execution)
            assert document["reason"] == shown.reason
            filtered = await client.get("/payments", params={"execution": shown.execution.value})
            assert filtered.json()["payments"] == [document]
            (life,) = (await client.get(f"/payments/{payment_id.hex()}/life")).json()["lives"]
            steps = {step["step"] for step in life["life"]}
            assert steps & {"confirmed", "failed", "unverified", "rejected"} == {shown.step}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_the_command_line_tells_them_apart(till: Till) -> None:
    expected = await one_of_each(till)
    without = {one: shown for one, shown in expected.items() if shown.step != "confirmed"}
    rows, *told = await asyncio.gather(
        till.run("payments"),
        *(till.run("payment", one.hex()) for one in without),
        *(till.run("payments", f"--{shown.word}", "--json") for shown in without.values()),
    )
    for payment_id, shown in expected.items():
        (row,) = [line for line in rows if f"0x{payment_id.hex()}" in line]
        assert f" {shown.word} " in row
        assert (shown.reason or "") in row
    for (head, *lines), shown in zip(told, without.values(), strict=False):
        assert f": {shown.word}, " in head
        assert [line.split()[2] for line in lines if line.startswith(" 20")][-1] == shown.step
    for found, (payment_id, shown) in zip(told[len(without) :], without.items(), strict=True):
        (one,) = map(json.loads, found)
        assert (one["id"], one["execution"]) == (f"0x{payment_id.hex()}", shown.execution)


async def test_a_node_without_the_events_takes_nothing_from_what_another_had_read(till: Till) -> None:
    """Two replicas, of which one asks a node that has deleted the block's state."""
    await till.pay(TAO)
    database = till.service.ledger.database
    (intent,) = await database.read(list_intents)
    (known,) = (await database.read(lambda c: load_receipts(c, [intent.id]))).values()
    assert known.inclusion is not None
    stripped = Inclusion(
        number=known.inclusion.number,
        hash=known.inclusion.hash,
        index=known.inclusion.index,
        fee=0,
        success=None,
        failure=None,
    )
    effects = ExtrinsicEffects(on_resolved=lambda _connection, _extrinsic: None, changed=lambda: None)
    for verdict in (finalized(stripped), InBlock(inclusion=stripped)):
        with pytest.raises(OutcomeUnknown):
            await database.write(partial(effects.apply, intent=intent, verdict=verdict))
        assert (await database.read(lambda c: load_receipts(c, [intent.id])))[intent.id] == known

    def forget(connection: Connection) -> None:
        put_receipt(connection, intent.id, Receipt(inclusion=stripped))
        effects.apply(connection, intent, finalized(known.inclusion or stripped))

    await database.write(forget)  # what was unknown becomes known
    assert [one.execution for one in await till.page()] == [ExecutionState.SUCCEEDED]
    await database.write(lambda c: drop_receipts(c, [intent.id]))
    assert [one.execution for one in await till.page()] == [ExecutionState.UNKNOWN]
    assert len(await till.page(execution=ExecutionState.UNKNOWN)) == 1
