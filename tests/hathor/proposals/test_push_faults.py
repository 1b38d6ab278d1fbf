"""Service, node and the cable between them as they are: whatever breaks when, a payment goes out once, and its fate is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import URL

from strongroom.core.clock import SystemClock, SystemEntropy
from strongroom.core.environment import Secret
from strongroom.hathor.protocol.addresses import PRIVATENET
from strongroom.hathor.protocol.keys import address_chain
from strongroom.hathor.protocol.scripts import Payment
from strongroom.hathor.protocol.transactions import Output, Transaction
from strongroom.hathor.wallets.jwt import Tokens
from support.cable import Cable, Fault
from support.hathor.api import SIGNED
from support.hathor.processes import AUTH_SECRET, NodeProgram, WalletProgram, database_variables
from support.hathor.scenes import address
from support.hathor.signing import draft, sign
from support.hathor.wallets import WALLET, XPUB
from support.mariadb import MariaDB
from support.waiting import PATIENCE_S, until_true

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PUSH = b"/v1a/push_tx"


def full_token() -> dict[str, str]:
    """Of the wallet whose account key is its authentication key, as the first API loads it."""
    signed = SIGNED["signed_messages"]
    tokens = Tokens([Secret(AUTH_SECRET)], SystemClock(), SystemEntropy())
    token = tokens.issue_full(
        signature=signed["sig_xpub_testnet"]["signature"],
        timestamp_s=signed["timestamp"],
        address=signed["sig_xpub_testnet"]["address"],
        wallet_id=WALLET,
    )
    return {"Authorization": f"Bearer {token}"}


class Payer:
    """A wallet at one service."""

    def __init__(self, service: WalletProgram) -> None:
        self.service = service

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        answer = await self.service.api.request(method, path, json=body, headers=full_token(), timeout=60)
        return answer.status_code, answer.json()

    async def start(self) -> None:
        await self.service.api.post("/wallet/", json={"xpubkey": XPUB})
        await until_true(self._is_ready)

    async def fund(self, node: NodeProgram, index: int) -> Transaction:
        """A payment of a fresh output of our own, ready to be announced."""
        own = address_chain(XPUB).child_address(index).encode(PRIVATENET)
        funding = await node.fund(own, 1_000 + index)
        await until_true(lambda: self._has(funding))
        _, body = await self.ask("GET", "/wallet/tx_outputs")
        spent = next(each for each in body["txOutputs"] if each["txId"] == funding)
        timestamp_s = (await node.transaction(funding))["tx"]["timestamp"] + 1
        payee = Output(value=spent["value"], token_data=0, script=Payment(address=address("payee")).encode())
        outpoint = (funding, spent["index"])
        return sign(draft([outpoint], [payee], timestamp_s=timestamp_s), {outpoint: index})

    async def propose(self, transaction: Transaction) -> str:
        status, body = await self.ask("POST", "/tx/proposal", {"txHex": transaction.encode().hex()})
        assert status == 201, body
        identifier: str = body["txProposalId"]
        return identifier

    async def send(self, identifier: str, transaction: Transaction) -> tuple[int, Any]:
        return await self.ask("PUT", f"/tx/proposal/{identifier}", {"txHex": transaction.encode().hex()})

    async def is_sent(self, identifier: str, transaction: Transaction) -> bool:
        _, body = await self.send(identifier, transaction)
        return bool(body["success"]) or body.get("status") == "sent"

    async def _is_ready(self) -> bool:
        return bool((await self.ask("GET", "/wallet/status"))[1].get("status", {}).get("readyAt"))

    async def _has(self, tx_id: str) -> bool:
        return (await self.ask("GET", f"/wallet/transactions/{tx_id}"))[0] == 200


@pytest.fixture(scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[NodeProgram]:
    async with NodeProgram(tmp_path_factory.mktemp("node")) as program:
        yield program


@pytest.fixture(scope="module")
async def cable(node: NodeProgram) -> AsyncIterator[Cable]:
    async with Cable(int(node.url.rpartition(":")[2]), PUSH) as cable:
        yield cable


@pytest.fixture(scope="module")
async def payer(
    node: NodeProgram, cable: Cable, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Payer]:
    variables = {
        "STRONGROOM_DATA": str(tmp_path_factory.mktemp("service")),
        "HATHOR_LEGACY_API": "true",
        "DEFAULT_SERVER": f"http://127.0.0.1:{cable.port}/v1a/",
    }
    async with WalletProgram(node, variables) as service:
        payer = Payer(service)
        await payer.start()
        yield payer


async def exists(node: NodeProgram, transaction: Transaction) -> bool:
    return bool((await node.transaction(transaction.id))["success"])


async def test_the_cable_breaks_after_the_node_took_it(payer: Payer, node: NodeProgram, cable: Cable) -> None:
    transaction = await payer.fund(node, 0)
    identifier = await payer.propose(transaction)
    cable.expect(Fault.CUT)
    status, body = await payer.send(identifier, transaction)
    assert (status, body["success"]) == (200, True)
    await cable.met()
    assert await exists(node, transaction)


async def test_the_node_answers_too_late(payer: Payer, node: NodeProgram, cable: Cable) -> None:
    transaction = await payer.fund(node, 1)
    identifier = await payer.propose(transaction)
    cable.expect(Fault.LATE)
    status, body = await payer.send(identifier, transaction)
    assert (status, body["success"]) == (200, True)
    cable.release()
    assert await exists(node, transaction)


async def test_the_node_is_away(payer: Payer, node: NodeProgram, cable: Cable) -> None:
    """Announced all the same, and nothing is sent: the wallet asks again when it is back."""
    transaction = await payer.fund(node, 2)
    await cable.pull()
    try:
        identifier = await payer.propose(transaction)
        status, body = await payer.send(identifier, transaction)
        assert (status, body["error"]) == (503, "fullnode-unavailable")
    finally:
        await cable.plug()
    assert not await exists(node, transaction)
    status, body = await payer.send(identifier, transaction)
    assert (status, body["success"]) == (200, True)


async def test_killed_between_storing_and_pushing(payer: Payer, node: NodeProgram, cable: Cable) -> None:
    """One push had arrived, one had not; after the restart both are out, and nobody asked again."""
    arrived, lost = await payer.fund(node, 3), await payer.fund(node, 4)
    identifiers = [await payer.propose(arrived), await payer.propose(lost)]
    cable.expect(Fault.LATE)
    requests = [asyncio.ensure_future(payer.send(identifiers[0], arrived))]
    await cable.met()
    await until_true(lambda: exists(node, arrived))
    cable.expect(Fault.SWALLOWED)
    requests.append(asyncio.ensure_future(payer.send(identifiers[1], lost)))
    await cable.met()
    payer.service.kill()
    await asyncio.gather(*requests, return_exceptions=True)
    assert not await exists(node, lost)
    await payer.service.start()
    async with asyncio.timeout(PATIENCE_S):
        while not await exists(node, lost):  # noqa: ASYNC110 - another program offers no event
            await asyncio.sleep(0.2)
    for identifier, transaction in zip(identifiers, (arrived, lost), strict=True):
        assert await payer.is_sent(identifier, transaction)
    outputs = (await payer.ask("GET", "/wallet/tx_outputs"))[1]["txOutputs"]
    assert not {spent.tx_id.hex() for each in (arrived, lost) for spent in each.inputs} & {
        output["txId"] for output in outputs
    }


async def test_stopped_while_a_push_hangs(payer: Payer, node: NodeProgram, cable: Cable) -> None:
    """Who waits is told that nobody knows, and the process ends."""
    transaction = await payer.fund(node, 6)
    identifier = await payer.propose(transaction)
    cable.expect(Fault.LATE)
    waiting = asyncio.ensure_future(payer.send(identifier, transaction))
    await until_true(lambda: exists(node, transaction))
    assert await payer.service.terminate() == 0
    status, body = await waiting
    assert (status, body["error"], body["txProposalId"]) == (504, "tx-proposal-pending", identifier)
    cable.release()
    await payer.service.start()
    status, body = await payer.send(identifier, transaction)
    assert (status, body["success"]) == (200, True)


async def test_two_processes_race(node: NodeProgram, mariadb: MariaDB, tmp_path: Path) -> None:
    url: URL = mariadb.new_database()
    variables = {"STRONGROOM_DATA": str(tmp_path), "HATHOR_LEGACY_API": "true", **database_variables(url)}
    async with AsyncExitStack() as stack:
        services = [await stack.enter_async_context(WalletProgram(node, variables)) for _ in range(2)]
        payers = [Payer(service) for service in services]
        await payers[0].start()
        transaction = await payers[0].fund(node, 5)
        body = {"txHex": transaction.encode().hex()}
        answers = await asyncio.gather(
            *(payer.ask("POST", "/tx/proposal", body) for payer in payers for _ in range(50))
        )
        assert sorted(status for status, _ in answers) == [201] + [400] * 99
        assert {document.get("error") for _, document in answers} == {None, "inputs-already-used"}
        identifier = next(document["txProposalId"] for status, document in answers if status == 201)
        sent = await asyncio.gather(*(payer.send(identifier, transaction) for payer in payers))
        assert any(document["success"] for _, document in sent)
        for _, document in sent:
            assert document["success"] or document.get("status") == "sent", document
        assert await exists(node, transaction)
