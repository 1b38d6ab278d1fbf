"""Validators that set weights through several processes, and the books that are held against chain, processes and database."""

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx2
from sqlalchemy.engine import URL

from strongroom.bittensor.client import AsyncWalletService, ServiceSettings, WalletService
from strongroom.bittensor.keystore.names import coldkey, hotkey
from strongroom.bittensor.keystore.wallets import NewKey
from strongroom.bittensor.protocol.keys import Keypair
from strongroom.core.security.access import OPERATOR
from strongroom_sandbox.bittensor.codec.scale import ScaleError
from strongroom_sandbox.bittensor.execution.extrinsics import Extrinsic, read_extrinsic
from strongroom_sandbox.bittensor.node.node import Node
from strongroom_sandbox.bittensor.node.pool import Watcher
from support.bittensor.live_node import NETUID, LiveNode, new_node
from support.bittensor_service import COLD, WALLET, running_bittensor
from support.databases import execute_elsewhere
from support.ports import free_port
from support.replicas.clients import HURRIED_S, PAID, PAUSE_S, READ, Clients
from support.replicas.drill import Member
from support.waiting import PATIENCE_S, until_true

TOKEN = "default-token"
BLOCK_S = 1.0
"""An era is 16 blocks: what a process signed and did not offer waits for another one to do so."""
UIDS = [0, 1, 2]
FULL = 65_535


class WatchfulNode(Node):
    """Remembers every extrinsic that it was ever offered, taken or not."""

    offered: defaultdict[tuple[bytes, int], set[bytes]]

    @classmethod
    def over(cls, node: Node) -> Self:
        watchful = cls(node.chain, node.clock, node.production)
        watchful.offered = defaultdict(set)
        return watchful

    def submit(self, raw: bytes, watcher: Watcher | None = None) -> Extrinsic:
        extrinsic = read_extrinsic(raw, self.chain.runtime)
        self.offered[extrinsic.signer, extrinsic.nonce].add(extrinsic.hash)
        return super().submit(raw, watcher)


@dataclass(eq=False)
class Validator:
    """One hotkey in the vault, and what its owner asked for."""

    number: int
    asked: int = 0
    """Sets of weights asked for: the number of each stands in its weights."""
    answers: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    """What the service said of each request, by its key."""

    @property
    def name(self) -> str:
        return f"h{self.number}"

    @property
    def key(self) -> Keypair:
        return Keypair.from_uri(f"//Replicas//{self.number}")

    def weights(self) -> list[int]:
        return [FULL, self.asked, self.number]


async def import_validators(variables: Mapping[str, str], validators: list[Validator]) -> None:
    async with running_bittensor(variables) as service:
        keys = [NewKey(key=coldkey(WALLET), public_key=COLD.public_key, keypair=COLD)]
        keys += [
            NewKey(key=hotkey(WALLET, each.name), public_key=each.key.public_key, keypair=each.key)
            for each in validators
        ]
        await service.ledger.wallets.import_(OPERATOR, keys)


def validators_node(validators: list[Validator]) -> LiveNode:
    """A node that knows the validators; `produce_on` makes its blocks."""
    return LiveNode(WatchfulNode.over(new_node(424, [each.key.public_key for each in validators])))


async def produce_on(node: LiveNode) -> None:
    while True:
        node.produce()
        await asyncio.sleep(BLOCK_S)


class BittensorProgram(Member):
    """`strongroom serve bittensor`."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        port, management_port = free_port(), free_port()
        self.url, self.management_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{management_port}"
        super().__init__(
            "serve",
            "bittensor",
            environment={
                "network": "local",
                "BITTENSOR_PORT": str(port),
                "MANAGEMENT_PORT": str(management_port),
                "BITTENSOR_REQUESTS_A_MINUTE": "1000000",
                "LOG_FORMAT": "json",
                **variables,
            },
        )

    async def __aenter__(self) -> Self:
        self.api, self.management = await self.client(self.url), await self.client(self.management_url)
        self.api.headers["Authorization"] = f"Bearer {TOKEN}"
        return await super().__aenter__()


class BittensorClients(Clients):
    """One writer for each validator, every third through the service's own client; and readers."""

    def __init__(self, url: str, validators: list[Validator], state: Path) -> None:
        super().__init__(url)
        self.validators = validators
        self._state = state

    def work(self) -> list[Coroutine[Any, Any, None]]:
        writers = [
            self._set_by_client(each) if each.number % 3 == 2 else self._set(each) for each in self.validators
        ]
        return [*writers, self._read(), self._read()]

    def client(self) -> httpx2.AsyncClient:
        client = super().client()
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        return client

    async def _read(self) -> None:
        async with self.client() as client:
            while not self.stopped.is_set():
                await self.ask(client, READ, "GET", f"/wallet/info?wallet_name={WALLET}&hotkey_name=h0")
                for validator in self.validators:
                    if validator.asked and validator.answers:
                        key = next(reversed(validator.answers))
                        await self.ask(client, READ, "GET", f"/wallet/jobs/{key}")

    async def _set(self, validator: Validator) -> None:
        async with self.client() as client:
            while not self.stopped.is_set():
                validator.asked += 1
                async with asyncio.timeout(2 * PATIENCE_S):
                    while not await self._asked(client, validator):
                        pass
                await self.note(PAID)

    async def _asked(self, client: httpx2.AsyncClient, validator: Validator) -> bool:
        """Asks, with the same key each time; whether the weights are in a block."""
        key = f"{validator.name}-{validator.asked}"
        answer = await self.ask(
            client,
            PAID,
            "POST",
            "/wallet/set_weights",
            json=_request(validator),
            headers={"Idempotency-Key": key},
        )
        if answer is None or answer.is_server_error:
            return False
        assert answer.status_code == httpx2.codes.OK, answer.text
        assert answer.json()["success"] is True, answer.text
        validator.answers[key].append(answer.json())
        return True

    async def _set_by_client(self, validator: Validator) -> None:
        """As a subnet's code does: it calls again while the client does not say that the weights are set."""
        settings = ServiceSettings(
            url=self._url, token=TOKEN, state=self._state / validator.name, cool_down_s=0
        )
        service = AsyncWalletService(WalletService(settings))
        while not self.stopped.is_set():
            validator.asked += 1
            async with asyncio.timeout(4 * PATIENCE_S):
                while not await self._called(service, validator):  # noqa: ASYNC110 - another program offers no event
                    await asyncio.sleep(PAUSE_S)
            await self.note(PAID)

    async def _called(self, service: AsyncWalletService, validator: Validator) -> bool:
        result = await service.set_weights(
            f"{WALLET}/{validator.name}", NETUID, UIDS, validator.weights(), wait_for_inclusion=True
        )
        self.outcomes["client", 200 if result.success else f"{result.fate}: {result.message}"] += 1
        return result.success


@dataclass(kw_only=True)
class BackgroundJobs:
    """Weights for which nobody waits: whoever leads the jobs has them set."""

    validator: Validator
    url: str
    """Of the proxy."""

    async def set(self) -> None:
        """Returns when they are in a block."""
        self.validator.asked += 1
        async with httpx2.AsyncClient(
            base_url=self.url,
            trust_env=False,
            timeout=HURRIED_S,
            headers={"Authorization": f"Bearer {TOKEN}"},
        ) as client:
            await until_true(lambda: self._is_set(client))

    async def _is_set(self, client: httpx2.AsyncClient) -> bool:
        key = f"{self.validator.name}-{self.validator.asked}"
        body = _request(self.validator) | {"async": True}
        try:
            answer = await client.post("/wallet/set_weights", json=body, headers={"Idempotency-Key": key})
        except httpx2.HTTPError:
            return False
        if not answer.is_success or "result" in answer.json():
            return False
        assert answer.json()["success"] is True, answer.text
        self.validator.answers[key].append(answer.json())
        return True


def _request(validator: Validator) -> dict[str, Any]:
    data = {"netuid": NETUID, "uids": UIDS, "weights": validator.weights(), "wait_for_inclusion": True}
    return {"wallet_name": WALLET, "hotkey_name": validator.name, "transaction_data": data}


@dataclass(frozen=True, kw_only=True)
class BittensorBooks:
    """What is so in the end on the chain, at each process and in the database."""

    node: LiveNode
    services: list[BittensorProgram]
    database_url: URL

    async def assert_agree(self, validators: list[Validator]) -> None:
        node = self.node.node
        assert isinstance(node, WatchfulNode)
        assert {len(hashes) for hashes in node.offered.values()} == {1}  # no nonce was signed twice
        included = self._included()
        for each in validators:
            in_blocks = included[each.key.public_key]
            assert [extrinsic.nonce for extrinsic in in_blocks] == list(range(len(in_blocks)))
            numbers = [extrinsic.call.args["weights"][1] for extrinsic in in_blocks]
            assert numbers == list(range(1, each.asked + 1)), each.name
        await self._assert_answered_once(validators)
        await until_true(self._is_settled)

    def _included(self) -> dict[bytes, list[Extrinsic]]:
        """The extrinsics of each signer in the best branch, in order."""
        node, found = self.node.node, defaultdict(list)
        for block in node.chain.best:
            for raw in block.extrinsics:
                with contextlib.suppress(ScaleError):  # the time is not signed
                    extrinsic = read_extrinsic(raw, node.chain.runtime)
                    found[extrinsic.signer].append(extrinsic)
        return found

    async def _assert_answered_once(self, validators: list[Validator]) -> None:
        """However often a request was asked, and of whom: one extrinsic answered it."""
        for each in validators:
            for key, answers in each.answers.items():
                told = {answer["extrinsic_hash"] for answer in answers}
                for service in self.services:
                    job = (await service.api.get(f"/wallet/jobs/{key}")).json()
                    told.add(job["extrinsic_hash"])
                assert len(told) == 1, (key, told)
        hashes = Counter(
            answer["extrinsic_hash"]
            for each in validators
            for answers in each.answers.values()
            for answer in answers[:1]
        )
        assert set(hashes.values()) <= {1}

    async def _is_settled(self) -> bool:
        query = "SELECT COUNT(*) FROM strongroom_intent WHERE outcome = 'OPEN'"
        return await asyncio.to_thread(execute_elsewhere, self.database_url, query) == [["0"]]
