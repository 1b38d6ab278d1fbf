"""The Atto ledger as `strongroom serve` runs it, in the test's own process, and a client of its API."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx2
from sqlalchemy import select
from sqlalchemy.engine import URL

from strongroom.atto import tables
from strongroom.atto.definition import LEDGER
from strongroom.atto.ledger import AttoLedger
from strongroom.atto.protocol import AccountKeys, Mnemonic
from strongroom.core.clock import SystemEntropy
from strongroom.core.http.listener import behind_door
from strongroom.core.intents.intent import Intent
from strongroom.core.intents.store import adopt
from strongroom.core.ledger.surroundings import Surroundings
from strongroom.core.runtime.telemetry import Health, Metrics
from strongroom.core.storage.cluster.waiting import waits
from strongroom.settings import read_settings
from support.atto_account import AttoAccount
from support.atto_network import AttoNetwork
from support.hurried_clock import HurriedClock
from support.serving import Serve, serving
from support.trail import verify
from support.unslowed import UNSLOWED
from support.waiting import PATIENCE_S

T = TypeVar("T")

ATTO = 10**9
"""Raw units of one ATTO."""
NOBODY = "aabaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaevjhdj47s"
"""An address that is none of ours: the key of 32 bytes 02."""
SQLITE_NAME = "atto.sqlite3"
"""What the service calls its database in its data folder."""
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

_names = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """What a client knows of a wallet that it made."""

    name: str
    mnemonic: str = field(repr=False)
    encryption_key: str = field(repr=False)

    def account(self, index: int = 0) -> AttoAccount:
        """The same account in another wallet with the same mnemonic."""
        return AttoAccount(AccountKeys(Mnemonic.parse(self.mnemonic).seed()).private_key(index))


class AttoService:
    """A running service and its client. Paths are those of the API; amounts are in raw."""

    def __init__(
        self, ledger: AttoLedger, client: httpx2.AsyncClient, health: Health, metrics: Metrics
    ) -> None:
        self.ledger = ledger
        self.client = client
        self.health = health
        self.metrics = metrics
        self.application: Any = None
        """What answers, where this process serves it."""

    async def get(self, path: str) -> Any:
        """The document at `path`, which must be there."""
        return _document(await self.client.get(path))

    async def post(self, path: str, body: object = None) -> Any:
        """The document that answers, which must be a success."""
        return _document(await self.client.post(path, json=body) if body else await self.client.post(path))

    async def create_wallet(self, name: str | None = None) -> Wallet:
        name = name or f"wallet-{next(_names)}"
        made = await self.post(f"/wallets/{name}")
        return Wallet(name=name, mnemonic=made["mnemonic"], encryption_key=made["encryptionKey"])

    async def create_account(self, wallet: Wallet | None = None) -> str:
        """The address of a new account, of a new wallet by default."""
        wallet = wallet or await self.create_wallet()
        address: str = (await self.post(f"/wallets/{wallet.name}/accounts"))["address"]
        return address

    async def open_account(
        self, network: AttoNetwork, amount_raw: int = 50 * ATTO, wallet: Wallet | None = None
    ) -> str:
        """The address of a new account with this balance."""
        address = await self.create_account(wallet)
        await network.fund(address, amount_raw)
        await self.until_balance(address, amount_raw)
        return address

    async def lock(self, wallet: Wallet) -> None:
        response = await self.client.put(f"/wallets/{wallet.name}/locks/LOCKED")
        assert response.status_code == httpx2.codes.OK, response.text

    async def unlock(self, wallet: Wallet) -> None:
        body = {"encryptionKey": wallet.encryption_key}
        response = await self.client.put(f"/wallets/{wallet.name}/locks/UNLOCKED", json=body)
        assert response.status_code == httpx2.codes.OK, response.text

    async def details(self, address: str) -> dict[str, Any] | None:
        """None while the account is not open."""
        response = await self.client.get(f"/wallets/accounts/{address}/details")
        if response.status_code == httpx2.codes.NOT_FOUND:
            return None
        document: dict[str, Any] = _document(response)
        return document

    async def until_balance(self, address: str, amount_raw: int) -> dict[str, Any]:
        """The details once they show this balance."""

        def arrived(details: dict[str, Any] | None) -> bool:
            return details is not None and details["balance"] == amount_raw

        details = await until(lambda: self.details(address), arrived)
        assert details is not None
        return details

    async def send(
        self, address: str, receiver: str, amount_raw: int | str, *, key: str | None = None, **body: Any
    ) -> httpx2.Response:
        """SEND; `key` is the Idempotency-Key, `body` adds fields."""
        return await self.client.post(
            f"/wallets/accounts/{address}/transactions/SEND",
            json={"receiverAddress": receiver, "amount": amount_raw} | body,
            headers={"Idempotency-Key": key} if key else {},
        )

    async def change(self, address: str, representative: str, *, key: str | None = None) -> httpx2.Response:
        return await self.client.post(
            f"/wallets/accounts/{address}/transactions/CHANGE",
            json={"representativeAddress": representative},
            headers={"Idempotency-Key": key} if key else {},
        )

    async def verify_audit(self) -> int:
        """The length of the audit trail, whose chain must hold."""
        return await verify(self.ledger.database, self.ledger.trail_key)


async def leave_unreadable(service: AttoService, address: str) -> None:
    """Leaves an unreadable open block in the database."""
    garbage = Intent(
        id=bytes(32),
        account=address,
        slot=bytes(32),
        kind="SEND",
        payload=b"\xff",
        principal="",
        request="{}",
        stage="SIGNED",
        created_at_ms=1,
    )
    await service.ledger.database.write(lambda connection: adopt(connection, garbage))


def entry(response: httpx2.Response) -> dict[str, Any]:
    """The entry that answers a SEND or CHANGE, which must be a success."""
    document: dict[str, Any] = _document(response)
    return document


def assert_refused(response: httpx2.Response, status: int, message: str, code: str) -> None:
    """The whole error document, but for its time and its id."""
    assert response.status_code == status, response.text
    document = response.json()
    assert INSTANT.fullmatch(document.pop("timestamp"))
    assert re.fullmatch(r"[0-9a-f]{8}", document.pop("requestId"))
    assert document == {
        "path": response.request.url.path,
        "status": status,
        "error": HTTPStatus(status).phrase,
        "message": message,
        "code": code,
    }
    assert response.headers["content-type"] == "application/json"


def assert_empty(response: httpx2.Response, status: int) -> None:
    assert (response.status_code, response.content) == (status, b"")


async def stored_work(service: AttoService, address: str) -> bytes | None:
    """Work that lies ready for the account's next block."""
    columns = tables.chain.c
    ready = (columns.address == address, columns.work_target == columns.frontier)
    row = await service.ledger.database.fetch_one(select(columns.work).where(*ready))
    return None if row is None else row.work


async def until(
    probe: Callable[[], Awaitable[T]], holds: Callable[[T], bool], *, patience_s: float = PATIENCE_S
) -> T:
    """What `probe` finds as soon as it `holds`; fails with the last find if it does not within `patience_s`."""
    with anyio.move_on_after(patience_s):
        while True:
            found = await probe()
            if holds(found):
                return found
            await anyio.sleep(0.01)
    raise AssertionError(f"still {await probe()!r} after {patience_s} s")


def database_variables(url: URL, folder: Path) -> dict[str, str]:
    """Settings that point a service at a database of the tests; `folder` is for what else it keeps."""
    if url.get_backend_name() == "sqlite":
        database = Path(str(url.database))
        assert database.name == SQLITE_NAME
        return {"STRONGROOM_DATA": str(database.parent)}
    return {
        "STRONGROOM_DATA": str(folder),
        "ATTO_DB_HOST": str(url.host),
        "ATTO_DB_PORT": str(url.port),
        "ATTO_DB_NAME": str(url.database),
        "ATTO_DB_USER": str(url.username),
        "ATTO_DB_PASSWORD": str(url.password),
        "STRONGROOM_WAIT_FOR_NODES": str(waits(url)),
    }


@asynccontextmanager
async def running_service(
    network: AttoNetwork, variables: Mapping[str, str], serve: Serve = serving
) -> AsyncIterator[AttoService]:
    """The service with these settings, its pauses ten times shorter; stopped at the end as by SIGTERM.

    `serve` puts it behind HTTP.
    """
    settings = read_settings({**network.variables, "ATTO_REQUEST_TIMEOUT_S": "8", **variables})
    health, metrics = Health(), Metrics("strongroom")
    surroundings = Surroundings(
        clock=HurriedClock(network.clock),
        entropy=SystemEntropy(),
        health=health,
        metrics=metrics,
        webhooks=settings.webhooks,
        free_attempts=UNSLOWED,
        redis=settings.redis,
    )
    own = settings.of(LEDGER)
    assert own is not None
    ledger = LEDGER.make(own, surroundings)
    try:
        (surface,) = ledger.surfaces()
        await ledger.open()
        async with serve(behind_door(surface)) as url:
            ledger.start()
            async with httpx2.AsyncClient(
                base_url=url, verify=False, trust_env=False, timeout=PATIENCE_S
            ) as client:
                service = AttoService(ledger, client, health, metrics)
                service.application = surface.application
                yield service
    finally:
        await ledger.close()


def _document(response: httpx2.Response) -> Any:
    assert response.status_code == httpx2.codes.OK, response.text
    return response.json() if response.content else None
